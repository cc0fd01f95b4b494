// SPDX-License-Identifier: Apache-2.0

package import TUF

/// Holds online keys and signs with them: all that a trust server knows of a signer, be it in the same process or behind
/// notary-signer's gRPC services.
package protocol Signer: Sendable {
    /// Makes a key for one role of one collection, or returns the one made before that has not signed anything yet.
    /// - Throws: ``SignerError`` with code `unsupportedAlgorithm` or `unavailable`.
    func createKey(algorithm: KeyType, gun: String, role: RoleName) async throws -> PublicKey

    /// A key that the signer holds; nil when it holds none of this id.
    /// - Throws: ``SignerError`` with code `unavailable`.
    func publicKey(_ id: KeyID) async throws -> PublicKey?

    /// Signs a message (not a digest of it).
    /// - Throws: ``SignerError`` with code `keyNotFound` or `unavailable`.
    func sign(_ message: [UInt8], with id: KeyID) async throws -> Signature

    /// Forgets a key. Not an error when there is none of this id.
    /// - Throws: ``SignerError`` with code `unavailable`.
    func deleteKey(_ id: KeyID) async throws

    /// Asks something small, to know whether the signer can do its work.
    /// - Throws: ``SignerError`` with code `unavailable`.
    func check() async throws
}

extension Signer {
    package func check() async throws {
        _ = try await self.publicKey(KeyID(String(repeating: "0", count: 64)))
    }
}

/// Why a signer did not do what it was asked. Compare by ``code``.
package struct SignerError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// No key of this id.
        case keyNotFound
        /// The signer does not make keys of this type.
        case unsupportedAlgorithm
        /// A stored key cannot be read with the passphrase that its alias names.
        case passphrase
        /// The signer, or its storage, cannot be reached now.
        case unavailable
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }
}
