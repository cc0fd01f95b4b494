// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// Answers requests: one for each program, over its own path parser.
package protocol HTTPResponder: Sendable {
    /// An answer that needs no waiting, made on the connection's event loop before any task is started: for hot reads
    /// from memory. It must not block. The body is not readable here.
    /// - Returns: nil to be asked again through ``respond(to:)``.
    func immediateResponse(to request: HTTPRequest) -> HTTPResponse?

    /// The answer to one request. Runs on the connection's event loop unless it hops away itself; must not block.
    /// - Throws: an ``HTTPErrorConvertible`` becomes its reply; any other error is logged and becomes an empty 500.
    func respond(to request: HTTPRequest) async throws -> HTTPResponse

    /// The reply to a client that asks for more than it may, in the protocol's own form. The server adds `Retry-After`.
    func response(toExcess excess: HTTPClientExcess, _ request: HTTPRequest) -> HTTPResponse
}

extension HTTPResponder {
    package func immediateResponse(to request: HTTPRequest) -> HTTPResponse? { nil }

    package func response(toExcess excess: HTTPClientExcess, _ request: HTTPRequest) -> HTTPResponse {
        .text(.tooManyRequests, "\(excess)\n")
    }
}

/// An error that knows the reply it stands for.
package protocol HTTPErrorConvertible: Error {
    /// The reply that tells the peer of this error in its protocol's own form.
    var response: HTTPResponse { get }
}
