// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The body of a request: a sequence of buffers, read once, with backpressure to the peer's socket.
///
/// Iteration throws when the connection ends before the body does.
package struct HTTPRequestBody: AsyncSequence, Sendable {
    package typealias Element = ByteBuffer
    package typealias Failure = any Error

    private enum Source: Sendable {
        case buffer(ByteBuffer)
        case stream(@Sendable () -> any AsyncIteratorProtocol<ByteBuffer, any Error>)
    }

    private let source: Source

    /// A body that is already in memory; empty by default.
    package init(_ buffer: ByteBuffer = ByteBuffer()) {
        self.source = .buffer(buffer)
    }

    /// A body that arrives while it is read.
    package init<Stream: AsyncSequence & Sendable>(
        streaming stream: Stream
    ) where Stream.Element == ByteBuffer, Stream.Failure == any Error {
        self.source = .stream { stream.makeAsyncIterator() }
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var buffer: ByteBuffer?
        fileprivate var stream: (any AsyncIteratorProtocol<ByteBuffer, any Error>)?

        package mutating func next() async throws -> ByteBuffer? {
            if let buffer = self.buffer {
                self.buffer = nil
                return buffer.readableBytes > 0 ? buffer : nil
            }
            return try await self.stream?.next(isolation: nil)
        }
    }

    package func makeAsyncIterator() -> AsyncIterator {
        switch self.source {
        case .buffer(let buffer): AsyncIterator(buffer: buffer, stream: nil)
        case .stream(let make): AsyncIterator(buffer: nil, stream: make())
        }
    }

    /// The whole body in memory.
    /// - Throws: ``HTTPBodyTooLargeError`` as soon as more than `limit` bytes have come.
    package func collect(upTo limit: Int) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        for try await var buffer in self {
            guard buffer.readableBytes <= limit - whole.readableBytes else { throw HTTPBodyTooLargeError(limit: limit) }
            whole.writeBuffer(&buffer)
        }
        return whole
    }
}

/// More bytes than a request of this kind may have.
package struct HTTPBodyTooLargeError: Error, Sendable, CustomStringConvertible {
    /// The most that is accepted, in bytes.
    package let limit: Int

    package init(limit: Int) {
        self.limit = limit
    }

    package var description: String { "the body is larger than \(self.limit) bytes" }
}
