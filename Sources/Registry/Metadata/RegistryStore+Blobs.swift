// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// A blob as the database knows it.
struct StoredBlob: Sendable, Equatable {
    /// In bytes.
    let size: Int64
    let location: BlobLocation
    /// When a client was last told that it exists, as far as the database knows.
    let seenAt: Int64
}

extension RegistryStore {
    /// The blob, if the repository has it.
    func blob(_ digest: Digest, in repository: RepositoryName) async throws -> StoredBlob? {
        try await self.database.read { connection in
            try connection.query(
                """
                SELECT blobs.size, blobs.location, blobs.seen_at FROM repository_blobs
                JOIN blobs ON blobs.digest = repository_blobs.digest
                WHERE repository_blobs.repository = ? AND repository_blobs.digest = ? AND blobs.damaged_at IS NULL
                """,
                .text(repository.description),
                .text(digest.description)
            ).first.map(Self.storedBlob)
        }
    }

    /// The blob, whichever repository has it; nil as well when its bytes are damaged.
    func blob(_ digest: Digest) async throws -> StoredBlob? {
        try await self.database.read { connection in
            try connection.query(
                "SELECT size, location, seen_at FROM blobs WHERE digest = ? AND damaged_at IS NULL",
                .text(digest.description)
            ).first.map(Self.storedBlob)
        }
    }

    private static func storedBlob(_ row: SQLRow) throws -> StoredBlob {
        try StoredBlob(size: row.integer(0), location: BlobLocation(row.text(1)), seenAt: row.integer(2))
    }

    /// Gives a repository a blob whose bytes a client has just proven to have, and which is there already.
    /// - Parameter known: What was read of the blob.
    /// - Returns: False, with nothing done, when that is no longer so.
    func linkBlob(
        _ digest: Digest,
        _ known: StoredBlob,
        to repository: RepositoryName,
        at time: Int64
    ) async throws -> Bool {
        let events = self.telling(.blob(.push, digest, size: known.size, in: repository))
        return try await self.database.write(locking: [Self.relying]) { connection in
            let seen = try connection.execute(
                """
                UPDATE blobs SET seen_at = CASE WHEN seen_at < ? THEN ? ELSE seen_at END
                WHERE digest = ? AND location = ? AND damaged_at IS NULL
                """,
                .integer(time),
                .integer(time),
                .text(digest.description),
                .text(known.location.description)
            )
            guard seen == 1 else { return false }
            try Self.link(digest, to: repository, at: time, on: connection)
            try connection.executeAll(events)
            return true
        }
    }

    /// Says that a blob exists, which its durable bytes prove, and that the repository has it.
    ///
    /// - Parameter lacking: The location that the blob had, where its bytes were found missing or damaged.
    /// - Returns: Where the blob is: somewhere else when another upload of the same blob was faster.
    func addBlob(
        _ digest: Digest,
        size: Int64,
        at location: BlobLocation,
        insteadOf lacking: BlobLocation?,
        to repository: RepositoryName,
        time: Int64
    ) async throws -> BlobLocation {
        let events = self.telling(.blob(.push, digest, size: size, in: repository))
        return try await self.database.write(locking: [Self.relying]) { connection in
            let added = try connection.execute(
                """
                INSERT INTO blobs (digest, size, location, created_at, seen_at)
                SELECT CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT)
                WHERE NOT EXISTS (SELECT 1 FROM trash WHERE location = ?)
                ON CONFLICT (digest) DO NOTHING
                """,
                .text(digest.description),
                .integer(size),
                .text(location.description),
                .integer(time),
                .integer(time),
                .text(location.description)
            )
            var kept = location
            if added == 0 {
                kept = try Self.settle(digest, size, location, lacking, time, on: connection)
            }
            try Self.link(digest, to: repository, at: time, on: connection)
            try connection.executeAll(events)
            return kept
        }
    }

