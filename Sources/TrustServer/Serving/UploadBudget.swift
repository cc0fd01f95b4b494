// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Bounds the bytes of all uploads that are in memory at once.
final class UploadBudget: Sendable {
    private let remaining: Mutex<Int>

    init(bytes: Int) {
        self.remaining = Mutex(bytes)
    }

    /// Runs the body with so many bytes set aside.
    /// - Returns: nil, without having run it, when there are not so many.
    func reserving<Result>(_ bytes: Int, _ body: () async throws -> Result) async rethrows -> Result? {
        let isReserved = self.remaining.withLock { remaining in
            guard bytes <= remaining else { return false }
            remaining -= bytes
            return true
        }
        guard isReserved else { return nil }
        defer { self.remaining.withLock { $0 += bytes } }
        return try await body()
    }
}
