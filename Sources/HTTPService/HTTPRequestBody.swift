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
        case connection(HTTPInboundBody)
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

    /// A body that arrives over a connection of ``HTTPServer``.
    init(connection body: HTTPInboundBody) {
        self.source = .connection(body)
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate enum Source {
            case buffer(ByteBuffer)
            case connection(HTTPInboundBody)
            case stream(any AsyncIteratorProtocol<ByteBuffer, any Error>)
            case ended
        }

        fileprivate var source: Source

        /// The next bytes: whatever has arrived since the last call, so that a slow reader gets them in large pieces.
        /// - Returns: nil after the last byte.
        /// - Throws: ``HTTPConnectionClosedError`` when the peer is gone, ``HTTPRequestBodyError`` when it sends too
        ///   slowly or breaks the framing, `CancellationError`.
        package mutating func next() async throws -> ByteBuffer? {
            switch self.source {
            case .buffer(let buffer):
                self.source = .ended
                return buffer.readableBytes > 0 ? buffer : nil
            case .connection(let body):
                return try await body.next()
            case .stream(var stream):
                let element = try await stream.next(isolation: nil)
                self.source = element == nil ? .ended : .stream(stream)
                return element
            case .ended:
                return nil
            }
        }
    }

    package func makeAsyncIterator() -> AsyncIterator {
        switch self.source {
        case .buffer(let buffer): AsyncIterator(source: .buffer(buffer))
        case .connection(let body): AsyncIterator(source: .connection(body))
        case .stream(let make): AsyncIterator(source: .stream(make()))
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
