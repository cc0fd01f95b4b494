// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
package import Foundation
import Logging
package import TokenAuthentication

/// A token service for tests: issues good tokens and bad ones, and has the verifier that tells them apart.
package struct TokenIssuer: Sendable {
    /// A token that must not count.
    package struct BadToken: Sendable, CustomStringConvertible {
        package let description: String
        package let token: String
    }

    /// The time that the verifier has.
    package static let now = Date(timeIntervalSince1970: 1_800_000_000)
    private static let seconds: Int64 = 1_800_000_000

    package let verifier: TokenVerifier
    private let key: _RSA.Signing.PrivateKey
    private let signer: TokenSigner

    /// One for all tests: its key takes time to make.
    package static let shared = Result { try TokenIssuer() }

    private init() throws {
        self.key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        self.signer = try TokenSigner(pem: self.key.pemRepresentation)
        var keys = TrustedTokenKeys()
        try keys.trust(self.signer.verificationKey)
        self.verifier = try TokenVerifier(
            AuthenticationConfiguration(realm: "https://auth.example/token", service: "test", issuer: "issuer"),
            keys: keys,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: { Self.now }
        )
    }

    /// A token for alice, good for five minutes.
    package func token(_ access: [AccessEntry]) throws -> String {
        try self.signer.token(Self.claims(access))
    }

    private static func claims(
        _ access: [AccessEntry],
        issuer: String = "issuer",
        audience: String = "test",
        start: Int64 = 0
    ) -> JSONWebToken.Claims {
        JSONWebToken.Claims(
            issuer: issuer,
            subject: "alice",
            audience: [audience],
            issuedAt: Self.seconds + start,
            expires: Self.seconds + start + 300,
            id: "\(UInt64.random(in: 0...UInt64.max))",
            access: access
        )
    }

    /// Tokens that say that they grant this, and must not.
    package func badTokens(_ access: [AccessEntry]) throws -> [BadToken] {
        let stranger = try TokenSigner.generated()
        let strangerKey = try P256.Signing.PrivateKey(pemRepresentation: stranger.pem)
        let id = self.signer.verificationKey.libtrustID
        let good = try self.token(access)
        let claims = try JSONEncoder().encode(Self.claims(access))
        func forged(_ header: String, _ signature: (Data) throws -> Data) rethrows -> String {
            let message = "\(Self.base64(Data(header.utf8))).\(Self.base64(claims))"
            return "\(message).\(Self.base64(try signature(Data(message.utf8))))"
        }
        return [
            BadToken(description: "expired", token: try self.signer.token(Self.claims(access, start: -400))),
            BadToken(description: "not yet valid", token: try self.signer.token(Self.claims(access, start: 100))),
            BadToken(description: "issuer", token: try self.signer.token(Self.claims(access, issuer: "other"))),
            BadToken(description: "audience", token: try self.signer.token(Self.claims(access, audience: "other"))),
            BadToken(description: "foreign key", token: try stranger.token(Self.claims(access))),
            BadToken(
                description: "foreign key under a trusted name",
                token: try forged(#"{"alg":"ES256","typ":"JWT","kid":"\#(id)"}"#) {
                    try strangerKey.signature(for: $0).rawRepresentation
                }
            ),
            BadToken(
                description: "public key as a secret",
                token: forged(#"{"alg":"HS256","typ":"JWT","kid":"\#(id)"}"#) { message in
                    let secret = SymmetricKey(data: Data(self.key.publicKey.pemRepresentation.utf8))
                    return Data(HMAC<SHA256>.authenticationCode(for: message, using: secret))
                }
            ),
            BadToken(
                description: "no signature",
                token: forged(#"{"alg":"none","typ":"JWT","kid":"\#(id)"}"#) { _ in Data() }
            ),
            BadToken(description: "cut", token: String(good.dropLast(2))),
            BadToken(description: "garbage", token: "garbage"),
            BadToken(description: "huge", token: good + String(repeating: "A", count: 40_000)),
        ]
    }

    private static func base64(_ data: Data) -> String {
        var text = data.base64EncodedString()
        text.replace("+", with: "-")
        text.replace("/", with: "_")
        return String(text.prefix { $0 != "=" })
    }
}
