// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// A key of two columns, by which a large table is read in pages.
struct PairKey: Sendable, Hashable {
    var repository: String
    var name: String

    static let first = PairKey(repository: "", name: "")
    /// Comes after every name and digest there can be.
    static let last = PairKey(repository: "~", name: "~")

    var values: [SQLValue] { [.text(self.repository), .text(self.name)] }
}

/// What becomes of a repository by the removal of manifests.
struct ManifestRemoval: Sendable {
    struct Manifest: Sendable, Hashable {
        let digest: String
        let size: Int64
        let isOrphaned: Bool
    }

    /// An attached tag that went with its subject.
    struct AttachedTag: Sendable, Hashable {
        let name: String
        let digest: String
        let subject: String
    }

    var manifests: [Manifest] = []
    var tags: [AttachedTag] = []
    /// What may have lost its hold by that.
    var unsettled: Set<String> = []
}

/// A blob that was taken out of the database.
struct RemovedBlob: Sendable, Hashable {
    let digest: String
    let size: Int64
    let location: String
}

/// The reads of a collection: in pages, each a range of the primary key, so that none takes long.
extension RegistryStore {
    /// The last key of the next page of a table; nil when there is nothing more.
    func pageEnd(of table: PagedTable, after key: PairKey, limit: Int) async throws -> PairKey? {
        try await self.database.read { connection in
            let position = table.hasPairs ? key.values : [.text(key.name)]
            let offset: [SQLValue] = [.integer(Int64(max(1, limit) - 1))]
            if let row = try connection.query(table.boundary, position + offset).first { return try table.key(row) }
            return try connection.query(table.boundary, position + [.integer(0)]).isEmpty ? nil : .last
        }
    }

    /// A table that is read in pages.
    struct PagedTable: Sendable {
        static let blobs = PagedTable("blobs", "digest", hasPairs: false)
        static let manifests = PagedTable("manifests", "digest", hasPairs: true)
        static let links = PagedTable("repository_blobs", "digest", hasPairs: true)
        static let tags = PagedTable("tags", "name", hasPairs: true)
        static let repositories = PagedTable("repositories", "name", hasPairs: false)

        let boundary: String
        let hasPairs: Bool

        private init(_ name: String, _ column: String, hasPairs: Bool) {
            let columns = hasPairs ? "repository, \(column)" : column
            let condition = hasPairs ? "(repository, \(column)) > (?, ?)" : "\(column) > ?"
            self.boundary = "SELECT \(columns) FROM \(name) WHERE \(condition) ORDER BY \(columns) LIMIT 1 OFFSET ?"
            self.hasPairs = hasPairs
        }

        func key(_ row: SQLRow) throws -> PairKey {
            try self.hasPairs
                ? PairKey(repository: row.text(0), name: row.text(1)) : PairKey(repository: "", name: row.text(0))
        }
    }

    /// The blobs of a page that nothing holds and nobody has seen since.
    func unheldBlobs(after: String, through: String, seenBefore time: Int64) async throws -> [RemovedBlob] {
        try await self.database.query(
            """
            SELECT digest, size, location FROM blobs WHERE digest > ? AND digest <= ? AND seen_at < ? AND NOT EXISTS (
                SELECT 1 FROM manifest_references AS held WHERE held.digest = blobs.digest AND held.kind = 'blob'
            ) ORDER BY digest
            """,
            .text(after),
            .text(through),
            .integer(time)
        ).map { try RemovedBlob(digest: $0.text(0), size: $0.integer(1), location: $0.text(2)) }
    }

    /// The links of a page to blobs that no manifest of the repository uses, made and seen before a time.
    func unusedLinks(after: PairKey, through: PairKey, before time: Int64) async throws -> [PairKey] {
        try await self.database.query(
            [
                SQLStatement(
                    """
                    SELECT repository, digest FROM repository_blobs AS link
                    WHERE (repository, digest) > (?, ?) AND (repository, digest) <= (?, ?) AND linked_at < ?
                    AND \(Self.isUnused) ORDER BY repository, digest
                    """,
                    after.values + through.values + [.integer(time), .integer(time)]
                )
            ]
        ).first?.map { try PairKey(repository: $0.text(0), name: $0.text(1)) } ?? []
    }

