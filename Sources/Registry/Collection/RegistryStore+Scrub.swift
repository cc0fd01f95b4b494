// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// A blob that is to be looked at.
struct ScrubbedBlob: Sendable, Hashable {
    let digest: String
    let size: Int64
    let location: String
    let isDamaged: Bool
}

/// A manifest that is to be looked at.
struct ScrubbedManifest: Sendable {
    let repository: String
    let digest: String
    let size: Int64
}

/// Something that a manifest needs and that is not there.
struct MissingTarget: Sendable, Hashable {
    let repository: String
    let manifest: String
    let kind: String
    let digest: String
}

extension RegistryStore {
    /// Blobs in the order of their digests, among them those that are known to be damaged.
    /// - Parameters:
    ///   - time: Those that were verified since then are left out.
    ///   - horizon: But not those that were verified later than this, by a wrong clock.
    func scrubbedBlobs(
        after: String,
        verifiedBefore time: Int64,
        orAfter horizon: Int64,
        limit: Int
    ) async throws -> [ScrubbedBlob] {
        try await self.database.query(
            """
            SELECT digest, size, location, CASE WHEN damaged_at IS NULL THEN 0 ELSE 1 END FROM blobs
            WHERE digest > ? AND (verified_at IS NULL OR verified_at < ? OR verified_at > ? OR damaged_at IS NOT NULL)
            ORDER BY digest LIMIT ?
            """,
            .text(after),
            .integer(time),
            .integer(horizon),
            .integer(Int64(limit))
        ).map {
            try ScrubbedBlob(
                digest: $0.text(0),
                size: $0.integer(1),
                location: $0.text(2),
                isDamaged: $0.integer(3) != 0
            )
        }
    }

    /// How many blobs there are, and how many bytes they have, of those that were not verified since a time.
    func unverified(before time: Int64, orAfter horizon: Int64) async throws -> (blobs: Int64, bytes: Int64) {
        let row = try await self.database.query(
            """
            SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs
            WHERE verified_at IS NULL OR verified_at < ? OR verified_at > ?
            """,
            .integer(time),
            .integer(horizon)
        ).first
        return try row.map { (try $0.integer(0), try $0.integer(1)) } ?? (0, 0)
    }

    /// Whether a blob is still the one that was looked at.
    func isUnchanged(_ blob: ScrubbedBlob) async throws -> Bool {
        try await !self.database.query(
            "SELECT 1 FROM blobs WHERE digest = ? AND location = ?",
            .text(blob.digest),
            .text(blob.location)
        ).isEmpty
    }

    /// Notes that blobs are what they should be.
    func noteVerified(_ blobs: [ScrubbedBlob], at time: Int64) async throws {
        try await self.database.write(locking: []) { connection in
            try connection.executeAll(
                blobs.map {
                    SQLStatement(
                        "UPDATE blobs SET verified_at = ?, damaged_at = NULL WHERE digest = ? AND location = ?",
                        .integer(time),
                        .text($0.digest),
                        .text($0.location)
                    )
                }
            )
        }
    }

    /// Notes that the bytes of a blob are not what they should be: from then on it counts as missing. They stay where they are
    /// until the blob is pushed again.
    /// - Returns: False when it is there no more, or elsewhere.
    func noteDamaged(_ blob: ScrubbedBlob, at time: Int64) async throws -> Bool {
        try await self.database.write(locking: [Self.collecting]) { connection in
            try connection.execute(
                "UPDATE blobs SET damaged_at = COALESCE(damaged_at, ?) WHERE digest = ? AND location = ?",
                .integer(time),
                .text(blob.digest),
                .text(blob.location)
            ) == 1
        }
    }

    /// The manifests of a page.
    func scrubbedManifests(after: PairKey, through: PairKey) async throws -> [ScrubbedManifest] {
        try await self.database.query(
            [
                SQLStatement(
                    """
                    SELECT repository, digest, size FROM manifests
                    WHERE (repository, digest) > (?, ?) AND (repository, digest) <= (?, ?) ORDER BY repository, digest
                    """,
                    after.values + through.values
                )
            ]
        ).first?.map {
            try ScrubbedManifest(repository: $0.text(0), digest: $0.text(1), size: $0.integer(2))
        } ?? []
    }

