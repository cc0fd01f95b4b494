// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import Synchronization

/// Bounds the bytes of request bodies that are held in memory at once.
///
/// Bytes count from when they have come, not from when they are announced: peers that announce much and send little could
/// otherwise keep everybody else out at no cost.
package final class HTTPBodyBudget: Sendable {
    private let remaining: Mutex<Int>

    package init(bytes: Int) {
        self.remaining = Mutex(bytes)
    }

    /// Collects a body, and holds its bytes on the account until the closure is done with them.
    /// - Throws: ``HTTPBodyTooLargeError`` as soon as more than `limit` bytes have come, ``HTTPBodyBudgetError`` when there is
    ///   no room for more; what reading the body or the closure throws.
    package func collecting<Result>(
        _ body: HTTPRequestBody,
        upTo limit: Int,
        _ use: (ByteBuffer) async throws -> Result
    ) async throws -> Result {
        var whole = ByteBuffer()
        var held = 0
        defer { self.remaining.withLock { $0 += held } }
        for try await var buffer in body {
            let count = buffer.readableBytes
            guard count <= limit - whole.readableBytes else { throw HTTPBodyTooLargeError(limit: limit) }
            let isHeld = self.remaining.withLock { remaining in
                guard count <= remaining else { return false }
                remaining -= count
                return true
            }
            guard isHeld else { throw HTTPBodyBudgetError() }
            held += count
            whole.writeBuffer(&buffer)
        }
        return try await use(whole)
    }
}

/// As many bodies are in memory as may be.
package struct HTTPBodyBudgetError: Error, Sendable, CustomStringConvertible {
    package var description: String { "as much is being received as may be at once; try again" }
}
