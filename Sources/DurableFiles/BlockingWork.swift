// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Work that blocks or computes for long, on threads that are not of the cooperative pool, and no more of them than there
/// are processors.
package enum BlockingWork {
    private static let queue: OperationQueue = {
        let queue = OperationQueue()
        queue.name = "hallmark.blocking"
        queue.maxConcurrentOperationCount = max(2, ProcessInfo.processInfo.activeProcessorCount)
        return queue
    }()

    /// Runs the work and waits for it without holding a thread.
    package static func run<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            self.queue.addOperation { continuation.resume(with: Swift.Result { try work() }) }
        }
    }

    /// Runs work that waits for a person or another program, which must not hold up what others compute.
    package static func wait<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Swift.Result { try work() }) }
        }
    }
}
