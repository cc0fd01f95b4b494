// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import NIOHTTP1

/// One request, as a responder sees it: the head, already parsed, and a body that streams.
package struct HTTPRequest: Sendable {
    /// The method of the request line.
    package var method: HTTPMethod
    /// The request target up to `?`, still percent-encoded as the peer sent it.
    package var path: String
    /// What follows `?`, still percent-encoded; nil when there is no `?`.
    package var query: String?
    /// The header fields.
    package var headers: HTTPHeaders
    /// The body: read it once, in order. An unread body is drained within a bound, or the connection is closed.
    package var body: HTTPRequestBody
    /// The peer, for the log; nil in tests without a socket.
    package var remoteAddress: SocketAddress?
    /// True when the connection is encrypted.
    package var isSecure: Bool
    /// The name of this request in the log; nil in tests without a server.
    package var id: HTTPRequestID?

    package init(
        method: HTTPMethod,
        path: String,
        query: String? = nil,
        headers: HTTPHeaders = [:],
        body: HTTPRequestBody = HTTPRequestBody(),
        remoteAddress: SocketAddress? = nil,
        isSecure: Bool = false,
        id: HTTPRequestID? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.isSecure = isSecure
        self.id = id
    }
}
