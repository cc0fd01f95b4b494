// SPDX-License-Identifier: Apache-2.0

/// How a key of TUF's format signs: curve or padding, and hash.
public struct SignatureScheme: Sendable, Hashable, CustomStringConvertible {
    /// The name in metadata.
    public let name: String

    /// Takes a name as it is written; an unknown one can be kept and passed on, but verifies nothing.
    public init(_ name: String) {
        self.name = name
    }

    /// Ed25519.
    public static let ed25519 = SignatureScheme("ed25519")
    /// ECDSA on P-256 over SHA-256.
    public static let ecdsaP256 = SignatureScheme("ecdsa-sha2-nistp256")
    /// ECDSA on P-384 over SHA-384.
    public static let ecdsaP384 = SignatureScheme("ecdsa-sha2-nistp384")
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes.
    public static let rsaPSS = SignatureScheme("rsassa-pss-sha256")

    /// The name.
    public var description: String { self.name }

    /// Equality of bytes.
    public static func == (left: SignatureScheme, right: SignatureScheme) -> Bool {
        left.name.utf8.elementsEqual(right.name.utf8)
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        for byte in self.name.utf8 { hasher.combine(byte) }
    }
}
