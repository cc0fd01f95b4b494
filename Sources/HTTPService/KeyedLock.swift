// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets one task at a time do something about one key; tasks that wait take turns in the order they came.
package final class KeyedLock<Key: Hashable & Sendable>: Sendable {
    /// Those who wait, by key. A key is there while somebody holds it.
    private let waiting = Mutex<[Key: [CheckedContinuation<Void, Never>]]>([:])

    package init() {}

    /// Runs the body while no other body runs for the key. Waiting does not end early on cancellation: bodies are short.
    package func withLock<Result>(_ key: Key, _ body: () async throws -> Result) async rethrows -> Result {
        await withCheckedContinuation { continuation in
            let isFree = self.waiting.withLock { waiting in
                guard waiting[key] != nil else {
                    waiting[key] = []
                    return true
                }
                waiting[key]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
        defer { self.unlock(key) }
        return try await body()
    }

    private func unlock(_ key: Key) {
        let next: CheckedContinuation<Void, Never>? = self.waiting.withLock { waiting in
            guard var queue = waiting[key], !queue.isEmpty else {
                waiting[key] = nil
                return nil
            }
            let next = queue.removeFirst()
            waiting[key] = queue
            return next
        }
        next?.resume()
    }
}
