// SPDX-License-Identifier: Apache-2.0

package import Crypto
package import CryptoExtras
import DurableFiles
import Foundation
import SwiftASN1
package import TUF
package import X509

/// A private key in memory, which signs in the forms that Notary verifies (ECDSA as r‖s, RSA as PSS).
package struct PrivateKey: UnlockedKey, CustomStringConvertible, CustomReflectable {
    /// The smallest RSA modulus that verifies, and the largest that is worth its time, in bits.
    package static let minimumRSABits = 2048
    package static let maximumRSABits = 8192

    /// The key itself.
    package enum Material: Sendable {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    /// What kind of key to make.
    package enum Algorithm: Sendable, Hashable {
        case p256
        case p384
        case p521
        /// With a modulus of so many bits.
        case rsa(bits: Int)
        case ed25519
    }

    /// The key itself.
    package let material: Material
    /// The bare public key: its id is what key files are named by.
    package let publicKey: PublicKey

    /// Takes a key that a library has made or read.
    package init(_ material: Material) {
        self.material = material
        self.publicKey =
            switch material {
            case .p256(let key): PublicKey(type: .ecdsa, bytes: Array(key.publicKey.derRepresentation))
            case .p384(let key): PublicKey(type: .ecdsa, bytes: Array(key.publicKey.derRepresentation))
            case .p521(let key): PublicKey(type: .ecdsa, bytes: Array(key.publicKey.derRepresentation))
            case .rsa(let key): PublicKey(type: .rsa, bytes: Array(key.publicKey.derRepresentation))
            case .ed25519(let key): PublicKey(type: .ed25519, bytes: Array(key.publicKey.rawRepresentation))
            }
    }

    /// Makes a new key. RSA takes a second or more, so it runs on a thread of its own.
    /// - Throws: ``KeyStoreError`` with code `unsupported` for an RSA size out of bounds.
    package static func generate(_ algorithm: Algorithm) async throws -> PrivateKey {
        switch algorithm {
        case .p256: return PrivateKey(.p256(P256.Signing.PrivateKey()))
        case .p384: return PrivateKey(.p384(P384.Signing.PrivateKey()))
        case .p521: return PrivateKey(.p521(P521.Signing.PrivateKey()))
        case .ed25519: return PrivateKey(.ed25519(Curve25519.Signing.PrivateKey()))
        case .rsa(let bits):
            guard (Self.minimumRSABits...Self.maximumRSABits).contains(bits), bits.isMultiple(of: 256) else {
                throw KeyStoreError(
                    .unsupported,
                    "an RSA key of \(bits) bits: use a multiple of 256 from \(Self.minimumRSABits) to \(Self.maximumRSABits)"
                )
            }
            return try await BlockingWork.run {
                PrivateKey(.rsa(try _RSA.Signing.PrivateKey(keySize: _RSA.Signing.KeySize(bitCount: bits))))
            }
        }
    }

    /// Signs a message (not a digest of it) under the id of ``publicKey``.
    package func sign(_ message: [UInt8]) throws -> Signature {
        try self.sign(message, as: self.publicKey)
    }

    /// Signs under the id of another form of the same key: the certificate under which metadata names it.
    package func sign(_ message: [UInt8], as publicKey: PublicKey) throws -> Signature {
        let digest = SHA256.hash(data: message)
        return switch self.material {
        case .p256(let key):
            Signature(
                keyID: publicKey.id,
                method: .ecdsa,
                bytes: Array(try key.signature(for: digest).rawRepresentation)
            )
        case .p384(let key):
            Signature(
                keyID: publicKey.id,
                method: .ecdsa,
                bytes: Array(try key.signature(for: digest).rawRepresentation)
            )
        case .p521(let key):
            Signature(
                keyID: publicKey.id,
                method: .ecdsa,
                bytes: Array(try key.signature(for: digest).rawRepresentation)
            )
        case .rsa(let key):
            Signature(
                keyID: publicKey.id,
                method: .rsaPSS,
                bytes: Array(try key.signature(for: digest, padding: .PSS).rawRepresentation)
            )
        case .ed25519(let key):
            Signature(keyID: publicKey.id, method: .eddsa, bytes: Array(try key.signature(for: message)))
        }
    }

    /// Signs a message by a scheme of TUF's format: ECDSA on P-384 hashes with SHA-384 there, with SHA-256 in Notary's.
    package func sign(_ message: [UInt8], scheme: SignatureScheme) throws -> Signature {
        guard case .p384(let key) = self.material, scheme == .ecdsaP384 else { return try self.sign(message) }
        let signature = try key.signature(for: SHA384.hash(data: message))
        return Signature(keyID: self.publicKey.id, method: .ecdsa, bytes: Array(signature.rawRepresentation))
    }

    /// The key as the X.509 library takes it, to sign a root certificate with.
    package var certificateKey: Certificate.PrivateKey {
        switch self.material {
        case .p256(let key): Certificate.PrivateKey(key)
        case .p384(let key): Certificate.PrivateKey(key)
        case .p521(let key): Certificate.PrivateKey(key)
        case .rsa(let key): Certificate.PrivateKey(key)
        case .ed25519(let key): Certificate.PrivateKey(key)
        }
    }

    /// The public key's id: never the key.
    package var description: String { "<private key \(self.publicKey.id)>" }

    /// Nothing to look into.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A private key under the name that metadata gives it: its certificate's id in Notary's, whatever it is listed by in TUF's.
package struct ListedPrivateKey: SigningKey {
    /// The key as metadata names it.
    package let publicKey: PublicKey
    private let privateKey: any UnlockedKey

    /// - Throws: ``KeyStoreError`` with code `malformed` when the listed key or certificate is of another private key.
    package init(_ privateKey: any UnlockedKey, as publicKey: PublicKey) throws {
        guard try publicKey.canonicalID == privateKey.publicKey.id else {
            throw KeyStoreError(.malformed, "\(publicKey.id) is not of the private key \(privateKey.publicKey.id)")
        }
        self.privateKey = privateKey
        self.publicKey = publicKey
    }

    /// Signs a message under the listed id.
    package func sign(_ message: [UInt8]) async throws -> Signature {
        var signature = try await self.privateKey.sign(message)
        signature.keyID = self.publicKey.id
        return signature
    }

    /// Signs a message by a scheme.
    package func sign(_ message: [UInt8], scheme: SignatureScheme) async throws -> Signature {
        try await self.privateKey.sign(message, scheme: scheme)
    }
}

extension PrivateKey.Material {
    /// The curve's identifier, for the keys that have one.
    var curve: ASN1ObjectIdentifier? {
        switch self {
        case .p256: AlgorithmIdentifiers.p256
        case .p384: AlgorithmIdentifiers.p384
        case .p521: AlgorithmIdentifiers.p521
        case .rsa, .ed25519: nil
        }
    }

    /// The private number of an EC key.
    var scalar: [UInt8]? {
        switch self {
        case .p256(let key): Array(key.rawRepresentation)
        case .p384(let key): Array(key.rawRepresentation)
        case .p521(let key): Array(key.rawRepresentation)
        case .rsa, .ed25519: nil
        }
    }

    /// The public point of an EC key, uncompressed.
    var x963Point: [UInt8]? {
        switch self {
        case .p256(let key): Array(key.publicKey.x963Representation)
        case .p384(let key): Array(key.publicKey.x963Representation)
        case .p521(let key): Array(key.publicKey.x963Representation)
        case .rsa, .ed25519: nil
        }
    }
}
