// SPDX-License-Identifier: Apache-2.0

import Crypto

/// The type of a key, which decides how its bytes are read and which signatures it verifies.
public struct KeyType: Sendable, Hashable, CustomStringConvertible {
    /// The name in metadata.
    public let name: String

    /// Takes a name as it is written; an unknown one can be kept and passed on, but verifies nothing.
    public init(_ name: String) {
        self.name = name
    }

    /// A DER SubjectPublicKeyInfo of P-256, P-384 or P-521.
    public static let ecdsa = KeyType("ecdsa")
    /// A PEM certificate of an ECDSA key.
    public static let ecdsaX509 = KeyType("ecdsa-x509")
    /// A DER SubjectPublicKeyInfo of an RSA key of 2048 bits or more.
    public static let rsa = KeyType("rsa")
    /// A PEM certificate of an RSA key.
    public static let rsaX509 = KeyType("rsa-x509")
    /// The 32 bytes of an Ed25519 key.
    public static let ed25519 = KeyType("ed25519")

    /// True when the bytes are a certificate.
    public var isCertificate: Bool { self == .ecdsaX509 || self == .rsaX509 }

    /// The name.
    public var description: String { self.name }

    /// Equality of bytes.
    public static func == (left: KeyType, right: KeyType) -> Bool { left.name.utf8.elementsEqual(right.name.utf8) }
}

/// A public key as metadata carries it.
public struct PublicKey: Sendable, Hashable {
    /// How the bytes are to be read.
    public let type: KeyType
    /// The key: SubjectPublicKeyInfo, PEM certificate or raw bytes, by its type.
    public let bytes: [UInt8]
    /// The identifier under which metadata and signatures name this key. For a certificate it changes with every
    /// new one.
    public let id: KeyID

    /// Makes a key and computes its identifier.
    public init(type: KeyType, bytes: [UInt8]) {
        self.type = type
        self.bytes = bytes
        let object: JSONValue = [
            "keytype": .string(type.name),
            "keyval": ["private": .null, "public": .string(Base64.encode(bytes))],
        ]
        self.id = KeyID(Hexadecimal.encode(SHA256.hash(data: CanonicalJSON.encode(object))))
    }

    /// The identifier of the bare key: of the one in the certificate, or ``id`` for all others. Files of private keys are
    /// named by it.
    /// - Throws: ``TUFError`` with code `invalidKey` for a certificate that cannot be read.
    public var canonicalID: KeyID {
        get throws { try self.withoutCertificate.id }
    }

    /// The bare key in the certificate, or this key when it is one.
    /// - Throws: ``TUFError`` with code `invalidKey` for a certificate that cannot be read.
    public var withoutCertificate: PublicKey {
        get throws {
            guard self.type.isCertificate else { return self }
            return PublicKey(
                type: self.type == .ecdsaX509 ? .ecdsa : .rsa,
                bytes: try VerificationKey(self).subjectPublicKeyInfo
            )
        }
    }

    /// Whether the signature is this key's over the message. False as well for a key that cannot be decoded.
    public func isValid(_ signature: Signature, for message: [UInt8]) -> Bool {
        guard let key = try? VerificationKey(self) else { return false }
        return key.isValid(signature, for: SignedMessage(message[...]))
    }
}
