// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
package import NIOHTTP1

/// What a responder answers.
///
/// The server adds `Content-Length` (or chunked framing), `Date` and connection handling; a responder sets all other
/// fields. A reply to HEAD is built like the one to GET: the server sends its head only, with the true length.
package struct HTTPResponse: Sendable {
    /// Where the bytes of a reply come from.
    package enum Body: Sendable {
        /// No bytes; `Content-Length: 0` unless the status forbids a body.
        case empty
        /// Bytes in memory.
        case bytes(ByteBuffer)
        /// A part of an open file, sent by the kernel where the connection allows. The server closes the file
        /// when the reply is done or has failed.
        case file(HTTPFileBody)
        /// Bytes made while they are sent. `length` becomes `Content-Length`; nil means chunked framing.
        case stream(length: Int64?, @Sendable (any HTTPBodyWriter) async throws -> Void)
        /// A reply to HEAD whose body was never made: only the length it would have had.
        case absent(length: Int64)
    }

    package var status: HTTPResponseStatus { didSet { self.encodedHead = nil } }
    package var headers: HTTPHeaders { didSet { self.encodedHead = nil } }
    package var body: Body
    /// Close the connection after this reply, whatever the peer asked for.
    package var closesConnection: Bool
    /// What the access log says of the request besides what the server knows: who asked, why they were refused.
    package var logMetadata: Logger.Metadata = [:]
    /// What was asked for, as metrics name it: one of a few words.
    package var operation = "other"
    /// The status line and the responder's fields as they go out; nil where they have still to be written.
    private(set) var encodedHead: ByteBuffer?

    package init(
        status: HTTPResponseStatus,
        headers: HTTPHeaders = [:],
        body: Body = .empty,
        closesConnection: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.closesConnection = closesConnection
    }

    /// The same reply with its head written out, for one that is sent many times.
    package var preparedForReuse: HTTPResponse {
        var response = self
        var head = ByteBuffer()
        head.writeStatusAndFields(of: self)
        response.encodedHead = head
        return response
    }
}

/// Takes the bytes of a streamed reply; suspends while the peer is slower than the source.
package protocol HTTPBodyWriter: Sendable {
    /// Sends one piece.
    /// - Throws: when the connection is gone.
    func write(_ buffer: ByteBuffer) async throws
}
