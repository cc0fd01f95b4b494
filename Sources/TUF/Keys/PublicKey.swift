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

    /// A SubjectPublicKeyInfo of P-256, P-384 or P-521.
    public static let ecdsa = KeyType("ecdsa")
    /// A PEM certificate of an ECDSA key.
    public static let ecdsaX509 = KeyType("ecdsa-x509")
    /// A SubjectPublicKeyInfo of an RSA key of 2048 bits or more.
    public static let rsa = KeyType("rsa")
    /// A PEM certificate of an RSA key.
    public static let rsaX509 = KeyType("rsa-x509")
    /// An Ed25519 key of 32 bytes.
    public static let ed25519 = KeyType("ed25519")

    /// The type that old files of TUF's format have for ECDSA on P-256.
    public static let ecdsaP256 = KeyType("ecdsa-sha2-nistp256")
    /// The type that old files of TUF's format have for ECDSA on P-384.
    public static let ecdsaP384 = KeyType("ecdsa-sha2-nistp384")

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
    /// How it signs, where the format says so of the key (TUF); nil where each signature does (Notary).
    public let scheme: SignatureScheme?
    /// The key, by its type: SubjectPublicKeyInfo, PEM certificate or raw bytes in Notary's format; in TUF's the text that
    /// stands for it, a PEM SubjectPublicKeyInfo or hexadecimal digits.
    public let bytes: [UInt8]
    /// The identifier under which metadata and signatures name this key. For a certificate it changes with every
    /// new one. In TUF's format it is whatever the metadata lists the key under.
    public let id: KeyID
    /// The key as it was read, members that this version does not know included; nil for Notary's, which have none.
    let object: JSONValue?

    /// Makes a key of Notary's format and computes its identifier.
    public init(type: KeyType, bytes: [UInt8]) {
        self.type = type
        self.scheme = nil
        self.bytes = bytes
        self.object = nil
        let object: JSONValue = [
            "keytype": .string(type.name),
            "keyval": ["private": .null, "public": .string(Base64.encode(bytes))],
        ]
        self.id = KeyID(Hexadecimal.encode(SHA256.hash(data: CanonicalJSON.encode(object))))
    }

    /// Takes a key of TUF's format as it was read or made.
    init(type: KeyType, scheme: SignatureScheme, bytes: [UInt8], object: JSONValue, id: KeyID) {
        self.type = type
        self.scheme = scheme
        self.bytes = bytes
        self.object = object
        self.id = id
    }

    /// The identifier of the bare key: of the one in the certificate, or ``id`` for all others. Files of private keys are
    /// named by it.
    /// - Throws: ``TUFError`` with code `invalidKey` for a certificate that cannot be read.
    public var canonicalID: KeyID {
        get throws { try self.withoutCertificate.id }
    }

    /// The bare key in the certificate, or this key when it is one, as Notary spells it.
    /// - Throws: ``TUFError`` with code `invalidKey` for a certificate or key that cannot be read.
    public var withoutCertificate: PublicKey {
        get throws {
            guard self.type.isCertificate || self.scheme != nil else { return self }
            return try VerificationKey(self).publicKey
        }
    }

    /// Whether the signature is this key's over the message. False as well for a key that cannot be decoded.
    public func isValid(_ signature: Signature, for message: [UInt8]) -> Bool {
        guard let key = try? VerificationKey(self) else { return false }
        return key.isValid(signature, for: SignedMessage(message[...]))
    }

    /// The same key as a format spells it, for metadata of that format.
    /// - Throws: ``TUFError`` with code `invalidKey` when it cannot be read, or has no form there (TUF: a P-521 key).
    public func spelled(in format: WireFormat) throws -> PublicKey {
        switch format {
        case .notary: return self.scheme == nil ? self : try VerificationKey(self).publicKey
        case .tuf: return self.scheme == nil ? try TUFWire.key(VerificationKey(self)) : self
        }
    }
}
