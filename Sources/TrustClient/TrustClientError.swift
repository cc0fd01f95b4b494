// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import NotaryAPI
package import TUF

/// Why a trusted collection could not be read, verified or published. Two errors are equal when their codes are.
package struct TrustClientError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    package enum Code: String, Sendable, Hashable {
        /// The server has no such collection, and nothing is cached of it.
        case noTrustData
        /// The collection has no such target, or none in a role that counts.
        case notSigned
        /// A signature, key, certificate or root that must not be trusted, or bytes that are no metadata.
        case signature
        /// Metadata past its expiry, and nothing newer to be had.
        case expired
        /// A rollback, a freeze, or metadata that does not belong together.
        case rollback
        /// Content that is not what its target lists.
        case contentMismatch
        /// The server cannot be reached, is too slow, or answers with an error of its own.
        case unreachable
        /// The server wants credentials, or others.
        case unauthorised
        /// Somebody else has published a version at least as new meanwhile.
        case conflict
        /// The server has looked at what was sent and refuses it.
        case rejected
        /// No private key here may sign what has to be signed.
        case noSigningKey
        /// Metadata waits for the signatures of others; nothing was published.
        case incomplete
        /// A name of a collection, role or target that cannot be used, or a change that cannot be applied.
        case invalid
        /// A file of the trust directory is damaged or cannot be read or written.
        case storage
        /// Anything else.
        case other

        /// How a command that ends with this failure exits.
        package var exitCode: Int32 {
            switch self {
            case .noTrustData: 10
            case .notSigned: 11
            case .signature, .incomplete: 12
            case .expired: 13
            case .rollback: 14
            case .contentMismatch: 15
            case .unreachable: 20
            case .unauthorised: 21
            case .conflict, .rejected, .noSigningKey, .invalid, .storage, .other: 1
            }
        }
    }

    /// The kind of failure.
    package let code: Code
    /// What was found, what was expected, what to do next.
    package let message: String
    /// The refusal of the metadata underneath, where there is one.
    package let refusal: TUFError?
    /// The server's own error code (`VERSION`, `INVALID_UPDATE`, …) where it gave one.
    package let serverCode: String?

    /// Makes an error.
    package init(_ code: Code, _ message: String, refusal: TUFError? = nil, serverCode: String? = nil) {
        self.code = code
        self.message = message
        self.refusal = refusal
        self.serverCode = serverCode
    }

    /// Takes a refusal of metadata.
    package init(_ refusal: TUFError, context: String? = nil) {
        self.init(
            Self.code(of: refusal),
            [context, refusal.description].compactMap { $0 }.joined(separator: ": "),
            refusal: refusal
        )
    }

    /// Takes what went wrong with authentication.
    init(_ error: HTTPAccessError) {
        let code: Code =
            switch error.code {
            case .challenge, .refused, .noToken: .unauthorised
            case .unavailable: .unreachable
            case .credentials: .other
            }
        self.init(code, error.message)
    }

    /// The message.
    package var description: String { self.message }

    /// Equality of codes.
    package static func == (left: TrustClientError, right: TrustClientError) -> Bool { left.code == right.code }

    /// Hashes the code.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }

    private static func code(of refusal: TUFError) -> Code {
        switch refusal.code {
        case .malformed, .invalid, .invalidKey, .thresholdNotMet, .rootRotation, .untrustedRoot: .signature
        case .expired: .expired
        // A length or hash that is not the listed one is metadata that does not belong together; more than is listed or
        // bounded is its coarsest form.
        case .rollback, .mismatch, .tooLarge: .rollback
        case .notDelegated, .unknownTarget: .notSigned
        case .order: .other
        }
    }
}

extension TrustClientError {
    /// Runs a step of the verification workflow and names the collection in what it throws.
    static func refusing<Result>(_ gun: GUN, _ step: () throws -> Result) throws -> Result {
        do {
            return try step()
        } catch let error as TUFError {
            throw TrustClientError(error, context: gun.text)
        }
    }
}
