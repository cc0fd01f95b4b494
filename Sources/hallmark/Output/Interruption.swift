// SPDX-License-Identifier: Apache-2.0

import UnixSignals

/// The end of a command before it is done, by the user or the system.
enum Interruption {
    /// Runs what must clean up behind itself: SIGINT and SIGTERM cancel it.
    /// - Throws: what the body throws; ``CommandError`` with code `interrupted`.
    static func guarding<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in signals { return nil }
                // The body is done.
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                throw CommandError(.interrupted, "interrupted; nothing of what was begun is kept")
            }
            return result
        }
    }

    /// Runs what goes on until it is told to end.
    /// - Returns: true when SIGINT or SIGTERM ended it.
    /// - Throws: what the body throws.
    static func isEnding(_ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        do {
            try await self.guarding(body)
            return false
        } catch let error as CommandError where error.code == .interrupted {
            return true
        }
    }
}
