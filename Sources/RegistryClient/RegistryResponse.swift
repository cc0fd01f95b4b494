// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import HTTPAccess
import NIOCore
import NIOHTTP1

/// A reply whose body has not been read.
struct RegistryResponse: Sendable {
    let status: HTTPResponseStatus
    let headers: HTTPHeaders
    /// Where it came from, after redirects.
    let url: HTTPURL
    private let body: HTTPClientResponse.Body
    private let configuration: RegistryClientConfiguration

    init(_ response: HTTPClientResponse, from url: HTTPURL, _ configuration: RegistryClientConfiguration) {
        self.status = response.status
        self.headers = response.headers
        self.url = url
        self.body = response.body
        self.configuration = configuration
    }

    /// Hands out the body piece by piece while it comes.
    ///
    /// It may not come more slowly than a floor: a registry that feeds a byte a minute would else keep its client for
    /// ever. Only time spent waiting for the registry counts, and the last piece may be late.
    struct Reader {
        private var iterator: HTTPClientResponse.Body.AsyncIterator
        private var pace = Pace()
        private let url: HTTPURL
        private let configuration: RegistryClientConfiguration

        fileprivate init(_ response: RegistryResponse) {
            self.iterator = response.body.makeAsyncIterator()
            self.url = response.url
            self.configuration = response.configuration
        }

        /// The next piece; nil at the end.
        /// - Throws: ``RegistryError`` with code `tooSlow`, or `unreachable` when the connection breaks.
        @concurrent mutating func next() async throws -> ByteBuffer? {
            let start = self.configuration.now()
            let piece: ByteBuffer?
            do {
                piece = try await self.iterator.next()
            } catch {
                throw RegistryClient.transportError(self.url, error)
            }
            guard let piece else { return nil }
            if let waited = self.pace.waitedInVain { throw self.tooSlow(after: waited) }
            self.pace.add(piece.readableBytes, after: start.duration(to: self.configuration.now()), self.configuration)
            return piece
        }

        private func tooSlow(after waited: Duration) -> RegistryError {
            RegistryError(
                .tooSlow,
                "\(self.url.origin.authority) sent fewer than \(self.configuration.minimumBytesPerWindow) bytes in "
                    + "\(waited.components.seconds) s; try again when the line to it is better"
            )
        }
    }

    func makeReader() -> Reader { Reader(self) }

    /// Hands out the body piece by piece, as ``Reader`` does.
    /// - Throws: what ``Reader`` throws; what `take` throws.
    func read(_ take: (ByteBuffer) async throws -> Void) async throws {
        var reader = self.makeReader()
        while let piece = try await reader.next() { try await take(piece) }
    }

    /// The whole body.
    /// - Throws: ``RegistryError``; `invalidResponse` as soon as more than `limit` bytes have come.
    func collect(upTo limit: Int) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        try await self.read { piece in
            guard piece.readableBytes <= limit - whole.readableBytes else {
                throw RegistryError(.invalidResponse, "\(self.url.origin.authority) sent more than \(limit) bytes")
            }
            whole.writeImmutableBuffer(piece)
        }
        return whole
    }

    /// How much came in the present window.
    private struct Pace {
        var waited = Duration.zero
        var bytes = 0
        /// How long the last window was, if it brought too little.
        var waitedInVain: Duration?

        mutating func add(_ count: Int, after waited: Duration, _ configuration: RegistryClientConfiguration) {
            self.waited += waited
            self.bytes += count
            guard self.waited >= configuration.paceWindow else { return }
            if self.bytes < configuration.minimumBytesPerWindow { self.waitedInVain = self.waited }
            (self.waited, self.bytes) = (.zero, 0)
        }
    }
}
