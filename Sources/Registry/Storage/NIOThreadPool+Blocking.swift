// SPDX-License-Identifier: Apache-2.0

import NIOPosix

extension NIOThreadPool {
    /// Runs a block that may wait for the disk. Unlike `runIfActive` it does not look at cancellation: bytes that a
    /// client sent before it went away are still written, and files are still tidied up.
    /// - Throws: What the block throws, or `CancellationError` when the pool has been shut down.
    @discardableResult
    func blocking<Result: Sendable>(_ block: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            self.submit { state in
                switch state {
                case .active: continuation.resume(with: Swift.Result(catching: block))
                case .cancelled: continuation.resume(throwing: CancellationError())
                }
            }
        }
    }
}
