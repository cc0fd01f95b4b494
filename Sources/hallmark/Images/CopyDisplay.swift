// SPDX-License-Identifier: Apache-2.0

import Foundation
import RegistryClient

/// A line that tells how far a copy is, redrawn in place: on a terminal only, never in a pipe.
struct CopyDisplay {
    private static let interval: Duration = .milliseconds(200)

    private let isEnabled: Bool

    init(isEnabled: Bool) {
        self.isEnabled = isEnabled && isatty(STDERR_FILENO) == 1
    }

    /// Shows what the progress says while the body runs, and takes the line away in the end.
    func showing<Result: Sendable>(
        _ progress: CopyProgress,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        guard self.isEnabled else { return try await body() }
        defer { Self.write("\r\u{1B}[K") }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                while !Task.isCancelled {
                    Self.write("\r\u{1B}[K" + Self.line(progress.state))
                    try? await Task.sleep(for: Self.interval)
                }
                return nil
            }
            defer { group.cancelAll() }
            while let next = try await group.next() {
                if let result = next { return result }
            }
            throw CancellationError()
        }
    }

    static func line(_ state: CopyState) -> String {
        guard state.repositories > 0 else { return "listing repositories" }
        var parts = [String]()
        if state.repositories > 1 {
            parts.append("\(state.finishedRepositories) of \(state.repositories) repositories")
        }
        parts.append("\(min(state.finishedTags, state.tags)) of \(state.tags) tags")
        parts.append("\(state.blobs) blobs, \(Self.size(state.bytes))")
        if state.failures > 0 { parts.append("\(state.failures) failed") }
        return parts.joined(separator: ", ")
    }

    static func size(_ bytes: Int64) -> String {
        bytes < 10 << 20 ? "\(bytes >> 10) KiB" : "\(bytes >> 20) MiB"
    }

    private static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
