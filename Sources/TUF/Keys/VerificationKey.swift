// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import SwiftASN1
import X509

/// A public key that has been decoded and found strong enough to verify with.
struct VerificationKey {
    private enum Key {
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case rsa(_RSA.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
    }

    /// The smallest RSA modulus that verifies, in bits.
    static let minimumRSABits = 2048

    private let key: Key

    /// Decodes a key of a known type.
    /// - Throws: ``TUFError`` with code `invalidKey`.
    init(_ publicKey: PublicKey) throws {
        do {
            switch publicKey.type {
            case .ecdsa: self.key = try Self.ecdsa(publicKey.bytes)
            case .rsa: self.key = .rsa(try _RSA.Signing.PublicKey(derRepresentation: publicKey.bytes))
            case .ed25519: self.key = .ed25519(try Curve25519.Signing.PublicKey(rawRepresentation: publicKey.bytes))
            case .ecdsaX509, .rsaX509:
                let certificate = try CertificateBundle(pem: publicKey.bytes).first
                self = try Self(certificate.publicKey)
                guard self.isRSA == (publicKey.type == .rsaX509) else {
                    throw TUFError(.invalidKey, "key \(publicKey.id): its certificate is not of type \(publicKey.type)")
                }
            default: throw TUFError(.invalidKey, "key \(publicKey.id) has the unknown type \(publicKey.type)")
            }
        } catch let error as TUFError {
            throw error
        } catch {
            throw TUFError(.invalidKey, "key \(publicKey.id) is not a valid \(publicKey.type) key: \(error)")
        }
        guard self.rsaBits.map({ $0 >= Self.minimumRSABits }) ?? true else {
            throw TUFError(.invalidKey, "key \(publicKey.id): RSA needs at least \(Self.minimumRSABits) bits")
        }
    }

    /// Takes the key out of a certificate.
    /// - Throws: ``TUFError`` with code `invalidKey` for an algorithm that does not sign metadata.
    init(_ key: Certificate.PublicKey) throws {
        if let key = P256.Signing.PublicKey(key) {
            self.key = .p256(key)
        } else if let key = P384.Signing.PublicKey(key) {
            self.key = .p384(key)
        } else if let key = P521.Signing.PublicKey(key) {
            self.key = .p521(key)
        } else if let key = _RSA.Signing.PublicKey(key) {
            self.key = .rsa(key)
        } else {
            throw TUFError(.invalidKey, "a certificate's key is neither ECDSA nor RSA")
        }
    }

    private static func ecdsa(_ der: [UInt8]) throws -> Key {
        if let key = try? P256.Signing.PublicKey(derRepresentation: der) { return .p256(key) }
        if let key = try? P384.Signing.PublicKey(derRepresentation: der) { return .p384(key) }
        return .p521(try P521.Signing.PublicKey(derRepresentation: der))
    }

    var isRSA: Bool {
        if case .rsa = self.key { true } else { false }
    }

    private var rsaBits: Int? {
        if case .rsa(let key) = self.key { key.keySizeInBits } else { nil }
    }

    /// What tells one key from another, whatever names it goes by: the DER SubjectPublicKeyInfo, or the raw Ed25519 key.
    var subjectPublicKeyInfo: [UInt8] {
        switch self.key {
        case .p256(let key): Array(key.derRepresentation)
        case .p384(let key): Array(key.derRepresentation)
        case .p521(let key): Array(key.derRepresentation)
        case .rsa(let key): Array(key.derRepresentation)
        case .ed25519(let key): Array(key.rawRepresentation)
        }
    }

    /// Whether the signature's bytes are this key's over the message, by a method that fits the key.
    func isValid(_ signature: Signature, for message: SignedMessage) -> Bool {
        switch (self.key, signature.method) {
        case (.p256(let key), .ecdsa):
            guard let value = try? P256.Signing.ECDSASignature(rawRepresentation: signature.bytes) else { return false }
            return key.isValidSignature(value, for: message.digest)
        case (.p384(let key), .ecdsa):
            guard let value = try? P384.Signing.ECDSASignature(rawRepresentation: signature.bytes) else { return false }
            return key.isValidSignature(value, for: message.digest)
        case (.p521(let key), .ecdsa):
            guard let value = try? P521.Signing.ECDSASignature(rawRepresentation: signature.bytes) else { return false }
            return key.isValidSignature(value, for: message.digest)
        case (.rsa(let key), .rsaPSS):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature.bytes),
                for: message.digest,
                padding: .PSS
            )
        case (.rsa(let key), .rsaPKCS1v15):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature.bytes),
                for: message.digest,
                padding: .insecurePKCS1v1_5
            )
        case (.ed25519(let key), .eddsa): return key.isValidSignature(signature.bytes, for: message.bytes)
        default: return false
        }
    }
}
