// SPDX-License-Identifier: Apache-2.0

import HTTPAccess

/// Why a registry did not give or take something. Compare by ``code``.
package struct RegistryError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    package enum Code: Sendable, Hashable {
        /// The registry does not have it, or says so.
        case notFound
        /// It wants credentials, or other ones.
        case unauthorized
        /// It knows who asks and refuses.
        case denied
        /// What it sent is not what was asked for by digest or size.
        case digestMismatch
        /// No connection, no TLS, or it broke and trying again did not help.
        case unreachable
        /// It answers, but more slowly than a client can be expected to wait.
        case tooSlow
        /// It refused for another reason; the value is its error code, such as `MANIFEST_INVALID`, or the HTTP status.
        case rejected(String)
        /// What it answered is against the protocol.
        case invalidResponse
        /// The credentials of this machine cannot be had: a broken configuration or helper program.
        case credentials
    }

    /// What went wrong.
    package let code: Code
    /// What was found, what was expected, and what to do.
    package let message: String
    /// TLS is spoken, but the certificate is not to be trusted.
    let isCertificateRefused: Bool

    /// How long the registry wants to be left alone.
    let retryAfter: Duration?

    package init(_ code: Code, _ message: String) {
        self.init(code, message, retryAfter: nil)
    }

    init(_ code: Code, _ message: String, retryAfter: Duration?) {
        self.code = code
        self.message = message
        self.isCertificateRefused = false
        self.retryAfter = retryAfter
    }

    /// No connection to a registry, or none that can be used.
    init(unreachable root: String, _ failure: ConnectionFailure) {
        self.code = .unreachable
        self.message = "cannot reach the registry \(root): \(failure)"
        self.isCertificateRefused = failure.kind == .certificateRefused
        self.retryAfter = nil
    }

    package var description: String { self.message }
}

extension RegistryError {
    /// Takes what went wrong with authentication.
    init(_ error: HTTPAccessError) {
        let code: Code =
            switch error.code {
            case .challenge, .unavailable, .noToken: .invalidResponse
            case .refused: .unauthorized
            case .credentials: .credentials
            }
        self.init(code, error.message)
    }
}
