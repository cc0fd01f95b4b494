// SPDX-License-Identifier: Apache-2.0

package import Database
import DurableFiles
package import Foundation
import KeyStore
import NotaryAPI
package import TUF

/// The signer in this process: online keys in a database, each encrypted under a passphrase that is not in it.
///
/// Signing writes to the database once for each key, at its first signature: from then on the key is not handed out as new.
/// Later it tells the database once a day that the key is in use. Several signers may share a database; one that has a key in
/// memory learns within that day that another has deleted it.
package final class LocalSigner: Signer {
    /// Limits and costs; the defaults are right but for tests.
    package struct Configuration: Sendable {
        /// How many decrypted keys are kept in memory.
        package var cachedKeys = 10_000
        /// Iterations of PBKDF2-HMAC-SHA512 for keys that are written.
        package var iterations = 210_000

        package init() {}
    }

    private static let refreshInterval: Int64 = 24 * 3600 * 1000

    let database: any SQLDatabase
    let passphrases: any SignerPassphrases
    let encryption: KeyEncryption
    private let cache: KeyCache
    private let now: @Sendable () -> Date

    /// Makes the table where it is missing, and checks that the stored keys of the default alias can be read.
    ///
    /// - Parameter now: the clock.
    /// - Throws: `SignerError` with code `passphrase` when the passphrase is missing or wrong, `unavailable` when the
    ///   database does not answer.
    package init(
        database: any SQLDatabase,
        passphrases: any SignerPassphrases,
        configuration: Configuration = Configuration(),
        now: @escaping @Sendable () -> Date = { Date() }
    ) async throws {
        self.database = database
        self.passphrases = passphrases
        self.encryption = KeyEncryption(iterations: configuration.iterations)
        self.cache = KeyCache(limit: configuration.cachedKeys)
        self.now = now
        try await Self.reporting { try await database.migrate(SignerSchema.migrations) }
        try await self.checkPassphrase()
    }

    private func checkPassphrase() async throws {
        let alias = self.passphrases.defaultAlias
        let newest = try await self.firstRow(
            "WHERE passphrase_alias = ? AND deleted_at IS NULL ORDER BY id DESC LIMIT 1",
            .text(alias)
        )
        if let newest {
            _ = try await self.decrypt(newest)
        } else {
            _ = try await self.passphrases.passphrase(forAlias: alias, keysExist: false)
        }
    }

    // MARK: - Signer

    package func createKey(algorithm: KeyType, gun: String, role: RoleName) async throws -> PublicKey {
        let kind: PrivateKey.Algorithm
        switch algorithm {
        case .ecdsa: kind = .p256
        case .ed25519: kind = .ed25519
        default: throw SignerError(.unsupportedAlgorithm, "algorithm \(algorithm) not supported for create key")
        }
        if let pending = try await self.pendingKey(algorithm, gun, role) {
            return try await self.load(pending).key.publicKey
        }
        let alias = self.passphrases.defaultAlias
        let passphrase = try await self.passphrases.passphrase(forAlias: alias, keysExist: true)
        let key = try await PrivateKey.generate(kind)
        let encryption = self.encryption
        let encrypted = try await Self.reporting {
            try await BlockingWork.run { try encryption.encrypt(key.signerForm, passphrase: passphrase) }
        }
        let row = StoredKey(
            id: key.publicKey.id,
            algorithm: algorithm,
            alias: alias,
            publicBytes: key.publicKey.bytes,
            encrypted: encrypted,
            role: role,
            lastUsed: nil
        )
        let instant = self.instant
        let pending = try await Self.reporting {
            // A key that has not signed yet is handed out again, so there is never more than one.
            try await self.database.write(locking: [.exclusive("key \(algorithm.name) \(role) \(gun)")]) {
                connection -> StoredKey? in
                if let pending = try StoredKey.pending(algorithm, gun, role, on: connection) { return pending }
                try row.insert(on: connection, gun: gun, at: instant)
                return try StoredKey.pending(algorithm, gun, role, on: connection)
            }
        }
        if pending?.id == key.publicKey.id {
            self.cache.insert(KeyCache.Entry(key: key, role: role, lastUsed: nil), for: key.publicKey.id)
            return key.publicKey
        }
        // Somebody else's was first, and this one was not stored.
        guard let pending else {
            throw SignerError(.unavailable, "the new key for \(role) of \(gun) was not stored; try again")
        }
        return try await self.load(pending).key.publicKey
    }

    package func publicKey(_ id: KeyID) async throws -> PublicKey? {
        try await self.keyInfo(id)?.publicKey
    }

    /// A key with the role that it was made for; nil when there is none of this id.
    /// - Throws: `SignerError` with code `unavailable`.
    package func keyInfo(_ id: KeyID) async throws -> (publicKey: PublicKey, role: RoleName)? {
        if let entry = self.cache.entry(id) { return (entry.key.publicKey, entry.role) }
        guard let row = try await self.row(id) else { return nil }
        return (row.publicKey, row.role)
    }

    package func sign(_ message: [UInt8], with id: KeyID) async throws -> Signature {
        let entry: KeyCache.Entry
        if let cached = self.cache.entry(id) {
            entry = cached
        } else {
            guard let row = try await self.row(id) else { throw Self.notFound(id) }
            entry = try await self.load(row)
        }
        let signature: Signature
        do {
            signature = try entry.key.sign(message)
        } catch {
            throw SignerError(.unavailable, "key \(id) could not sign: \(error)")
        }
        let instant = self.instant
        if let lastUsed = entry.lastUsed,
            instant.subtractingReportingOverflow(lastUsed).partialValue < Self.refreshInterval
        {
            return signature
        }
        do {
            try await self.markUsed(id, at: instant)
        } catch let error as SignerError where error.code == .unavailable && entry.lastUsed != nil {
            // Only a first use must be known; that a key is still in use can be noted another time.
        }
        return signature
    }

    package func deleteKey(_ id: KeyID) async throws {
        let instant = self.instant
        try await Self.reporting {
            try await self.database.write(locking: []) { connection in
                try connection.execute(
                    "UPDATE private_keys SET deleted_at = ?, updated_at = ? WHERE key_id = ? AND deleted_at IS NULL",
                    .integer(instant),
                    .integer(instant),
                    .text(id.text)
                )
            }
        }
        self.cache.remove(id)
    }

    /// Asks the database something small, to know whether it answers.
    /// - Throws: `SignerError` with code `unavailable`.
    package func check() async throws {
        try await Self.reporting {
            try await self.database.read { _ = try $0.query("SELECT 1 FROM private_keys LIMIT 1") }
        }
    }

    // MARK: - Storage

    var instant: Int64 { Int64(exactly: (self.now().timeIntervalSince1970 * 1000).rounded()) ?? 0 }

    /// Must be durable before the signature goes out: otherwise a restart would hand the key out as a new one.
    private func markUsed(_ id: KeyID, at instant: Int64) async throws {
        let changed = try await Self.reporting {
            try await self.database.write(locking: []) { connection in
                try connection.execute(
                    "UPDATE private_keys SET last_used = ?, updated_at = ? WHERE key_id = ? AND deleted_at IS NULL",
                    .integer(instant),
                    .integer(instant),
                    .text(id.text)
                )
            }
        }
        guard changed > 0 else {
            // Deleted, by another signer on the same database.
            self.cache.remove(id)
            throw Self.notFound(id)
        }
        self.cache.markUsed(id, at: instant)
    }

    private func pendingKey(_ algorithm: KeyType, _ gun: String, _ role: RoleName) async throws -> StoredKey? {
        try await Self.reporting {
            try await self.database.read { try StoredKey.pending(algorithm, gun, role, on: $0) }
        }
    }

    private func row(_ id: KeyID) async throws -> StoredKey? {
        try await self.firstRow("WHERE key_id = ? AND deleted_at IS NULL", .text(id.text))
    }

    private func firstRow(_ condition: String, _ parameter: SQLValue) async throws -> StoredKey? {
        try await Self.reporting {
            try await self.database.read { connection in
                try connection.query(StoredKey.select + condition, parameter).first.map { try StoredKey($0) }
            }
        }
    }

    private func load(_ row: StoredKey) async throws -> KeyCache.Entry {
        if let entry = self.cache.entry(row.id) { return entry }
        let entry = KeyCache.Entry(key: try await self.decrypt(row), role: row.role, lastUsed: row.lastUsed)
        self.cache.insert(entry, for: row.id)
        return entry
    }

    func decrypt(_ row: StoredKey) async throws -> PrivateKey {
        let passphrase = try await self.passphrases.passphrase(forAlias: row.alias, keysExist: true)
        let encryption = self.encryption
        do {
            return try await BlockingWork.run {
                var plaintext = try encryption.decrypt(row.encrypted, passphrase: passphrase)
                defer { for index in plaintext.indices { plaintext[index] = 0 } }
                let key = try PrivateKey(signerForm: plaintext, type: row.algorithm)
                guard key.publicKey == row.publicKey, key.publicKey.id == row.id else {
                    throw KeyStoreError(.malformed, "the stored private key is not that of its public key")
                }
                return key
            }
        } catch let error as KeyStoreError where error.code == .wrongPassphrase {
            throw SignerError(
                .passphrase,
                "key \(row.id) for \(row.role) cannot be read: the passphrase of alias \(row.alias) is not the one it was "
                    + "stored with"
            )
        } catch {
            throw SignerError(.unavailable, "key \(row.id) for \(row.role) cannot be read: \(error)")
        }
    }

    private static func notFound(_ id: KeyID) -> SignerError {
        SignerError(.keyNotFound, "signing key not found: \(id)")
    }

    /// Turns what the database reports into the signer's errors.
    @discardableResult
    static func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as DatabaseError {
            throw SignerError(.unavailable, "the signer's \(error)")
        } catch let error as KeyStoreError {
            throw SignerError(.unavailable, error.message)
        }
    }
}
