// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore

/// The connection is gone.
struct ConnectionCut: Error {}

/// A body that a test feeds.
struct FedBody: Sendable {
    /// For the request.
    let body: HTTPRequestBody
    private let feed: AsyncThrowingStream<ByteBuffer, any Error>.Continuation
    private let asked: AsyncStream<Void>

    init() {
        let (stream, feed) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
        let (asked, signal) = AsyncStream<Void>.makeStream()
        self.body = HTTPRequestBody(streaming: Signalling(base: stream, signal: signal))
        self.feed = feed
        self.asked = asked
    }

    /// Returns once the request reads its body.
    func isRead() async {
        for await _ in self.asked { return }
    }

    func send(_ bytes: [UInt8]) { self.feed.yield(ByteBuffer(bytes: bytes)) }
    func end() { self.feed.finish() }
    /// The connection breaks.
    func cut() { self.feed.finish(throwing: ConnectionCut()) }

    private struct Signalling: AsyncSequence, Sendable {
        let base: AsyncThrowingStream<ByteBuffer, any Error>
        let signal: AsyncStream<Void>.Continuation

        struct Iterator: AsyncIteratorProtocol {
            var base: AsyncThrowingStream<ByteBuffer, any Error>.Iterator
            let signal: AsyncStream<Void>.Continuation

            mutating func next() async throws -> ByteBuffer? {
                self.signal.yield()
                return try await self.base.next(isolation: #isolation)
            }
        }

        func makeAsyncIterator() -> Iterator {
            Iterator(base: self.base.makeAsyncIterator(), signal: self.signal)
        }
    }
}

extension HTTPRequestBody {
    /// A body in pieces; cut at its end when `isCut`.
    static func pieces(_ pieces: [[UInt8]], isCut: Bool = false) -> HTTPRequestBody {
        let fed = FedBody()
        for piece in pieces { fed.send(piece) }
        if isCut { fed.cut() } else { fed.end() }
        return fed.body
    }
}
