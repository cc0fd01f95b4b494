// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// A time that stands still until a test moves it.
final class TestClock: Sendable {
    private let time = Mutex(Duration.seconds(1_000))
    private static let start = Date(timeIntervalSince1970: 1_800_000_000)

    var elapsed: Duration { self.time.withLock { $0 } }

    var date: Date { Self.start.addingTimeInterval(TimeInterval(self.elapsed.components.seconds)) }

    var seconds: Int64 { Int64(self.date.timeIntervalSince1970) }

    func advance(_ duration: Duration) {
        self.time.withLock { $0 += duration }
    }
}

/// A directory that a test has to itself.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        self.path = NSTemporaryDirectory() + "/hallmark-tokens-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }
}
