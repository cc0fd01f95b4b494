// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import Synchronization

/// Lets one task at a time change a collection, in the order in which they came.
///
/// An optimisation: of publishers who race, all but one would have to start again. What keeps the store right is the check in
/// the transaction, which also holds between processes.
final class CollectionLocks: Sendable {
    private let waiting = Mutex<[GUN: [CheckedContinuation<Void, Never>]]>([:])

    func withLock<Result>(_ gun: GUN, _ body: () async throws -> Result) async rethrows -> Result {
        await self.acquire(gun)
        defer { self.release(gun) }
        return try await body()
    }

    private func acquire(_ gun: GUN) async {
        await withCheckedContinuation { continuation in
            let isFree = self.waiting.withLock { waiting in
                if waiting[gun] == nil {
                    waiting[gun] = []
                    return true
                }
                waiting[gun]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func release(_ gun: GUN) {
        let next: CheckedContinuation<Void, Never>? = self.waiting.withLock { waiting in
            guard let queue = waiting[gun], let first = queue.first else {
                waiting[gun] = nil
                return nil
            }
            waiting[gun] = Array(queue.dropFirst())
            return first
        }
        next?.resume()
    }
}
