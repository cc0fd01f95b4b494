// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import Foundation
import KeyStore
import NotaryAPI
package import TUF

extension LocalSigner {
    /// What came of storing the keys under another passphrase.
    package struct Reencryption: Sendable {
        /// How many keys are now stored under it that were not before.
        package var count = 0
        /// Keys that stay as they were, with the reason.
        package var failures: [KeyID: String] = [:]
    }

    /// How many rows are read at once.
    private static let batch = 100

    /// Stores every key under the passphrase of an alias, those that are deleted too: they are still in the database.
    ///
    /// Each key is a transaction of its own, which changes the row only if it is still as it was read. Signers on the same
    /// database, this one or others, go on meanwhile, as long as they have the passphrases of both aliases: a row is read with
    /// the passphrase that it names. To go on after an interruption is to begin again.
    /// - Throws: `SignerError` with code `passphrase` when there is no passphrase for the alias, `unavailable` when the
    ///   database does not answer.
    package func reencrypt(to alias: String) async throws -> Reencryption {
        let passphrase = try await self.passphrases.passphrase(forAlias: alias, keysExist: true)
        var result = Reencryption()
        // Signers that had not heard of the alias may have stored a key meanwhile: until there is nothing left to do.
        while true {
            let count = result.count
            var last = ""
            while true {
                let start = last
                let rows = try await Self.reporting {
                    try await self.database.read { connection in
                        try connection.query(
                            StoredKey.select + "WHERE passphrase_alias <> ? AND key_id > ? ORDER BY key_id LIMIT ?",
                            .text(alias),
                            .text(start),
                            .integer(Int64(Self.batch))
                        ).map { try StoredKey($0) }
                    }
                }
                guard let end = rows.last else { break }
                last = end.id.text
                for row in rows where result.failures[row.id] == nil {
                    do {
                        let key = try await self.decrypt(row)
                        if try await self.store(key, of: row, under: alias, passphrase) { result.count += 1 }
                    } catch let error as SignerError {
                        result.failures[row.id] = error.message
                    }
                }
            }
            if result.count == count { return result }
        }
    }

    /// - Returns: false when somebody else has changed the row.
    private func store(
        _ key: PrivateKey,
        of row: StoredKey,
        under alias: String,
        _ passphrase: Passphrase
    ) async throws -> Bool {
        let encryption = self.encryption
        let encrypted = try await Self.reporting {
            try await BlockingWork.run {
                var plaintext = try key.signerForm
                defer { for index in plaintext.indices { plaintext[index] = 0 } }
                return try encryption.encrypt(plaintext, passphrase: passphrase)
            }
        }
        let instant = self.instant
        return try await Self.reporting {
            try await self.database.write { connection in
                try connection.execute(
                    """
                    UPDATE private_keys SET private = ?, passphrase_alias = ?, encryption_alg = ?, keywrap_alg = ?, \
                    updated_at = ? WHERE key_id = ? AND passphrase_alias = ?
                    """,
                    .blob(Data(encrypted.utf8)),
                    .text(alias),
                    .text(CompactJWE.ContentEncryption.a256gcm.rawValue),
                    .text(CompactJWE.KeyWrapAlgorithm.hs512a256kw.rawValue),
                    .integer(instant),
                    .text(row.id.text),
                    .text(row.alias)
                )
            }
        } > 0
    }
}
