// SPDX-License-Identifier: Apache-2.0

import CryptoExtras

/// How a private key's file is encrypted.
package enum KeyEncryption: Sendable, Hashable {
    /// PBKDF2 with HMAC-SHA1 and AES-256-CBC: all that Go's notary and docker read.
    case notary(iterations: Int)
    /// PBKDF2 with HMAC-SHA256 and AES-256-CBC, which OpenSSL reads, and not notary and docker.
    case openssl(iterations: Int)
    /// scrypt and AES-256-CBC, which OpenSSL reads, and not notary and docker.
    case scrypt

    /// Names the iterations of new key files in trust directories.
    package static let iterationsVariable = "HALLMARK_KEY_ITERATIONS"
    /// OWASP's figures for PBKDF2 with HMAC-SHA1 and HMAC-SHA256.
    package static let notaryIterations = 1_300_000
    package static let opensslIterations = 600_000
    /// Fewer are not set: five times what notary itself has.
    package static let minimumIterations = 10_000

    /// How new keys are kept, unless somebody says otherwise.
    package static let standard = KeyEncryption.notary(iterations: Self.notaryIterations)

    /// What OWASP has for scrypt in as much memory (16 MiB) as OpenSSL spends.
    static let scryptCost = (rounds: 1 << 14, blockSize: 8, parallelism: 5)

    /// - Parameter environment: the process's variables; the standard where they name nothing.
    /// - Throws: ``KeyStoreError`` with code `unsupported` for a number that is out of bounds.
    package init(environment: [String: String]) throws {
        guard let text = environment[Self.iterationsVariable], !text.isEmpty else {
            self = .standard
            return
        }
        guard let iterations = Int(text),
            (Self.minimumIterations...EncryptedPKCS8.maximumIterations).contains(iterations)
        else {
            throw KeyStoreError(
                .unsupported,
                "\(Self.iterationsVariable) is \(text.prefix(32)); it is a number from \(Self.minimumIterations) to "
                    + "\(EncryptedPKCS8.maximumIterations)"
            )
        }
        self = .notary(iterations: iterations)
    }
}