    /// Of what the manifests of a page need, that which is not there.
    func missingTargets(after: PairKey, through: PairKey) async throws -> [MissingTarget] {
        try await self.database.query(
            [
                SQLStatement(
                    """
                    SELECT repository, manifest, kind, digest FROM manifest_references AS held
                    WHERE (repository, manifest) > (?, ?) AND (repository, manifest) <= (?, ?) AND (
                        kind = 'blob' AND NOT EXISTS (
                            SELECT 1 FROM repository_blobs JOIN blobs ON blobs.digest = repository_blobs.digest
                            WHERE repository_blobs.repository = held.repository
                            AND repository_blobs.digest = held.digest AND blobs.damaged_at IS NULL
                        ) OR kind = 'manifest' AND NOT EXISTS (
                            SELECT 1 FROM manifests
                            WHERE manifests.repository = held.repository AND manifests.digest = held.digest
                        )
                    ) ORDER BY repository, manifest, digest
                    """,
                    after.values + through.values
                )
            ]
        ).first?.map {
            try MissingTarget(
                repository: $0.text(0),
                manifest: $0.text(1),
                kind: $0.text(2),
                digest: $0.text(3)
            )
        } ?? []
    }

    /// The manifests that use a blob, whatever their repository.
    func users(ofBlob digest: String, limit: Int) async throws -> [(repository: String, manifest: String)] {
        try await self.database.query(
            """
            SELECT repository, manifest FROM manifest_references WHERE digest = ? AND kind = 'blob'
            ORDER BY repository, manifest LIMIT ?
            """,
            .text(digest),
            .integer(Int64(limit))
        ).map { (try $0.text(0), try $0.text(1)) }
    }

    /// The tags that a manifest can be reached from: its own and those of the indexes that list it, and of what these are in.
    func tags(reaching manifest: String, in repository: String, limit: Int) async throws -> [String] {
        try await self.database.read { connection in
            var tags: Set<String> = []
            var passed: Set<String> = []
            var waiting = [manifest]
            while let next = waiting.popLast(), tags.count < limit, passed.count < 10 * limit {
                guard passed.insert(next).inserted else { continue }
                tags.formUnion(
                    try connection.query(
                        "SELECT name FROM tags WHERE repository = ? AND digest = ? ORDER BY name LIMIT ?",
                        .text(repository),
                        .text(next),
                        .integer(Int64(limit))
                    ).map { try $0.text(0) }
                )
                waiting += try connection.query(
                    """
                    SELECT manifest FROM manifest_references
                    WHERE digest = ? AND kind = 'manifest' AND repository = ? ORDER BY manifest LIMIT ?
                    """,
                    .text(next),
                    .text(repository),
                    .integer(Int64(limit))
                ).map { try $0.text(0) }
            }
            return Array(tags.sorted().prefix(limit))
        }
    }

    /// The tags of a page whose manifest is not there.
    func danglingTags(
        after: PairKey,
        through: PairKey
    ) async throws -> [(repository: String, tag: String, digest: String)] {
        try await self.database.query(
            [
                SQLStatement(
                    """
                    SELECT repository, name, digest FROM tags
                    WHERE (repository, name) > (?, ?) AND (repository, name) <= (?, ?) AND NOT EXISTS (
                        SELECT 1 FROM manifests
                        WHERE manifests.repository = tags.repository AND manifests.digest = tags.digest
                    ) ORDER BY repository, name
                    """,
                    after.values + through.values
                )
            ]
        ).first?.map { (try $0.text(0), try $0.text(1), try $0.text(2)) } ?? []
    }

    /// Takes a manifest away whose bytes are not what they should be. Its tags, and what it holds, stay, so that whoever pushes it
    /// again finds all of it.
    /// - Returns: False when it is there no more, or with other bytes.
    func removeDamagedManifest(_ manifest: StoredManifest, from repository: String) async throws -> Bool {
        let lock = try Self.lock(RepositoryName(repository))
        return try await self.database.write(locking: [Self.collecting, lock]) { connection in
            try connection.execute(
                "DELETE FROM manifests WHERE repository = ? AND digest = ? AND content = ?",
                .text(repository),
                .text(manifest.digest.description),
                .blob(manifest.content)
            ) == 1
        }
    }

    /// Begins a scrub, or goes on with one that did not come to its end.
    func beginScrub(_ lease: ChoreLease, restarting: Bool, at now: Int64) async throws -> ChoreState {
        try await self.database.write(locking: [.exclusive("chores")]) { connection in
            try Self.renew(lease, at: now, on: connection)
            try connection.execute(
                restarting
                    ? "UPDATE chores SET started_at = ?, position = NULL WHERE name = ?"
                    : "UPDATE chores SET started_at = COALESCE(started_at, ?) WHERE name = ?",
                .integer(now),
                .text(lease.chore.rawValue)
            )
        }
        return try await self.state(of: lease.chore)
    }

    /// Notes how far a chore is, and holds on to it.
    func note(position: String, of lease: ChoreLease, at now: Int64) async throws {
        try await self.database.write(locking: []) { connection in
            try Self.renew(lease, at: now, on: connection)
            try connection.execute(
                "UPDATE chores SET position = ? WHERE name = ?",
                .text(position),
                .text(lease.chore.rawValue)
            )
        }
    }
}
