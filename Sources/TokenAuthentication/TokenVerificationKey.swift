// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import FoundationEssentials
import SwiftASN1
package import X509

/// The public key of whoever issues tokens.
package struct TokenVerificationKey: Sendable {
    /// RSA keys with fewer bits verify nothing.
    package static let minimumRSABits = 2048
    /// Larger RSA keys cost too much.
    package static let maximumRSABits = 8192

    enum Backing: Sendable {
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case rsa(_RSA.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
    }

    let backing: Backing
    /// The SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), DER.
    package let derRepresentation: [UInt8]
    /// The key's name as Docker's registry up to 2.8 and Notary know it (libtrust): twelve groups of four characters.
    package let libtrustID: String
    /// The key's name by RFC 7638, as Docker's registry 3 knows it.
    package let thumbprint: String

    init(_ backing: Backing) throws {
        if case .rsa(let key) = backing {
            guard (Self.minimumRSABits...Self.maximumRSABits).contains(key.keySizeInBits) else {
                throw TokenError(
                    .key,
                    """
                    an RSA key of \(key.keySizeInBits) bits; it must have \(Self.minimumRSABits) to \(Self.maximumRSABits)
                    """
                )
            }
        }
        self.backing = backing
        let der = try backing.subjectPublicKeyInfo
        self.derRepresentation = der
        self.libtrustID = TokenKeyID.libtrust(der)
        self.thumbprint = try TokenKeyID.thumbprint(backing)
    }

    /// The key of a certificate, whatever the certificate says of it.
    /// - Throws: ``TokenError`` with code `key` for another kind of key, or a weak one.
    package init(_ certificate: Certificate) throws {
        let key = certificate.publicKey
        if let key = P256.Signing.PublicKey(key) {
            try self.init(.p256(key))
        } else if let key = P384.Signing.PublicKey(key) {
            try self.init(.p384(key))
        } else if let key = P521.Signing.PublicKey(key) {
            try self.init(.p521(key))
        } else if let key = _RSA.Signing.PublicKey(key) {
            try self.init(.rsa(key))
        } else if let key = Curve25519.Signing.PublicKey(key) {
            try self.init(.ed25519(key))
        } else {
            throw TokenError(.key, "a certificate with a key that is neither ECDSA, RSA nor Ed25519")
        }
    }

    /// The algorithms that this key may be used with: an algorithm never chooses the kind of key.
    package var algorithms: [TokenAlgorithm] {
        switch self.backing {
        case .p256: [.es256]
        case .p384: [.es384]
        case .p521: [.es512]
        case .rsa: [.rs256, .rs384, .rs512]
        case .ed25519: [.edDSA]
        }
    }

    /// Whether `signature` is this key's for `message`. False too for an algorithm that is not the key's.
    package func isValid(_ signature: [UInt8], for message: [UInt8], by algorithm: TokenAlgorithm) -> Bool {
        switch (self.backing, algorithm) {
        case (.p256(let key), .es256):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        case (.p384(let key), .es384):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        case (.p521(let key), .es512):
            guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        case (.rsa(let key), .rs256): return Self.verify(signature, SHA256.hash(data: message), key)
        case (.rsa(let key), .rs384): return Self.verify(signature, SHA384.hash(data: message), key)
        case (.rsa(let key), .rs512): return Self.verify(signature, SHA512.hash(data: message), key)
        case (.ed25519(let key), .edDSA): return key.isValidSignature(signature, for: message)
        default: return false
        }
    }

    private static func verify(
        _ signature: [UInt8],
        _ digest: some Crypto.Digest,
        _ key: _RSA.Signing.PublicKey
    ) -> Bool {
        key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature),
            for: digest,
            padding: .insecurePKCS1v1_5
        )
    }
}

extension TokenVerificationKey: Hashable {
    package static func == (left: TokenVerificationKey, right: TokenVerificationKey) -> Bool {
        left.derRepresentation == right.derRepresentation
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.derRepresentation)
    }
}

extension TokenVerificationKey.Backing {
    fileprivate var subjectPublicKeyInfo: [UInt8] {
        get throws {
            let key: Certificate.PublicKey =
                switch self {
                case .p256(let key): .init(key)
                case .p384(let key): .init(key)
                case .p521(let key): .init(key)
                case .rsa(let key): .init(key)
                case .ed25519(let key): .init(key)
                }
            var serializer = DER.Serializer()
            try serializer.serialize(key)
            return serializer.serializedBytes
        }
    }
}
