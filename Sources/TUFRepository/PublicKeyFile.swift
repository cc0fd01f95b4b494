// SPDX-License-Identifier: Apache-2.0

package import TUF

/// A public key in a file to hand around: PEM SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it.
package enum PublicKeyFile {
    private static let begin = "-----BEGIN PUBLIC KEY-----"
    private static let end = "-----END PUBLIC KEY-----"
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
        let digits = Base64.encode(bare.type == .ed25519 ? self.ed25519Prefix + bare.bytes : bare.bytes)
        var lines = [self.begin]
        var rest = Substring(digits)
        while !rest.isEmpty {
            lines.append(String(rest.prefix(64)))
            rest = rest.dropFirst(64)
        }
        return (lines + [self.end, ""]).joined(separator: "\n")
    }

    /// Reads a key, and spells it as TUF's format does.
    /// - Throws: ``RepositoryError`` with code `malformed`; `TUFError` with code `invalidKey`.
    package static func key(_ bytes: [UInt8]) throws -> PublicKey {
        let lines = String(decoding: bytes.prefix(self.limit), as: UTF8.self)
            .split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace || $0 == " " } }
        guard let first = lines.firstIndex(of: self.begin), let last = lines[first...].firstIndex(of: self.end),
            let content = Base64.decode(lines[(first + 1)..<last].joined())
        else {
            throw RepositoryError(.malformed, "it is not a public key in PEM: \(self.begin) is missing or damaged")
        }
        if content.starts(with: self.ed25519Prefix) {
            return try PublicKey(type: .ed25519, bytes: Array(content.dropFirst(self.ed25519Prefix.count)))
                .spelled(in: .tuf)
        }
        // The type says how to read the bytes; the one that can tells which it is.
        if let key = try? PublicKey(type: .ecdsa, bytes: content).spelled(in: .tuf) { return key }
        return try PublicKey(type: .rsa, bytes: content).spelled(in: .tuf)
    }
}
