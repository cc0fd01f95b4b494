// SPDX-License-Identifier: Apache-2.0

import Database

/// The tables of the registry. Times are Unix seconds.
///
/// What collecting garbage while serving relies on:
///
/// - `manifest_references` says what each manifest holds on to.
/// - `seen_at` of blobs and manifests is when a client was last told that they exist, by whatever request, or up to a quarter of
///   the grace time before that. What nothing holds on to and nobody has seen within the grace time may go.
/// - `blobs.location` is where the bytes are. No two uploads ever write to the same location, and nothing moves or
///   overwrites what is there: so to remove a blob is to remove its row and to write its location into `trash`, in one
///   transaction; bytes go after that, the row of the trash after them. With bytes in files that is at once: who reads a file
///   reads it to its end. With redirections to S3 it is when those that were handed out have run out.
/// - A blob with `damaged_at` is one whose bytes are known to be wrong. It counts as missing, so that clients push it again.
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
        ),
        SQLMigration(
            name: "registry-2",
            statements: [
                "ALTER TABLE blobs ADD COLUMN location TEXT NOT NULL DEFAULT ''",
                // Where files were before they had locations: sha256/ab/ab….
                """
                UPDATE blobs
                SET location = substr(digest, 1, 6) || '/' || substr(digest, 8, 2) || '/' || substr(digest, 8)
                """,
                "ALTER TABLE blobs ADD COLUMN damaged_at BIGINT",
                "ALTER TABLE blobs ADD COLUMN verified_at BIGINT",
                "ALTER TABLE manifests ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0",
                "UPDATE manifests SET seen_at = pushed_at",
                """
                CREATE TABLE trash (
                    location TEXT NOT NULL PRIMARY KEY,
                    added_at BIGINT NOT NULL
                )
                """,
            ]
        ),
        SQLMigration(
            name: "registry-collection",
            statements: [
                // What of a repository holds on to a digest, without looking at every other repository that has it too.
                "DROP INDEX manifest_references_by_digest",
                """
                CREATE INDEX manifest_references_by_digest ON manifest_references (digest, kind, repository)
                """,
                // Work that one process does at a time, and how far it is.
                """
                CREATE TABLE chores (
                    name TEXT NOT NULL PRIMARY KEY,
                    holder TEXT NOT NULL,
                    lease_until BIGINT NOT NULL,
                    started_at BIGINT,
                    position TEXT,
                    finished_at BIGINT
                )
                """,
            ]
        ),
        SQLMigration(
            name: "registry-uploads",
            statements: [
                // Uploads to S3, with the objects that they are made of; uploads to files are files.
                """
                CREATE TABLE uploads (
                    id TEXT NOT NULL PRIMARY KEY,
                    repository TEXT NOT NULL,
                    state TEXT NOT NULL,
                    size BIGINT NOT NULL,
                    parts BIGINT NOT NULL,
                    target TEXT,
                    multipart TEXT,
                    tail TEXT,
                    lease TEXT NOT NULL,
                    leased_until BIGINT NOT NULL,
                    created_at BIGINT NOT NULL,
                    updated_at BIGINT NOT NULL
                )
                """,
                "CREATE INDEX uploads_by_update ON uploads (updated_at)",
                "CREATE INDEX uploads_by_target ON uploads (target)",
                "CREATE INDEX uploads_by_tail ON uploads (tail)",
                """
                CREATE TABLE upload_parts (
                    upload TEXT NOT NULL,
                    number BIGINT NOT NULL,
                    etag TEXT NOT NULL,
                    PRIMARY KEY (upload, number)
                )
                """,
            ]
        ),
        EventQueue.migration,
        SQLMigration(
            name: "registry-locations",
            statements: ["CREATE INDEX blobs_by_location ON blobs (location)"]
        ),
        SQLMigration(
            name: "registry-storages",
            statements: [
                // Which storage the locations are in: the name that it bears.
                """
                CREATE TABLE storages (
                    name TEXT NOT NULL PRIMARY KEY,
                    identity TEXT NOT NULL
                )
                """
            ]
        ),
    ]
}