    private static let isUnused = """
        NOT EXISTS (
            SELECT 1 FROM manifest_references AS held
            WHERE held.digest = link.digest AND held.kind = 'blob' AND held.repository = link.repository
        ) AND NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.digest = link.digest AND blobs.seen_at >= ?)
        """

    /// The manifests of a page that have no tag, and no tagged index or subject, and were seen before a time: some of them may be
    /// held by others yet.
    func untaggedManifests(after: PairKey, through: PairKey, seenBefore time: Int64) async throws -> [PairKey] {
        // CROSS JOIN: what lists the manifest is looked for first, whatever SQLite thinks of the two.
        try await self.database.query(
            [
                SQLStatement(
                    """
                    SELECT repository, digest FROM manifests AS listed
                    WHERE (repository, digest) > (?, ?) AND (repository, digest) <= (?, ?) AND NOT EXISTS (
                        SELECT 1 FROM tags WHERE tags.repository = listed.repository AND tags.digest = listed.digest
                    ) AND NOT EXISTS (
                        SELECT 1 FROM manifest_references AS held CROSS JOIN tags
                        WHERE held.digest = listed.digest AND held.kind = 'manifest'
                        AND held.repository = listed.repository
                        AND tags.repository = held.repository AND tags.digest = held.manifest
                    ) AND NOT EXISTS (
                        SELECT 1 FROM tags WHERE tags.repository = listed.repository AND tags.digest = listed.subject
                    ) AND seen_at < ? AND pushed_at < ? ORDER BY repository, digest
                    """,
                    after.values + through.values + [.integer(time), .integer(time)]
                )
            ]
        ).first?.map { try PairKey(repository: $0.text(0), name: $0.text(1)) } ?? []
    }

    /// The tags of a page, with when their manifests were seen; those of a manifest that is not there are left out.
    func retainedTags(of repository: String, after: String, limit: Int) async throws -> [RetainedTag] {
        try await self.database.query(
            """
            SELECT tags.name, tags.digest, tags.updated_at, manifests.seen_at FROM tags
            JOIN manifests ON manifests.repository = tags.repository AND manifests.digest = tags.digest
            WHERE tags.repository = ? AND tags.name > ? ORDER BY tags.name LIMIT ?
            """,
            .text(repository),
            .text(after),
            .integer(Int64(limit))
        ).map {
            try RetainedTag(name: $0.text(0), digest: $0.text(1), updatedAt: $0.integer(2), seenAt: $0.integer(3))
        }
    }

    /// Whether a repository has a manifest whose digest begins so.
    func hasManifest(_ digest: String, in repository: String) async throws -> Bool {
        try await !self.database.query(Self.manifestsWithPrefix, .text(repository), .text(digest), .text(digest + "~"))
            .isEmpty
    }

    static let manifestsWithPrefix =
        "SELECT digest FROM manifests WHERE repository = ? AND digest >= ? AND digest < ? ORDER BY digest LIMIT 1"

    /// The repositories of a page that have nothing, and were made before a time.
    func emptyRepositories(after: String, through: String, before time: Int64) async throws -> [String] {
        try await self.database.query(
            "SELECT name FROM repositories WHERE name > ? AND name <= ? AND \(Self.isEmpty) ORDER BY name",
            .text(after),
            .text(through),
            .integer(time)
        ).map { try $0.text(0) }
    }

    private static let isEmpty = """
        created_at < ?
        AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.repository = repositories.name)
        AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository_blobs.repository = repositories.name)
        AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.repository = repositories.name)
        """
}

