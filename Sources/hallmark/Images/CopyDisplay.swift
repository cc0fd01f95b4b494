// SPDX-License-Identifier: Apache-2.0

import Foundation
import RegistryClient

/// A line that tells how far a copy is, redrawn in place: on a terminal only, never in a pipe.
struct CopyDisplay {
    private let live: LiveLine

    init(isEnabled: Bool) {
        self.live = LiveLine(isEnabled: isEnabled)
    }

    /// Shows what the progress says while the body runs, and takes the line away in the end.
    func showing<Result: Sendable>(
        _ progress: CopyProgress,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await self.live.showing(body) { Self.line(progress.state) }
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
}
