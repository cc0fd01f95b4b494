// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import KeyStore
import Synchronization

/// Encrypts and decrypts stored keys, and remembers the wrapping keys that it derived.
///
/// RFC 7518 wants a new salt for each encryption. All keys of one alias have the same passphrase, so one salt for each alias and
/// run of the process gives away nothing (who guesses the passphrase of one has them all), and it makes a restart cost one
/// derivation for each earlier run instead of one for each key.
final class KeyEncryption: Sendable {
    private struct Wrapping: Hashable {
        let passphrase: Passphrase
        let derivation: CompactJWE.Derivation
    }

    /// Wrapping keys that are kept; Notary's rows have a salt each, and must not fill the memory.
    private static let maximumKept = 256

    /// What RFC 7518 asks for at least. To try 2^256 passphrases is out of reach whatever one costs, and each start of the
    /// signer pays it.
    private static let iterationsOfRandom = 1000

    private let iterations: Int
    private let salts = Mutex<[Passphrase: [UInt8]]>([:])
    /// Held while deriving, which only happens on threads for such work: nobody derives what another is about to have.
    private let wrappingKeys = Mutex<[Wrapping: SymmetricKey]>([:])

    /// - Parameter iterations: of PBKDF2-HMAC-SHA512, for keys that are written under a passphrase that people choose.
    init(iterations: Int) {
        self.iterations = iterations
    }

    /// Encrypts a key's bytes into a compact JWE. Blocks, the first time for some tenths of a second.
    func encrypt(_ plaintext: [UInt8], passphrase: Passphrase) throws -> String {
        let salt = self.salts.withLock { salts in
            if let salt = salts[passphrase] { return salt }
            let salt = SymmetricKey(size: .bits128).withUnsafeBytes { Array($0) }
            salts[passphrase] = salt
            return salt
        }
        let derivation = CompactJWE.Derivation(
            algorithm: .hs512a256kw,
            salt: salt,
            iterations: passphrase.isRandom ? min(self.iterations, Self.iterationsOfRandom) : self.iterations
        )
        let wrappingKey = try self.wrappingKey(Wrapping(passphrase: passphrase, derivation: derivation))
        return try CompactJWE.encrypt(plaintext, derivation: derivation, wrappingKey: wrappingKey)
    }

    /// Decrypts a compact JWE. Blocks, the first time for a salt for some tenths of a second.
    /// - Throws: ``KeyStoreError`` with code `wrongPassphrase`, `malformed` or `unsupported`.
    func decrypt(_ text: String, passphrase: Passphrase) throws -> [UInt8] {
        let encrypted = try CompactJWE(text)
        let wrapping = Wrapping(passphrase: passphrase, derivation: encrypted.derivation)
        return try encrypted.decrypt(with: self.wrappingKey(wrapping))
    }

    private func wrappingKey(_ wrapping: Wrapping) throws -> SymmetricKey {
        try self.wrappingKeys.withLock { keys in
            if let key = keys[wrapping] { return key }
            let key = try wrapping.derivation.key(wrapping.passphrase)
            if keys.count >= Self.maximumKept { keys.removeAll() }
            keys[wrapping] = key
            return key
        }
    }
}

extension Passphrase {
    /// Whether it has the form of those that ``SignerPassphraseFile`` makes: 256 random bits in base64url.
    var isRandom: Bool {
        self.bytes.count == 43 && CompactJWE.decode(String(decoding: self.bytes, as: UTF8.self))?.count == 32
    }
}
