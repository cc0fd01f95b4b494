// SPDX-License-Identifier: Apache-2.0

import Database

/// The tables of the registry. Times are Unix seconds.
///
/// What collecting garbage while serving needs is there: `manifest_references` says what each manifest holds on to, and
/// `blobs.seen_at` when a client was last told that the blob exists (by pushing, mounting or HEAD). A blob whose digest
/// no manifest references and nobody has seen within a grace time may go; its row goes before its bytes.
enum RegistrySchema {
    static let migrations: [SQLMigration] = [
        SQLMigration(
            name: "registry-1",
            statements: [
                """
                CREATE TABLE repositories (
                    name TEXT NOT NULL PRIMARY KEY,
                    created_at BIGINT NOT NULL
                )
                """,
                """
                CREATE TABLE blobs (
                    digest TEXT NOT NULL PRIMARY KEY,
                    size BIGINT NOT NULL,
                    created_at BIGINT NOT NULL,
                    seen_at BIGINT NOT NULL
                )
                """,
                """
                CREATE TABLE repository_blobs (
                    repository TEXT NOT NULL,
                    digest TEXT NOT NULL,
                    linked_at BIGINT NOT NULL,
                    PRIMARY KEY (repository, digest)
                )
                """,
                "CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest)",
                """
                CREATE TABLE manifests (
                    repository TEXT NOT NULL,
                    digest TEXT NOT NULL,
                    media_type TEXT NOT NULL,
                    size BIGINT NOT NULL,
                    subject TEXT,
                    artifact_type TEXT,
                    annotations TEXT,
                    pushed_at BIGINT NOT NULL,
                    content BLOB NOT NULL,
                    PRIMARY KEY (repository, digest)
                )
                """,
                "CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest)",
                """
                CREATE TABLE manifest_references (
                    repository TEXT NOT NULL,
                    manifest TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    digest TEXT NOT NULL,
                    PRIMARY KEY (repository, manifest, kind, digest)
                )
                """,
                "CREATE INDEX manifest_references_by_digest ON manifest_references (digest, kind)",
                """
                CREATE TABLE tags (
                    repository TEXT NOT NULL,
                    name TEXT NOT NULL,
                    digest TEXT NOT NULL,
                    updated_at BIGINT NOT NULL,
                    PRIMARY KEY (repository, name)
                )
                """,
                "CREATE INDEX tags_by_digest ON tags (repository, digest)",
            ]
        )
    ]
}
