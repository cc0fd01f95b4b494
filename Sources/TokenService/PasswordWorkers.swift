// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Threads that hash passwords: few, so that logins cannot take the processors from everything else, and with a bounded
/// queue, so that those who wait are served before they give up.
final class PasswordWorkers: Sendable {
    private let queue: OperationQueue
    private let limit: Int
    private let waiting = Mutex(0)

    /// - Parameters:
    ///   - threads: how many passwords are hashed at the same time; half of the processors when nil.
    ///   - limit: how many may be hashed or wait for it.
    init(threads: Int? = nil, limit: Int = 64) {
        self.queue = OperationQueue()
        self.queue.name = "hallmark.passwords"
        self.queue.maxConcurrentOperationCount = max(1, threads ?? ProcessInfo.processInfo.activeProcessorCount / 2)
        self.limit = max(1, limit)
    }

    /// Does the work on one of the threads.
    /// - Returns: nil when too many wait already.
    func run(_ work: @escaping @Sendable () -> Bool) async -> Bool? {
        let isAdmitted = self.waiting.withLock { waiting in
            guard waiting < self.limit else { return false }
            waiting += 1
            return true
        }
        guard isAdmitted else { return nil }
        defer { self.waiting.withLock { $0 -= 1 } }
        return await withCheckedContinuation { continuation in
            self.queue.addOperation { continuation.resume(returning: work()) }
        }
    }
}
