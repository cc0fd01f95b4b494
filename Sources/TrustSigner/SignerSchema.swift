// SPDX-License-Identifier: Apache-2.0

import Database

/// The signer's one table: notary-signer's columns, with instants as Unix milliseconds.
enum SignerSchema {
    static let migrations = [
        SQLMigration(
            name: "signer-1",
            statements: [
                """
                CREATE TABLE IF NOT EXISTS private_keys (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    created_at BIGINT NOT NULL,
                    updated_at BIGINT NOT NULL,
                    deleted_at BIGINT,
                    key_id TEXT NOT NULL UNIQUE,
                    encryption_alg TEXT NOT NULL,
                    keywrap_alg TEXT NOT NULL,
                    algorithm TEXT NOT NULL,
                    passphrase_alias TEXT NOT NULL,
                    public BLOB NOT NULL,
                    private BLOB NOT NULL,
                    gun TEXT NOT NULL,
                    role TEXT NOT NULL,
                    last_used BIGINT
                )
                """,
                // Not unique: Notary may have made two at once.
                """
                CREATE INDEX private_keys_pending ON private_keys (gun, role, algorithm)
                WHERE last_used IS NULL AND deleted_at IS NULL
                """,
                "CREATE INDEX private_keys_alias ON private_keys (passphrase_alias)",
            ]
        )
    ]
}
