// SPDX-License-Identifier: Apache-2.0

package import HTTPService
import NIOCore
import NIOHTTP1

/// Why there is no token, in the two forms that clients print: that of registries and that of OAuth (RFC 6749, section 5.2).
package struct TokenServiceError: Error, Sendable, Equatable, HTTPErrorConvertible, CustomStringConvertible {
    package enum Code: Sendable {
        /// The request cannot be understood.
        case invalidRequest
        /// A way to get tokens that there is not here.
        case unsupportedGrantType
        /// A scope that cannot be read.
        case invalidScope
        /// Tokens for that server are not made here.
        case unknownService
        /// Wrong user or password, or a refresh token that has ended.
        case unauthorized
        /// Too many failed attempts.
        case tooManyRequests
        /// Too much to do at the moment.
        case unavailable

        /// In metrics.
        var label: String {
            switch self {
            case .invalidRequest, .unsupportedGrantType, .invalidScope, .unknownService: "refused"
            case .unauthorized: "unauthorized"
            case .tooManyRequests: "limited"
            case .unavailable: "unavailable"
            }
        }
    }

    package let code: Code
    package let message: String
    /// When to try again, in seconds.
    package let retryAfter: Int64?

    init(_ code: Code, _ message: String, retryAfter: Int64? = nil) {
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
    }

    package static func == (left: TokenServiceError, right: TokenServiceError) -> Bool {
        left.code == right.code
    }

    package var description: String { self.message }

    private struct Body: Encodable {
        struct Item: Encodable {
            let code: String
            let message: String
        }

        let error: String
        let errorDescription: String
        let errors: [Item]

        private enum CodingKeys: String, CodingKey {
            case error
            case errorDescription = "error_description"
            case errors
        }
    }

    package var response: HTTPResponse {
        let (status, oauth, registry): (HTTPResponseStatus, String, String) =
            switch self.code {
            case .invalidRequest: (.badRequest, "invalid_request", "UNSUPPORTED")
            case .unsupportedGrantType: (.badRequest, "unsupported_grant_type", "UNSUPPORTED")
            case .invalidScope: (.badRequest, "invalid_scope", "UNSUPPORTED")
            case .unknownService: (.badRequest, "invalid_request", "UNSUPPORTED")
            case .unauthorized: (.unauthorized, "invalid_grant", "UNAUTHORIZED")
            case .tooManyRequests: (.tooManyRequests, "temporarily_unavailable", "TOOMANYREQUESTS")
            case .unavailable: (.serviceUnavailable, "temporarily_unavailable", "UNAVAILABLE")
            }
        var headers: HTTPHeaders = ["Cache-Control": "no-store"]
        if self.code == .unauthorized {
            headers.add(name: "WWW-Authenticate", value: "Basic realm=\"Hallmark\", charset=\"UTF-8\"")
        }
        if let retryAfter = self.retryAfter { headers.add(name: "Retry-After", value: "\(retryAfter)") }
        let body = Body(
            error: oauth,
            errorDescription: self.message,
            errors: [Body.Item(code: registry, message: self.message)]
        )
        return (try? HTTPResponse.json(status, encoding: body, headers: headers))
            ?? HTTPResponse(status: status, headers: headers)
    }
}