/// The writes of a collection: what a transaction does with the lock on collections held. Each decides by itself once more, as
/// whatever was read before may have changed.
extension RegistryStore {
    static func removeBlobs(
        _ digests: [String],
        seenBefore time: Int64,
        at now: Int64,
        on connection: any SQLConnection
    ) throws -> [RemovedBlob] {
        let digests = SQLBatch.padded(digests)
        let removed = try connection.query(
            """
            DELETE FROM blobs WHERE digest IN \(SQLBatch.list(count: digests.count)) AND seen_at < ? AND NOT EXISTS (
                SELECT 1 FROM manifest_references AS held WHERE held.digest = blobs.digest AND held.kind = 'blob'
            ) RETURNING digest, size, location
            """,
            digests.map { .text($0) } + [.integer(time)]
        ).map { try RemovedBlob(digest: $0.text(0), size: $0.integer(1), location: $0.text(2)) }
        guard !removed.isEmpty else { return [] }
        let gone = SQLBatch.padded(removed.map(\.digest))
        try connection.execute(
            "DELETE FROM repository_blobs WHERE digest IN \(SQLBatch.list(count: gone.count))",
            gone.map { .text($0) }
        )
        try Self.discard(removed.map(\.location), at: now, on: connection)
        return removed
    }

    /// Hands bytes over to whoever empties the trash.
    static func discard(_ locations: [String], at now: Int64, on connection: any SQLConnection) throws {
        try connection.executeAll(
            locations.map {
                SQLStatement(
                    "INSERT INTO trash (location, added_at) VALUES (?, ?) ON CONFLICT (location) DO NOTHING",
                    .text($0),
                    .integer(now)
                )
            } + locations.flatMap { Self.forgettingUploads(to: $0) }
        )
    }

    static func removeLinks(
        _ digests: [String],
        from repository: String,
        before time: Int64,
        on connection: any SQLConnection
    ) throws -> [String] {
        let digests = SQLBatch.padded(digests)
        return try connection.query(
            """
            DELETE FROM repository_blobs AS link WHERE repository = ? AND digest IN \(SQLBatch.list(count: digests.count))
            AND linked_at < ? AND \(Self.isUnused) RETURNING digest
            """,
            [.text(repository)] + digests.map { .text($0) } + [.integer(time), .integer(time)]
        ).map { try $0.text(0) }
    }

    /// Removes tags that still stand for what they stood for when they were looked at.
    static func removeTags(
        _ tags: [RetainedTag],
        from repository: String,
        on connection: any SQLConnection
    ) throws -> [RetainedTag] {
        let counts = try connection.executeAll(
            tags.map {
                SQLStatement(
                    "DELETE FROM tags WHERE repository = ? AND name = ? AND digest = ? AND updated_at = ?",
                    .text(repository),
                    .text($0.name),
                    .text($0.digest),
                    .integer($0.updatedAt)
                )
            }
        )
        return zip(tags, counts).filter { $0.1 > 0 }.map(\.0)
    }

    /// Removes an attached tag whose subject is not there.
    static func removeOrphanedTag(
        _ tag: RetainedTag,
        of subject: String,
        from repository: String,
        on connection: any SQLConnection
    ) throws -> Bool {
        let subjects = try connection.query(
            Self.manifestsWithPrefix,
            .text(repository),
            .text(subject),
            .text(subject + "~")
        )
        guard subjects.isEmpty else { return false }
        return try !Self.removeTags([tag], from: repository, on: connection).isEmpty
    }

