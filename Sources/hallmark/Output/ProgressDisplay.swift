// SPDX-License-Identifier: Apache-2.0

import Foundation
import OCI
import RegistryClient
import Synchronization

/// A line that tells how far a transfer is, redrawn in place: on a terminal only, never in a pipe.
final class ProgressDisplay: Sendable {
    private struct State {
        var totals: [Digest: Int64] = [:]
        var done: [Digest: Int64] = [:]
        var finished = 0
        var lastDrawn: ContinuousClock.Instant?
        var width = 0
    }

    private static let interval: Duration = .milliseconds(100)

    private let isEnabled: Bool
    private let state = Mutex(State())

    init(isEnabled: Bool) {
        self.isEnabled = isEnabled && isatty(STDERR_FILENO) == 1
    }

    /// Shows what the body reports, and takes the line away in the end.
    func showing<Result>(_ body: (@escaping TransferProgress) async throws -> Result) async throws -> Result {
        defer { self.clear() }
        return try await body { self.take($0) }
    }

    private func take(_ event: TransferEvent) {
        guard self.isEnabled else { return }
        let line: String? = self.state.withLock { state in
            switch event {
            case .started(let descriptor): state.totals[descriptor.digest] = descriptor.size
            case .bytes(let digest, let count): state.done[digest, default: 0] += Int64(count)
            case .finished(let descriptor), .existed(let descriptor), .mounted(let descriptor):
                state.totals[descriptor.digest] = descriptor.size
                state.done[descriptor.digest] = descriptor.size
                state.finished += 1
            }
            let now = ContinuousClock.now
            if let last = state.lastDrawn, now - last < Self.interval { return nil }
            state.lastDrawn = now
            let line = Self.line(state)
            state.width = max(state.width, line.count)
            return line + String(repeating: " ", count: state.width - line.count)
        }
        if let line { Self.write("\r" + line) }
    }

    private static func line(_ state: State) -> String {
        let total = state.totals.values.reduce(0, +)
        let done = min(state.done.values.reduce(0, +), total)
        let percent = total > 0 ? done * 100 / total : 100
        let bytes = "\(Self.size(done)) of \(Self.size(total)) (\(percent) %)"
        return "\(state.finished) of \(state.totals.count) done, \(bytes)"
    }

    private static func size(_ bytes: Int64) -> String {
        bytes < 10 << 20 ? "\(bytes >> 10) KiB" : "\(bytes >> 20) MiB"
    }

    /// Takes the line away until there is more to tell.
    func clear() {
        guard self.isEnabled else { return }
        let width = self.state.withLock { state in
            defer { state.width = 0 }
            return state.width
        }
        guard width > 0 else { return }
        Self.write("\r" + String(repeating: " ", count: width) + "\r")
    }

    private static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
