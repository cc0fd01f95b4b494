// SPDX-License-Identifier: Apache-2.0

/// How a signature was made. It is a claim of the signer: the key's type decides which methods can verify.
public struct SignatureMethod: Sendable, Hashable, CustomStringConvertible {
    /// The name in metadata, lower case.
    public let name: String

    /// Takes a name as it is written.
    public init(_ name: String) {
        // ASCII only: a Kelvin sign is no k here.
        let isUpper = { (byte: UInt8) in (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
        self.name = String(decoding: name.utf8.map { isUpper($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// ECDSA over SHA-256.
    public static let ecdsa = SignatureMethod("ecdsa")
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes.
    public static let rsaPSS = SignatureMethod("rsapss")
    /// RSASSA-PKCS1-v1_5 with SHA-256: verified, never made.
    public static let rsaPKCS1v15 = SignatureMethod("rsapkcs1v15")
    /// Ed25519.
    public static let eddsa = SignatureMethod("eddsa")
    /// None is claimed: it was made by the scheme of its key, in the bytes that TUF's format has for it.
    public static let ofKey = SignatureMethod("")

    /// The name.
    public var description: String { self.name }

    /// Equality of bytes.
    public static func == (left: SignatureMethod, right: SignatureMethod) -> Bool {
        left.name.utf8.elementsEqual(right.name.utf8)
    }
}

/// One signature over the canonical form of a role's metadata.
public struct Signature: Sendable, Hashable {
    /// Which key made it.
    public var keyID: KeyID
    /// How it was made.
    public var method: SignatureMethod
    /// Its bytes: the plain signature for RSA and Ed25519; for ECDSA r‖s, or DER where the method is that of its key.
    public var bytes: [UInt8]

    /// Makes a signature value.
    public init(keyID: KeyID, method: SignatureMethod, bytes: [UInt8]) {
        self.keyID = keyID
        self.method = method
        self.bytes = bytes
    }
}

/// A private key that can sign, wherever it is kept.
public protocol SigningKey: Sendable {
    /// The key that verifies what this one signs, as the metadata names it.
    var publicKey: PublicKey { get }

    /// Signs a message (not a digest of it).
    func sign(_ message: [UInt8]) async throws -> Signature

    /// Signs a message by the scheme that metadata lists for the key. What comes back may be in the bytes of either format.
    func sign(_ message: [UInt8], scheme: SignatureScheme) async throws -> Signature
}

extension SigningKey {
    /// Signs as ``sign(_:)`` does: right for every scheme that hashes with SHA-256, and for Ed25519.
    public func sign(_ message: [UInt8], scheme: SignatureScheme) async throws -> Signature {
        try await self.sign(message)
    }
}
