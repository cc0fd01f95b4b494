// SPDX-License-Identifier: Apache-2.0

/// Why a private key could not be read, unlocked or kept. Two errors are equal when their codes are.
package struct KeyStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    package enum Code: String, Sendable, Hashable {
        /// The bytes are not a private key, or a damaged one.
        case malformed
        /// A private key, or its encryption, of a kind that is not supported.
        case unsupported
        /// The passphrase does not open the key.
        case wrongPassphrase
        /// No source has a passphrase for this key, and there is no terminal to ask on.
        case passphraseUnavailable
        /// Passphrases were given, and none of as many as are allowed was right.
        case attemptsExceeded
        /// A passphrase for a new key is too short.
        case weakPassphrase
        /// There is no such key.
        case notFound
        /// A role, collection or file name that must not be written into a key file.
        case invalidName
        /// The file system refused.
        case storage
        /// A hardware token, or the library of its vendor, cannot do what it was asked for.
        case token
    }

    /// The kind of failure.
    package let code: Code
    /// What was found, what was expected, what to do next. Never a passphrase or key material.
    package let message: String

    /// Makes an error.
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { self.message }

    /// Equality of codes.
    package static func == (left: KeyStoreError, right: KeyStoreError) -> Bool { left.code == right.code }

    /// Hashes the code.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
