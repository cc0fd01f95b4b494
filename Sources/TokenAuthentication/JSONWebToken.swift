// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The tokens of Docker's token authentication: JSON Web Tokens with an `access` claim
/// (<https://distribution.github.io/distribution/spec/auth/jwt/>).
///
/// They are made by ``TokenSigner/token(_:)`` and read by ``Unverified``, whose claims are out of reach until a key has
/// verified them.
package enum JSONWebToken {
    /// The longest token that is looked at, in bytes.
    package static let maximumLength = 32 * 1024
    /// The most certificates that a token may carry.
    package static let maximumCertificateCount = 5

    /// How a token is signed, and by whom.
    package struct Header: Sendable {
        package var algorithm: TokenAlgorithm
        /// The name of the key.
        package var keyID: String?
        /// The certificate of the key, DER, and those between it and a root.
        package var certificates: [[UInt8]]?
        /// The key itself, which proves nothing unless it is trusted anyway.
        var key: JSONWebKey?
    }

    /// What the issuer says.
    package struct Claims: Sendable, Hashable {
        /// Who says it.
        package var issuer: String
        /// Of whom; empty for somebody who is not logged in.
        package var subject: String
        /// To which services. One goes as a string, which Notary insists on.
        package var audience: [String]
        /// When it ends, in seconds since 1970.
        package var expires: Int64
        /// When it begins, in seconds since 1970; 0 is always.
        package var notBefore: Int64
        /// When it was made, in seconds since 1970.
        package var issuedAt: Int64
        /// The name of this token.
        package var id: String
        /// What it grants.
        package var access: [AccessEntry]

        /// Claims of a token that holds from its making on.
        /// - Parameters:
        ///   - issuer: Who made it.
        ///   - subject: Whom it is for; empty for whoever is not logged in.
        ///   - audience: The services that it is for.
        ///   - issuedAt: In seconds since 1970.
        ///   - expires: In seconds since 1970.
        ///   - notBefore: In seconds since 1970; the time of making when nil.
        ///   - id: Different for each token.
        ///   - access: What it grants.
        package init(
            issuer: String,
            subject: String,
            audience: [String],
            issuedAt: Int64,
            expires: Int64,
            notBefore: Int64? = nil,
            id: String,
            access: [AccessEntry]
        ) {
            self.issuer = issuer
            self.subject = subject
            self.audience = audience
            self.expires = expires
            self.notBefore = notBefore ?? issuedAt
            self.issuedAt = issuedAt
            self.id = id
            self.access = access
        }
    }

    static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }()

    /// A token off the wire. Nothing in it counts yet.
    package struct Unverified: Sendable {
        /// Only tells which key to try.
        package let header: Header
        private let message: [UInt8]
        private let payload: [UInt8]
        private let signature: [UInt8]

        /// Takes a token apart.
        /// - Throws: ``TokenError`` with code `malformed`, or `algorithm` for one that is never accepted.
        package init(_ token: some StringProtocol) throws(TokenError) {
            guard token.utf8.count <= JSONWebToken.maximumLength else {
                throw TokenError(.malformed, "the token is longer than \(JSONWebToken.maximumLength) bytes")
            }
            let text = Substring(token)
            let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 3 else { throw TokenError(.malformed, "a token has three parts between dots") }
            guard let header = Base64URL.decode(Substring(parts[0])),
                let payload = Base64URL.decode(Substring(parts[1])),
                let signature = Base64URL.decode(Substring(parts[2]))
            else { throw TokenError(.malformed, "a part of the token is not base 64 for URLs") }
            self.header = try Header(json: header)
            self.message = Array(text.utf8[..<parts[1].endIndex])
            self.payload = payload
            self.signature = signature
        }

        /// The claims, if `key` signed them.
        /// - Throws: ``TokenError`` with code `algorithm` when the key cannot have signed so, `signature` when it did not,
        ///   `malformed` when what it signed is not what a token says.
        package func claims(signedBy key: TokenVerificationKey) throws(TokenError) -> Claims {
            guard key.algorithms.contains(self.header.algorithm) else {
                throw TokenError(.algorithm, "the token is not signed by the algorithm of its key")
            }
            guard key.isValid(self.signature, for: self.message, by: self.header.algorithm) else {
                throw TokenError(.signature, "the token's signature is not valid")
            }
            do {
                return try JSONDecoder().decode(Claims.self, from: Data(self.payload))
            } catch {
                throw TokenError(.malformed, "the token's claims cannot be read")
            }
        }
    }
}
