// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// What the registry knows besides the bytes of blobs: which repository has which blobs, manifests and tags. Each method
/// is one transaction.
///
/// Each statement of a write decides by itself whether it applies; only where one concludes from what another has found, for a
/// condition on a tag, whoever may change that holds the lock of the repository.
struct RegistryStore: Sendable {
    let database: any SQLDatabase

    /// Held by whoever changes manifests or tags of a repository.
    static func lock(_ repository: RepositoryName) -> SQLLock { .exclusive("repository \(repository)") }

    /// - Throws: ``DatabaseError`` when the tables cannot be brought up to date.
    init(database: any SQLDatabase) async throws {
        self.database = database
        try await database.migrate(RegistrySchema.migrations)
    }

    static func createRepository(_ name: RepositoryName, at time: Int64, on connection: any SQLConnection) throws {
        try connection.execute(
            "INSERT INTO repositories (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
            .text(name.description),
            .integer(time)
        )
    }
}

// MARK: - Blobs

extension RegistryStore {
    /// A blob as a repository has it.
    struct Blob: Sendable, Equatable {
        /// In bytes.
        let size: Int64
        /// When a client was last told that it exists, as far as the database knows.
        let seenAt: Int64
    }

    /// The blob, if the repository has it.
    func blob(_ digest: Digest, in repository: RepositoryName) async throws -> Blob? {
        try await self.database.read { connection in
            try connection.query(
                """
                SELECT blobs.size, blobs.seen_at FROM repository_blobs
                JOIN blobs ON blobs.digest = repository_blobs.digest
                WHERE repository_blobs.repository = ? AND repository_blobs.digest = ?
                """,
                .text(repository.description),
                .text(digest.description)
            ).first.map { try Blob(size: $0.integer(0), seenAt: $0.integer(1)) }
        }
    }

    /// The size of a blob that any repository has, or had; nil when its bytes were never proven.
    func blobSize(_ digest: Digest) async throws -> Int64? {
        try await self.database.read { connection in
            try connection.query("SELECT size FROM blobs WHERE digest = ?", .text(digest.description))
                .first?.integer(0)
        }
    }

    /// Says that a blob exists, which its durable bytes prove, and that the repository has it.
    func addBlob(_ digest: Digest, size: Int64, to repository: RepositoryName, at time: Int64) async throws {
        try await self.database.write(locking: []) { connection in
            try connection.execute(
                """
                INSERT INTO blobs (digest, size, created_at, seen_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (digest) DO UPDATE SET size = excluded.size, seen_at = excluded.seen_at
                """,
                .text(digest.description),
                .integer(size),
                .integer(time),
                .integer(time)
            )
            try Self.link(digest, to: repository, at: time, on: connection)
        }
    }

    /// Gives a repository a blob that another one has.
    /// - Parameter source: The other repository; nil for any.
    /// - Returns: False when the source does not have it.
    func mountBlob(
        _ digest: Digest,
        from source: RepositoryName?,
        to repository: RepositoryName,
        at time: Int64
    ) async throws -> Bool {
        try await self.database.write(locking: []) { connection in
            let found: [SQLRow] =
                if let source {
                    try connection.query(
                        "SELECT digest FROM repository_blobs WHERE repository = ? AND digest = ?",
                        .text(source.description),
                        .text(digest.description)
                    )
                } else {
                    try connection.query(
                        "SELECT digest FROM repository_blobs WHERE digest = ? ORDER BY repository LIMIT 1",
                        .text(digest.description)
                    )
                }
            guard !found.isEmpty else { return false }
            let seen = try connection.execute(
                "UPDATE blobs SET seen_at = ? WHERE digest = ?",
                .integer(time),
                .text(digest.description)
            )
            guard seen == 1 else { return false }
            try Self.link(digest, to: repository, at: time, on: connection)
            return true
        }
    }

    /// Takes a blob from a repository. Its bytes stay: others may have it.
    /// - Returns: False when the repository does not have it.
    func removeBlob(_ digest: Digest, from repository: RepositoryName) async throws -> Bool {
        try await self.database.write(locking: []) { connection in
            try connection.execute(
                "DELETE FROM repository_blobs WHERE repository = ? AND digest = ?",
                .text(repository.description),
                .text(digest.description)
            ) > 0
        }
    }

    /// Notes when clients were told that blobs exist. Never sets a time back.
    func noteSeen(_ times: [Digest: Int64]) async throws {
        try await self.database.write(locking: []) { connection in
            for (digest, time) in times.sorted(by: { $0.key < $1.key }) {
                try connection.execute(
                    "UPDATE blobs SET seen_at = ? WHERE digest = ? AND seen_at < ?",
                    .integer(time),
                    .text(digest.description),
                    .integer(time)
                )
            }
        }
    }

    private static func link(
        _ digest: Digest,
        to repository: RepositoryName,
        at time: Int64,
        on connection: any SQLConnection
    ) throws {
        try Self.createRepository(repository, at: time, on: connection)
        try connection.execute(
            """
            INSERT INTO repository_blobs (repository, digest, linked_at) VALUES (?, ?, ?)
            ON CONFLICT (repository, digest) DO NOTHING
            """,
            .text(repository.description),
            .text(digest.description),
            .integer(time)
        )
    }
}
