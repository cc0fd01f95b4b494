// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import DurableFiles
import FoundationEssentials
import SwiftASN1
package import TUF
package import X509

/// A private key on a token that its user has logged in to. The token signs; the key never leaves it.
package struct TokenKey: UnlockedKey {
    /// What a token is told of a public key, and tells of it.
    enum Kind: Sendable {
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case rsa(_RSA.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)

        /// The bare key as Notary spells it.
        var publicKey: PublicKey {
            switch self {
            case .p256(let key): PublicKey(type: .ecdsa, bytes: Array(key.derRepresentation))
            case .p384(let key): PublicKey(type: .ecdsa, bytes: Array(key.derRepresentation))
            case .rsa(let key): PublicKey(type: .rsa, bytes: Array(key.derRepresentation))
            case .ed25519(let key): PublicKey(type: .ed25519, bytes: Array(key.rawRepresentation))
            }
        }
    }

    /// What a key wants that asks for the PIN for each use.
    struct Approval: Sendable {
        /// Nil where it is typed at the token.
        let pin: Passphrase?
    }

    let kind: Kind
    let token: HardwareToken
    let slot: CryptokiModule.Slot
    /// CKA_ID of both halves.
    let identifier: [UInt8]
    /// Nil for a key that signs as long as its user is logged in.
    let approval: Approval?

    /// The bare public key.
    package var publicKey: PublicKey { self.kind.publicKey }

    /// Signs a message (not a digest of it), as Notary's format has it.
    /// - Throws: ``KeyStoreError`` with code `token`.
    package func sign(_ message: [UInt8]) async throws -> Signature {
        let digest = Array(SHA256.hash(data: message))
        let key = self.publicKey
        let signature =
            switch self.kind {
            case .p256, .p384:
                Signature(keyID: key.id, method: .ecdsa, bytes: try await self.sign(digest, .ecdsa))
            case .rsa: Signature(keyID: key.id, method: .rsaPSS, bytes: try await self.sign(digest, .rsaPSS))
            case .ed25519: Signature(keyID: key.id, method: .eddsa, bytes: try await self.sign(message, .eddsa))
            }
        // Only CKA_ID says that the two halves belong together, and anybody can write that.
        guard key.isValid(signature, for: message) else { throw self.mismatch }
        return signature
    }

    private var mismatch: KeyStoreError {
        KeyStoreError(
            .token,
            "what \(self.slot.uri) signs with the key \(self.publicKey.id), its public half does not verify: they do not belong together"
        )
    }

    /// Signs a message by a scheme of TUF's format.
    /// - Throws: ``KeyStoreError`` with code `token`.
    package func sign(_ message: [UInt8], scheme: SignatureScheme) async throws -> Signature {
        guard case .p384(let key) = self.kind, scheme == .ecdsaP384 else { return try await self.sign(message) }
        let digest = SHA384.hash(data: message)
        let bytes = try await self.sign(Array(digest), .ecdsa)
        guard let value = try? P384.Signing.ECDSASignature(rawRepresentation: bytes),
            key.isValidSignature(value, for: digest)
        else { throw self.mismatch }
        return Signature(keyID: self.publicKey.id, method: .ecdsa, bytes: bytes)
    }

    private func sign(_ data: [UInt8], _ method: TokenSigningMethod) async throws -> [UInt8] {
        let signature = try await self.token.sign(data, method, with: self)
        let size: Int? =
            switch self.kind {
            case .p256: 64
            case .p384: 96
            case .ed25519: 64
            case .rsa: nil
            }
        guard size.map({ $0 == signature.count }) ?? true else {
            throw KeyStoreError(.token, "\(self.slot.label) made a signature of \(signature.count) bytes")
        }
        return signature
    }

    /// The key to sign a certificate with, asynchronously only.
    package var certificateKey: Certificate.PrivateKey {
        get throws {
            switch self.kind {
            case .p256(let key): Certificate.PrivateKey(CertificateKey(key: self, publicKey: .init(key)))
            case .p384(let key): Certificate.PrivateKey(CertificateKey(key: self, publicKey: .init(key)))
            case .rsa(let key): Certificate.PrivateKey(CertificateKey(key: self, publicKey: .init(key)))
            case .ed25519: throw KeyStoreError(.unsupported, "an Ed25519 key is in no certificate of a root")
            }
        }
    }

    /// What precedes a SHA-256 digest in PKCS#1's DigestInfo (RFC 8017, section 9.2).
    private static let digestInfoPrefix: [UInt8] = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ]

    private struct CertificateKey: CustomPrivateKey {
        let key: TokenKey
        let publicKey: Certificate.PublicKey

        var defaultSignatureAlgorithm: Certificate.SignatureAlgorithm {
            if case .rsa = self.key.kind { .sha256WithRSAEncryption } else { .ecdsaWithSHA256 }
        }

        var supportedSignatureAlgorithms: [Certificate.SignatureAlgorithm] { [self.defaultSignatureAlgorithm] }

        func signSynchronously(
            bytes: some DataProtocol,
            signatureAlgorithm: Certificate.SignatureAlgorithm
        ) throws -> Certificate.Signature {
            throw KeyStoreError(.unsupported, "a token signs asynchronously only")
        }

        func signAsynchronously(
            bytes: some DataProtocol & Sendable,
            signatureAlgorithm: Certificate.SignatureAlgorithm
        ) async throws -> Certificate.Signature {
            guard signatureAlgorithm == self.defaultSignatureAlgorithm else {
                throw KeyStoreError(.unsupported, "a token signs certificates with SHA-256, not \(signatureAlgorithm)")
            }
            let digest = Array(SHA256.hash(data: bytes))
            let signature: [UInt8]
            switch self.key.kind {
            case .p256:
                let raw = try await self.key.sign(digest, .ecdsa)
                signature = Array(try P256.Signing.ECDSASignature(rawRepresentation: raw).derRepresentation)
            case .p384:
                let raw = try await self.key.sign(digest, .ecdsa)
                signature = Array(try P384.Signing.ECDSASignature(rawRepresentation: raw).derRepresentation)
            case .rsa: signature = try await self.key.sign(TokenKey.digestInfoPrefix + digest, .rsaPKCS1)
            case .ed25519: throw KeyStoreError(.unsupported, "an Ed25519 key is in no certificate of a root")
            }
            return try Certificate.Signature(
                signatureAlgorithm: signatureAlgorithm,
                signatureBytes: ASN1BitString(bytes: signature[...])
            )
        }

        func serialize(into coder: inout DER.Serializer) throws {
            throw KeyStoreError(.unsupported, "a key on a token cannot be taken out of it")
        }

        func serializeAsPEM(discriminator: String) throws -> PEMDocument {
            throw KeyStoreError(.unsupported, "a key on a token cannot be taken out of it")
        }

        static var defaultPEMDiscriminator: String { "PRIVATE KEY" }

        static func == (left: Self, right: Self) -> Bool { left.publicKey == right.publicKey }

        func hash(into hasher: inout Hasher) { hasher.combine(self.publicKey) }
    }
}
