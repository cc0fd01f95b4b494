// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import TUF

/// A public key in a file to hand around: PEM SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it, or a certificate.
package enum PublicKeyFile {
    private static let type = "PUBLIC KEY"
    private static let certificateType = "CERTIFICATE"
    /// What precedes the 32 bytes of an Ed25519 key (RFC 8410, section 4).
    private static let ed25519Prefix: [UInt8] = [
        0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]
    /// The most bytes that such a file has.
    package static let limit = 64 << 10

    /// The text of a key's file.
    /// - Throws: `TUFError` with code `invalidKey`.
    package static func text(_ key: PublicKey) throws -> String {
        let bare = try key.withoutCertificate
        let content = bare.type == .ed25519 ? self.ed25519Prefix + bare.bytes : bare.bytes
        return try PEMBlock(type: self.type, content: content).serialized()
    }

    /// The text of a key's file that says what the key signs, as notary writes it.
    /// - Throws: `TUFError` with code `invalidKey`; ``KeyStoreError`` with code `invalidName`.
    package static func text(_ key: PublicKey, role: RoleName) throws -> String {
        guard var block = try PEMBlock.parse(self.text(key)).first else { return "" }
        block.headers["role"] = role.text
        return try block.serialized()
    }

    /// Reads a key, and spells it as TUF's format does.
    /// - Throws: ``KeyStoreError`` with code `malformed`; `TUFError` with code `invalidKey`.
    package static func key(_ bytes: [UInt8]) throws -> PublicKey {
        guard let block = try self.blocks(bytes).first(where: { $0.type == self.type }) else {
            throw KeyStoreError(.malformed, "it holds no public key in PEM: -----BEGIN \(self.type)----- is missing")
        }
        return try self.bareKey(block.content).spelled(in: .tuf)
    }

    /// Reads a key or a certificate as Notary lists it in a delegation: of a certificate the whole of it.
    /// - Parameter now: when the certificate must be in force.
    /// - Throws: ``KeyStoreError`` with code `malformed`; `TUFError` with code `invalidKey`.
    package static func listedKey(_ bytes: [UInt8], at now: Date) throws -> PublicKey {
        guard let block = try self.blocks(bytes).first(where: { [self.type, self.certificateType].contains($0.type) })
        else { throw KeyStoreError(.malformed, "it holds neither a certificate nor a public key in PEM") }
        guard block.type == self.certificateType else { return try self.bareKey(block.content) }
        let pem = try PEMBlock(type: block.type, content: block.content).serialized()
        return try PublicKey(certificates: Array(pem.utf8), at: now)
    }

    /// Reads the certificate of a root key, with those of its authorities if there are any.
    /// - Parameters:
    ///   - gun: the collection whose root it signs.
    ///   - now: when it must be in force.
    /// - Throws: ``KeyStoreError`` with code `malformed`; `TUFError` with code `invalidKey` or `untrustedRoot`.
    package static func rootCertificate(_ bytes: [UInt8], for gun: String, at now: Date) throws -> PublicKey {
        let blocks = try self.blocks(bytes).filter { $0.type == self.certificateType }
        guard !blocks.isEmpty else { throw KeyStoreError(.malformed, "it holds no certificate in PEM") }
        let pem = try blocks.map { try PEMBlock(type: $0.type, content: $0.content).serialized() }.joined()
        let key = try PublicKey(certificates: Array(pem.utf8), at: now)
        try key.requireRootCertificate(for: gun, at: now)
        return key
    }

    private static func blocks(_ bytes: [UInt8]) throws -> [PEMBlock] {
        guard bytes.count <= self.limit else {
            throw KeyStoreError(.malformed, "a public key's file has at most \(self.limit) bytes")
        }
        return try PEMBlock.parse(String(decoding: bytes, as: UTF8.self))
    }

    private static func bareKey(_ content: [UInt8]) throws -> PublicKey {
        if content.starts(with: self.ed25519Prefix) {
            return PublicKey(type: .ed25519, bytes: Array(content.dropFirst(self.ed25519Prefix.count)))
        }
        // The type says how to read the bytes; the one that can tells which it is.
        let key = PublicKey(type: .ecdsa, bytes: content)
        if (try? key.spelled(in: .tuf)) != nil { return key }
        let other = PublicKey(type: .rsa, bytes: content)
        _ = try other.spelled(in: .tuf)
        return other
    }
}
