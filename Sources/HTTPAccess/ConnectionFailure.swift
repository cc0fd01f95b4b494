// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import NIOCore

/// What went wrong on a connection, in words that tell what to do.
package struct ConnectionFailure: Sendable, Hashable, CustomStringConvertible {
    /// What there is to be done about it.
    package enum Kind: Sendable, Hashable {
        /// TLS is spoken, but by somebody who is not trusted: it must not be tried in plain.
        case certificateRefused
        /// The port speaks something else than TLS.
        case noTLS
        /// Anything else.
        case other
    }

    /// What there is to be done about it.
    package let kind: Kind
    /// What was found, and what to do.
    package let description: String

    /// - Parameters:
    ///   - error: what the HTTP client or the system says.
    ///   - server: the server's name, and its port if it has one.
    ///   - certificates: the directory below which certificates of its authorities are looked for by server; nil when there
    ///     is none.
    ///   - noTLSAdvice: what to do when the port does not speak TLS; nil when there is nothing to be done.
    package init(_ error: any Error, server: String, certificates: String?, noTLSAdvice: String? = nil) {
        if let error = error as? IOError {
            self.kind = .other
            self.description = String(cString: strerror(error.errnoCode))
            return
        }
        let text = (error as? HTTPClientError)?.shortDescription ?? "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            self.kind = .certificateRefused
            self.description =
                "its certificate is not valid, or of no authority that is trusted here; "
                + (certificates.map { "put the certificate of its CA into \($0)/\(server)/ca.crt, or name it" }
                    ?? "name the certificate of its CA") + " with --tlscacert"
        } else if text.contains("failedToValidateHostname") {
            self.kind = .certificateRefused
            self.description = "its certificate is not for \(server)"
        } else if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
            self.kind = .noTLS
            self.description = "no TLS is spoken there" + (noTLSAdvice.map { "; \($0)" } ?? "")
        } else if let error = error as? HTTPClientError, error == .proxyAuthenticationRequired {
            self.kind = .other
            self.description =
                "the proxy asks for credentials: name it as http://USER:PASSWORD@HOST:PORT in its variable"
        } else if let error = error as? HTTPClientError, error == .invalidProxyResponse {
            self.kind = .other
            self.description = "the proxy refuses to connect to \(server); NO_PROXY names hosts to be asked without it"
        } else {
            self.kind = .other
            self.description = text.printable(limit: 500)
        }
    }
}