    /// Removes manifests of a repository that nothing holds, and the tags that are attached to them.
    /// - Throws: ``ManifestsChanged`` when one of them was asked for meanwhile, which undoes the transaction.
    static func removeManifests(
        _ closure: UntaggedManifests,
        on connection: any SQLConnection
    ) throws -> ManifestRemoval {
        var removal = ManifestRemoval()
        for (digest, doomed) in closure.doomed.sorted(by: { $0.key < $1.key }) {
            let parameters: [SQLValue] = [.text(closure.repository), .text(digest)]
            removal.unsettled.formUnion(try Self.holdings(of: digest, in: closure.repository, on: connection))
            let cutoff =
                [closure.untaggedBefore, doomed.isOrphaned ? closure.orphanedBefore : nil]
                .compactMap(\.self).max() ?? 0
            let counts = try connection.executeAll([
                SQLStatement(
                    "DELETE FROM manifests WHERE repository = ? AND digest = ? AND seen_at < ? AND pushed_at < ?",
                    parameters + [.integer(cutoff), .integer(cutoff)]
                ),
                SQLStatement("DELETE FROM manifest_references WHERE repository = ? AND manifest = ?", parameters),
            ])
            guard counts.first == 1 else { throw ManifestsChanged() }
            removal.manifests.append(.init(digest: digest, size: doomed.size, isOrphaned: doomed.isOrphaned))
            removal.tags += try Self.removeAttachedTags(of: digest, from: closure.repository, on: connection)
        }
        removal.unsettled.formUnion(removal.tags.map(\.digest))
        removal.unsettled.subtract(closure.doomed.keys)
        return removal
    }

    /// What a manifest holds: what it lists, and what is about it.
    static func holdings(of digest: String, in repository: String, on connection: any SQLConnection) throws -> [String]
    {
        let parameters: [SQLValue] = [.text(repository), .text(digest)]
        return try connection.queryAll([
            SQLStatement(
                "SELECT digest FROM manifest_references WHERE repository = ? AND manifest = ? AND kind = 'manifest'",
                parameters
            ),
            SQLStatement("SELECT digest FROM manifests WHERE repository = ? AND subject = ?", parameters),
        ]).joined().map { try $0.text(0) }
    }

    /// The tags that are attached to a manifest.
    static func attachedTags(
        of subject: String,
        in repository: String,
        on connection: any SQLConnection
    ) throws -> [ManifestRemoval.AttachedTag] {
        let names = SQLBatch.padded(AttachedTag.names(for: subject))
        guard !names.isEmpty else { return [] }
        return try connection.query(
            "SELECT name, digest FROM tags WHERE repository = ? AND name IN \(SQLBatch.list(count: names.count))",
            [.text(repository)] + names.map { .text($0) }
        ).map { try ManifestRemoval.AttachedTag(name: $0.text(0), digest: $0.text(1), subject: subject) }
    }

    private static func removeAttachedTags(
        of subject: String,
        from repository: String,
        on connection: any SQLConnection
    ) throws -> [ManifestRemoval.AttachedTag] {
        let tags = try Self.attachedTags(of: subject, in: repository, on: connection)
        try connection.executeAll(
            tags.map {
                SQLStatement(
                    "DELETE FROM tags WHERE repository = ? AND name = ? AND digest = ?",
                    .text(repository),
                    .text($0.name),
                    .text($0.digest)
                )
            }
        )
        return tags
    }

    static func removeEmptyRepositories(
        _ names: [String],
        before time: Int64,
        on connection: any SQLConnection
    ) throws -> [String] {
        let names = SQLBatch.padded(names)
        return try connection.query(
            "DELETE FROM repositories WHERE name IN \(SQLBatch.list(count: names.count)) AND \(Self.isEmpty) RETURNING name",
            names.map { .text($0) } + [.integer(time)]
        ).map { try $0.text(0) }
    }
}

/// What rules remove is told as what clients delete; what goes without ever having had a name for clients, as blobs do, is not.
extension RegistryStore {
    func tellDeletion(ofTags names: [String], from repository: RepositoryName, on connection: any SQLConnection) throws
    {
        guard self.events != nil else { return }
        try connection.executeAll(
            names.compactMap { try? Tag($0) }.flatMap {
                self.telling(EventSubject(action: .delete, repository: repository, tag: $0))
            }
        )
    }

    func tellDeletion(
        ofManifests digests: [String],
        from repository: RepositoryName,
        on connection: any SQLConnection
    ) throws {
        guard self.events != nil else { return }
        try connection.executeAll(
            digests.compactMap { try? Digest($0) }.flatMap {
                self.telling(EventSubject(action: .delete, repository: repository, digest: $0))
            }
        )
    }
}

/// A manifest that was about to be collected was asked for.
struct ManifestsChanged: Error {}
