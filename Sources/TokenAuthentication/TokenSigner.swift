// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import FoundationEssentials
import SwiftASN1
package import X509

/// The private key of a token service, and how its tokens name it.
///
/// With certificates, tokens carry them (`x5c`) and the key's libtrust name (`kid`): docker-registry 2.8 and 3,
/// notary-server and Hallmark all find the key in a bundle that has the first certificate, or a CA's above it.
///
///     let signer = try TokenSigner(pem: keyPEM, certificates: chain)
///     let token = try signer.token(
///         JSONWebToken.Claims(issuer: "hallmark", subject: "alice", audience: ["registry.example"],
///             issuedAt: now, expires: now + 300, id: id, access: granted))
package struct TokenSigner: Sendable {
    private enum Backing: Sendable {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)
    }

    private let backing: Backing
    private let header: JSONWebToken.Header
    private let encodedHeader: String
    /// The key that verifies.
    package let verificationKey: TokenVerificationKey
    /// ES256 for a P-256 key, RS256 for an RSA key, and so on.
    package var algorithm: TokenAlgorithm { self.header.algorithm }

    /// A new P-256 key, which no certificate names.
    package static func generated() throws -> TokenSigner {
        try TokenSigner(.p256(P256.Signing.PrivateKey()), certificates: [])
    }

    /// A key from a PEM file: PKCS#8, SEC 1 or PKCS#1, not encrypted; ECDSA on P-256, P-384 or P-521, or RSA. (Neither
    /// docker-registry 2.8 nor notary-server knows Ed25519, so that is verified only.)
    /// - Parameter certificates: That of this key first, then those between it and the root; may be empty.
    /// - Throws: ``TokenError`` with code `key`.
    package init(pem: String, certificates: [Certificate] = []) throws {
        try self.init(try Self.backing(pem), certificates: certificates)
    }

    private init(_ backing: Backing, certificates: [Certificate]) throws {
        let publicKey: TokenVerificationKey.Backing =
            switch backing {
            case .p256(let key): .p256(key.publicKey)
            case .p384(let key): .p384(key.publicKey)
            case .p521(let key): .p521(key.publicKey)
            case .rsa(let key): .rsa(key.publicKey)
            }
        let verificationKey = try TokenVerificationKey(publicKey)
        guard let algorithm = verificationKey.algorithms.first else { throw TokenError(.key, "a key that cannot sign") }
        if let first = certificates.first, try TokenVerificationKey(first) != verificationKey {
            throw TokenError(.key, "the first certificate is not that of the key; put the key's own certificate first")
        }
        guard certificates.count <= JSONWebToken.maximumCertificateCount else {
            throw TokenError(.key, "more than \(JSONWebToken.maximumCertificateCount) certificates")
        }
        self.backing = backing
        self.verificationKey = verificationKey
        self.header = JSONWebToken.Header(
            algorithm: algorithm,
            keyID: verificationKey.libtrustID,
            certificates: certificates.isEmpty ? nil : try certificates.map(Self.der)
        )
        self.encodedHeader = Base64URL.encode(try JSONWebToken.encoder.encode(self.header))
    }

    /// A signed token: what goes after `Bearer`.
    package func token(_ claims: JSONWebToken.Claims) throws -> String {
        let message = "\(self.encodedHeader).\(Base64URL.encode(try JSONWebToken.encoder.encode(claims)))"
        return "\(message).\(Base64URL.encode(try self.signature(for: Array(message.utf8))))"
    }

    /// The private key, PEM (PKCS#8 where the key's kind has it).
    package var pem: String {
        switch self.backing {
        case .p256(let key): key.pemRepresentation
        case .p384(let key): key.pemRepresentation
        case .p521(let key): key.pemRepresentation
        case .rsa(let key): key.pkcs8PEMRepresentation
        }
    }

    private func signature(for message: [UInt8]) throws -> Data {
        switch self.backing {
        case .p256(let key): try key.signature(for: message).rawRepresentation
        case .p384(let key): try key.signature(for: message).rawRepresentation
        case .p521(let key): try key.signature(for: message).rawRepresentation
        case .rsa(let key):
            try key.signature(for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5).rawRepresentation
        }
    }

    private static func der(_ certificate: Certificate) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }

    private static func backing(_ pem: String) throws -> Backing {
        if let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) { return .p256(key) }
        if let key = try? P384.Signing.PrivateKey(pemRepresentation: pem) { return .p384(key) }
        if let key = try? P521.Signing.PrivateKey(pemRepresentation: pem) { return .p521(key) }
        if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem) { return .rsa(key) }
        throw TokenError(
            .key,
            "not a private key that is understood: it must be PEM, not encrypted, and ECDSA or RSA of 2048 bits or more"
        )
    }
}
