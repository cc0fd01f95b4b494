// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A line on a terminal that is redrawn in place while something goes on: never in a pipe.
struct LiveLine {
    private static let interval: Duration = .milliseconds(200)

    private let isEnabled: Bool

    init(isEnabled: Bool) {
        self.isEnabled = isEnabled && isatty(STDERR_FILENO) == 1
    }

    /// Shows the text while the body runs, and takes it away in the end.
    func showing<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result,
        text: @escaping @Sendable () -> String
    ) async throws -> Result {
        guard self.isEnabled else { return try await body() }
        defer { Self.write("\r\u{1B}[K") }
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                while !Task.isCancelled {
                    Self.write("\r\u{1B}[K" + text())
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

    private static func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
