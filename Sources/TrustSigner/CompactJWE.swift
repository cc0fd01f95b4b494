// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import KeyStore

/// JSON Web Encryption in compact form (RFC 7516) under a password (PBES2, RFC 7518 section 4.8) with AES-GCM: how
/// notary-signer keeps private keys in its database.
struct CompactJWE: Sendable {
    /// How the key that wraps is made from the passphrase. Equal ones make the same key, so it can be kept.
    struct Derivation: Sendable, Hashable {
        let algorithm: KeyWrapAlgorithm
        let salt: [UInt8]
        let iterations: Int

        /// Derives the wrapping key. Takes some tenths of a second of computing.
        func key(_ passphrase: Passphrase) throws -> SymmetricKey {
            try KDF.Insecure.PBKDF2.deriveKey(
                from: passphrase.bytes,
                salt: Array(self.algorithm.rawValue.utf8) + [0] + self.salt,
                using: self.algorithm.function,
                outputByteCount: self.algorithm.keySize,
                unsafeUncheckedRounds: self.iterations
            )
        }
    }

    enum KeyWrapAlgorithm: String, Sendable {
        /// What notary-signer writes.
        case hs256a128kw = "PBES2-HS256+A128KW"
        case hs384a192kw = "PBES2-HS384+A192KW"
        /// What we write.
        case hs512a256kw = "PBES2-HS512+A256KW"

        var function: KDF.Insecure.PBKDF2.HashFunction {
            switch self {
            case .hs256a128kw: .sha256
            case .hs384a192kw: .sha384
            case .hs512a256kw: .sha512
            }
        }

        var keySize: Int {
            switch self {
            case .hs256a128kw: 16
            case .hs384a192kw: 24
            case .hs512a256kw: 32
            }
        }
    }

    enum ContentEncryption: String, Sendable {
        case a128gcm = "A128GCM"
        case a192gcm = "A192GCM"
        case a256gcm = "A256GCM"

        var keySize: Int {
            switch self {
            case .a128gcm: 16
            case .a192gcm: 24
            case .a256gcm: 32
            }
        }
    }

    private struct Header: Decodable {
        var alg: String
        var enc: String
        var p2c: Int
        var p2s: String
        /// Extensions that must be understood, and compression: we have neither.
        var crit: [String]?
        var zip: String?
    }

    private static let maximumSize = 64 << 10
    private static let maximumIterations = 10_000_000
    private static let vectorSize = 12
    private static let tagSize = 16

    let derivation: Derivation
    private let encryption: ContentEncryption
    private let header: String
    private let wrappedKey: [UInt8]
    private let vector: [UInt8]
    private let ciphertext: [UInt8]
    private let tag: [UInt8]

    /// Reads the five parts.
    /// - Throws: ``KeyStoreError`` with code `malformed` or `unsupported`.
    init(_ text: String) throws {
        let parts = text.split(separator: ".", maxSplits: 5, omittingEmptySubsequences: false).map(String.init)
        guard text.utf8.count <= Self.maximumSize, parts.count == 5 else { throw Self.malformed }
        let bytes = try parts.map { part in
            guard let bytes = Self.decode(part) else { throw Self.malformed }
            return bytes
        }
        guard let header = try? JSONDecoder().decode(Header.self, from: Data(bytes[0])),
            let salt = Self.decode(header.p2s)
        else { throw Self.malformed }
        guard let algorithm = KeyWrapAlgorithm(rawValue: header.alg),
            let encryption = ContentEncryption(rawValue: header.enc), header.crit == nil, header.zip == nil,
            (1...Self.maximumIterations).contains(header.p2c), (8...1024).contains(salt.count)
        else {
            throw KeyStoreError(
                .unsupported,
                "a stored key is encrypted with \(header.alg.prefix(32)) and \(header.enc.prefix(32)), \(header.p2c) iterations"
            )
        }
        guard bytes[2].count == Self.vectorSize, bytes[4].count == Self.tagSize,
            bytes[1].count == encryption.keySize + 8
        else { throw Self.malformed }
        self.derivation = Derivation(algorithm: algorithm, salt: salt, iterations: header.p2c)
        self.encryption = encryption
        self.header = parts[0]
        self.wrappedKey = bytes[1]
        self.vector = bytes[2]
        self.ciphertext = bytes[3]
        self.tag = bytes[4]
    }

    /// Decrypts with the key that ``derivation`` made.
    /// - Throws: ``KeyStoreError`` with code `wrongPassphrase`, or `malformed` when the passphrase is right and the content was
    ///   changed.
    func decrypt(with wrappingKey: SymmetricKey) throws -> [UInt8] {
        guard let contentKey = try? AES.KeyWrap.unwrap(self.wrappedKey, using: wrappingKey) else {
            throw KeyStoreError(.wrongPassphrase, "the passphrase does not open the key")
        }
        do {
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: self.vector),
                ciphertext: self.ciphertext,
                tag: self.tag
            )
            return Array(try AES.GCM.open(box, using: contentKey, authenticating: Array(self.header.utf8)))
        } catch {
            throw Self.malformed
        }
    }

    /// Encrypts with the key that the derivation made, under a fresh content key.
    static func encrypt(
        _ plaintext: [UInt8],
        derivation: Derivation,
        wrappingKey: SymmetricKey
    ) throws -> String {
        let header = Self.encode(
            Array(
                """
                {"alg":"\(derivation.algorithm.rawValue)","enc":"\(ContentEncryption.a256gcm.rawValue)",\
                "p2c":\(derivation.iterations),"p2s":"\(Self.encode(derivation.salt))"}
                """.utf8
            )
        )
        let contentKey = SymmetricKey(size: .bits256)
        let box = try AES.GCM.seal(plaintext, using: contentKey, authenticating: Array(header.utf8))
        let parts = [
            Array(try AES.KeyWrap.wrap(contentKey, using: wrappingKey)), Array(box.nonce), Array(box.ciphertext),
            Array(box.tag),
        ]
        return ([header] + parts.map(Self.encode)).joined(separator: ".")
    }

    private static let malformed = KeyStoreError(
        .malformed,
        "a stored key is damaged: it is not a compact JWE, or was changed"
    )

    /// Base64url without padding (RFC 7515).
    static func encode(_ bytes: [UInt8]) -> String {
        String(
            Data(bytes).base64EncodedString().compactMap { character in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            }
        )
    }

    static func decode(_ text: String) -> [UInt8]? {
        guard !text.utf8.contains(where: { [UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "=")].contains($0) })
        else {
            return nil
        }
        var base64 = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        while !base64.utf8.count.isMultiple(of: 4) { base64 += "=" }
        return Data(base64Encoded: base64).map(Array.init)
    }
}
