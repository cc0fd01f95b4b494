// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// The peer is gone, or the server has closed the connection: nothing more can be read from it or sent to it.
package struct HTTPConnectionClosedError: Error, Sendable, CustomStringConvertible {
    package init() {}

    package var description: String { "the connection is closed" }
}

/// A request body that cannot be read to its end.
package struct HTTPRequestBodyError: HTTPErrorConvertible, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// The peer sends fewer bytes a second than ``HTTPServerConfiguration/minimumBodyRate``.
        case tooSlow
        /// The chunked framing is broken.
        case malformed
        /// The body was asked for after the reply had been sent.
        case requestIsOver
        /// Two tasks read the body at once.
        case readTwice
    }

    package let code: Code

    package init(_ code: Code) {
        self.code = code
    }

    package var description: String {
        switch self.code {
        case .tooSlow: "the request body arrives too slowly"
        case .malformed: "the framing of the request body is malformed"
        case .requestIsOver: "the request body was read after its reply had been sent"
        case .readTwice: "two tasks read the request body at once"
        }
    }

    package var response: HTTPResponse {
        switch self.code {
        case .tooSlow: .plainText(.requestTimeout, closesConnection: true)
        case .malformed: .plainText(.badRequest, closesConnection: true)
        case .requestIsOver, .readTwice: HTTPResponse(status: .internalServerError, closesConnection: true)
        }
    }
}

extension HTTPResponse {
    /// A reply of one line that names the status, for peers that no protocol of ours has been spoken with yet.
    static func plainText(_ status: HTTPResponseStatus, closesConnection: Bool) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: ["Content-Type": "text/plain; charset=utf-8"],
            body: .bytes(ByteBuffer(string: "\(status.code) \(status.reasonPhrase)\n")),
            closesConnection: closesConnection
        )
    }
}