    /// Of two copies of a blob the first stays, unless it is known to be wrong.
    private static func settle(
        _ digest: Digest,
        _ size: Int64,
        _ location: BlobLocation,
        _ lacking: BlobLocation?,
        _ time: Int64,
        on connection: any SQLConnection
    ) throws -> BlobLocation {
        let rows = try connection.query(
            "SELECT size, location, damaged_at FROM blobs WHERE digest = ?",
            .text(digest.description)
        )
        guard let row = rows.first else { throw Self.changedMeanwhile(digest) }
        let present = try BlobLocation(row.text(1))
        let isSound = try row.optionalInteger(2) == nil && row.integer(0) == size && present != lacking
        let kept = isSound ? present : location
        if kept == location {
            let trashed = try connection.query("SELECT 1 FROM trash WHERE location = ?", .text(location.description))
            guard trashed.isEmpty else { throw Self.changedMeanwhile(digest) }
        }
        let changed = try connection.execute(
            """
            UPDATE blobs SET size = ?, location = ?, seen_at = CASE WHEN seen_at < ? THEN ? ELSE seen_at END,
            damaged_at = NULL, verified_at = NULL
            WHERE digest = ? AND location = ?
            """,
            .integer(size),
            .text(kept.description),
            .integer(time),
            .integer(time),
            .text(digest.description),
            .text(present.description)
        )
        guard changed == 1 else { throw Self.changedMeanwhile(digest) }
        if kept != present { try Self.discard([present.description], at: time, on: connection) }
        return kept
    }

    private static func changedMeanwhile(_ digest: Digest) -> DatabaseError {
        DatabaseError(code: .serializationFailure, message: "\(digest) was changed by somebody else meanwhile")
    }

    /// An upload that was placed there must not name it again.
    static func forgettingUploads(to location: String) -> [SQLStatement] {
        [
            SQLStatement(
                """
                DELETE FROM upload_parts
                WHERE upload IN (SELECT id FROM uploads WHERE target = ? AND state = 'placed')
                """,
                .text(location)
            ),
            SQLStatement("DELETE FROM uploads WHERE target = ? AND state = 'placed'", .text(location)),
        ]
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
        let events = try await self.tellingMount(of: digest, from: source, to: repository)
        return try await self.database.write(locking: [Self.relying]) { connection in
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
            guard try !found.isEmpty && Self.see(digest, at: time, on: connection) else { return false }
            try Self.link(digest, to: repository, at: time, on: connection)
            try connection.executeAll(events)
            return true
        }
    }

    private func tellingMount(
        of digest: Digest,
        from source: RepositoryName?,
        to repository: RepositoryName
    ) async throws -> [SQLStatement] {
        guard self.events != nil else { return [] }
        var subject = EventSubject.blob(.mount, digest, size: try await self.blob(digest)?.size, in: repository)
        subject.fromRepository = source
        return self.telling(subject)
    }

    /// Takes a blob from a repository. Its bytes stay: others may have it.
    /// - Returns: False when the repository does not have it.
    func removeBlob(_ digest: Digest, from repository: RepositoryName) async throws -> Bool {
        let events = self.telling(.blob(.delete, digest, size: nil, in: repository))
        return try await self.database.write(locking: []) { connection in
            let removed = try connection.execute(
                "DELETE FROM repository_blobs WHERE repository = ? AND digest = ?",
                .text(repository.description),
                .text(digest.description)
            )
            guard removed > 0 else { return false }
            try connection.executeAll(events)
            return true
        }
    }

    /// Notes that a client is about to be told that a repository has a blob. With the lock that keeps collections away: the link
    /// may be collected as well, and a link that is gone when the lock is had is seen to be gone.
    /// - Returns: False when it does not have it, by now.
    func seeBlob(_ digest: Digest, in repository: RepositoryName, at time: Int64) async throws -> Bool {
        try await self.database.write(locking: [Self.relying]) { connection in
            try connection.execute(
                """
                UPDATE blobs SET seen_at = CASE WHEN seen_at < ? THEN ? ELSE seen_at END
                WHERE digest = ? AND damaged_at IS NULL AND EXISTS (
                    SELECT 1 FROM repository_blobs WHERE repository = ? AND digest = ?
                )
                """,
                .integer(time),
                .integer(time),
                .text(digest.description),
                .text(repository.description),
                .text(digest.description)
            ) == 1
        }
    }

    /// Never sets a time back.
    private static func see(_ digest: Digest, at time: Int64, on connection: any SQLConnection) throws -> Bool {
        try connection.execute(
            """
            UPDATE blobs SET seen_at = CASE WHEN seen_at < ? THEN ? ELSE seen_at END
            WHERE digest = ? AND damaged_at IS NULL
            """,
            .integer(time),
            .integer(time),
            .text(digest.description)
        ) == 1
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
            ON CONFLICT (repository, digest) DO UPDATE SET linked_at =
            CASE WHEN repository_blobs.linked_at < excluded.linked_at THEN excluded.linked_at
            ELSE repository_blobs.linked_at END
            """,
            .text(repository.description),
            .text(digest.description),
            .integer(time)
        )
    }
}
