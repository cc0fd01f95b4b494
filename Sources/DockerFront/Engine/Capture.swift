// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Keeps what a program prints, and shows none of it.
final class Capture: OutputFilter {
    private let limit: Int
    private let bytes = Mutex<[UInt8]>([])

    /// - Parameter limit: after how many bytes the rest is dropped.
    init(limit: Int) {
        self.limit = limit
    }

    /// What was printed.
    var text: String { String(decoding: self.bytes.withLock(\.self), as: UTF8.self) }

    func pass(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        self.bytes.withLock { $0 += bytes.prefix(max(0, self.limit - $0.count)) }
        return []
    }

    func finish() -> [UInt8] { [] }
}
