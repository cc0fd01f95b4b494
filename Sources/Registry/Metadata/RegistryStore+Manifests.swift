// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import OCI

/// A manifest as it is stored.
struct StoredManifest: Sendable, Equatable {
    let digest: Digest
    let mediaType: String
    /// The exact bytes that were pushed.
    let content: Data
    /// When a client was last told that it exists, as far as the database knows.
    let seenAt: Int64
}

/// A manifest that has been checked by itself, and is to be checked against its repository and stored.
struct ManifestPush: Sendable {
    /// What the tags must be before the push.
    enum Condition: Sendable, Equatable {
        /// The tag or manifest must not exist (`If-None-Match: *`).
        case isNew
        /// The tag must not stand for one of these (`If-None-Match`).
        case differs([String])
        /// The tag must stand for one of these, or for anything when empty (`If-Match`).
        case matches([String])
    }

    let repository: RepositoryName
    let digest: Digest
    let mediaType: String
    let content: Data
    let tags: [Tag]
    /// The blobs that must be there.
    let blobs: [Descriptor]
    /// The manifests that must be there; empty when indexes may be sparse.
    let manifests: [Descriptor]
    /// The blobs that it holds on to, there or not.
    let blobReferences: [Digest]
    /// The manifests that it holds on to, there or not.
    let manifestReferences: [Digest]
    let subject: Digest?
    let artifactType: String?
    /// As a JSON object; nil for none.
    let annotations: String?
    let condition: Condition?
    /// What it lists, for those who want to be told.
    let references: [Descriptor]
    let time: Int64

    enum Outcome: Sendable, Equatable {
        case stored
        /// These, and so many more, are not in the repository; nothing was stored.
        case missing([String], more: Int)
        /// The manifest says that the first has the second size, but it has the third; nothing was stored.
        case wrongSize(String, claimed: Int64, actual: Int64)
        /// The condition does not hold; nothing was stored.
        case conditionFailed
    }
}

extension RegistryStore {
    /// The manifest that a tag or digest stands for.
    func manifest(_ reference: Reference, in repository: RepositoryName) async throws -> StoredManifest? {
        try await self.database.read { connection in
            let rows: [SQLRow] =
                switch reference {
                case .tag(let tag):
                    try connection.query(
                        """
                        SELECT manifests.digest, manifests.media_type, manifests.content, manifests.seen_at FROM tags
                        JOIN manifests ON manifests.repository = tags.repository AND manifests.digest = tags.digest
                        WHERE tags.repository = ? AND tags.name = ?
                        """,
                        .text(repository.description),
                        .text(tag.description)
                    )
                case .digest(let digest):
                    try connection.query(
                        """
                        SELECT digest, media_type, content, seen_at FROM manifests
                        WHERE repository = ? AND digest = ?
                        """,
                        .text(repository.description),
                        .text(digest.description)
                    )
                }
            return try rows.first.map {
                try StoredManifest(
                    digest: Digest($0.text(0)),
                    mediaType: $0.text(1),
                    content: $0.blob(2),
                    seenAt: $0.integer(3)
                )
            }
        }
    }

    /// Notes that a client is about to be told that a manifest exists.
    /// - Returns: False when it does not, by now.
    func seeManifest(_ digest: Digest, in repository: RepositoryName, at time: Int64) async throws -> Bool {
        try await self.database.write(locking: [Self.relying]) { connection in
            try connection.execute(
                """
                UPDATE manifests SET seen_at = CASE WHEN seen_at < ? THEN ? ELSE seen_at END
                WHERE repository = ? AND digest = ?
                """,
                .integer(time),
                .integer(time),
                .text(repository.description),
                .text(digest.description)
            ) == 1
        }
    }

    /// Checks that everything a manifest needs is there, and stores it with its references and tags.
    ///
    /// A manifest may list ten thousand things. They are looked up before the transaction, so that other writers wait only
    /// for what changes. What is deleted after the look-up undoes the transaction, and the look-up is done again.
    func put(_ push: ManifestPush) async throws -> ManifestPush.Outcome {
        let events = push.subjects.flatMap { self.telling($0) }
        for _ in 0..<Self.maximumAttempts {
            if let refusal = try await self.checkTargets(push) { return refusal }
            do {
                return try await self.database.write(locking: [Self.relying, Self.lock(push.repository)]) {
                    let outcome = try Self.store(push, on: $0)
                    if outcome == .stored { try $0.executeAll(events) }
                    return outcome
                }
            } catch is TargetVanished {
                continue
            }
        }
        throw DatabaseError(
            code: .serializationFailure,
            message: "what \(push.digest) lists is deleted and pushed again all the time; push it again later"
        )
    }

    private static let maximumAttempts = 5

    private static func store(_ push: ManifestPush, on connection: any SQLConnection) throws -> ManifestPush.Outcome {
        guard try Self.holds(push, on: connection) else { return .conditionFailed }
        if try !Self.isKnown(push, on: connection) {
            try Self.createRepository(push.repository, at: push.time, on: connection)
            try Self.insert(push, on: connection)
            try Self.insertReferences(push, on: connection)
            try Self.checkReferences(push, on: connection)
        }
        for tag in push.tags {
            try Self.noteUntagging(tag, in: push.repository, at: push.time, on: connection)
            try connection.execute(
                """
                INSERT INTO tags (repository, name, digest, updated_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at
                """,
                .text(push.repository.description),
                .text(tag.description),
                .text(push.digest.description),
                .integer(push.time)
            )
        }
        return .stored
    }

    /// What a tag stood for until now was known to exist until now: its time as an untagged manifest begins.
    static func noteUntagging(
        _ tag: Tag,
        in repository: RepositoryName,
        at time: Int64,
        on connection: any SQLConnection
    ) throws {
        try connection.execute(
            """
            UPDATE manifests SET seen_at = ? WHERE repository = ? AND seen_at < ?
            AND digest = (SELECT digest FROM tags WHERE repository = ? AND name = ?)
            """,
            .integer(time),
            .text(repository.description),
            .integer(time),
            .text(repository.description),
            .text(tag.description)
        )
    }

    /// Whether the manifest is there already; then its references are, too, and it only counts as pushed once more.
    private static func isKnown(_ push: ManifestPush, on connection: any SQLConnection) throws -> Bool {
        try connection.execute(
            """
            UPDATE manifests SET pushed_at = ?, seen_at = CASE WHEN seen_at < ? THEN ? ELSE seen_at END
            WHERE repository = ? AND digest = ? AND media_type = ? AND content = ?
            """,
            .integer(push.time),
            .integer(push.time),
            .integer(push.time),
            .text(push.repository.description),
            .text(push.digest.description),
            .text(push.mediaType),
            .blob(push.content)
        ) > 0
    }

    private static func holds(_ push: ManifestPush, on connection: any SQLConnection) throws -> Bool {
        guard let condition = push.condition else { return true }
        var present: [String] = []
        for tag in push.tags {
            present += try connection.query(
                "SELECT digest FROM tags WHERE repository = ? AND name = ?",
                .text(push.repository.description),
                .text(tag.description)
            ).map { try $0.text(0) }
        }
        if push.tags.isEmpty {
            present = try connection.query(
                "SELECT digest FROM manifests WHERE repository = ? AND digest = ?",
                .text(push.repository.description),
                .text(push.digest.description)
            ).map { try $0.text(0) }
        }
        switch condition {
        case .isNew: return present.isEmpty
        case .differs(let digests): return present.allSatisfy { !digests.contains($0) }
        case .matches(let digests):
            return present.count == max(1, push.tags.count)
                && present.allSatisfy { digests.isEmpty || digests.contains($0) }
        }
    }

    private static func insert(_ push: ManifestPush, on connection: any SQLConnection) throws {
        // The same bytes may come again under another media type, if they do not name one: the last one counts.
        try connection.execute(
            """
            INSERT INTO manifests
            (repository, digest, media_type, size, subject, artifact_type, annotations, pushed_at, seen_at, content)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type,
            subject = excluded.subject, artifact_type = excluded.artifact_type, pushed_at = excluded.pushed_at,
            annotations = excluded.annotations, size = excluded.size, content = excluded.content,
            seen_at = CASE WHEN manifests.seen_at < excluded.seen_at THEN excluded.seen_at ELSE manifests.seen_at END
            """,
            .text(push.repository.description),
            .text(push.digest.description),
            .text(push.mediaType),
            .integer(Int64(push.content.count)),
            push.subject.map { .text($0.description) } ?? .null,
            push.artifactType.map { .text($0) } ?? .null,
            push.annotations.map { .text($0) } ?? .null,
            .integer(push.time),
            .integer(push.time),
            .blob(push.content)
        )
    }

    /// Removes a tag; its manifest stays.
    /// - Returns: False when there is no such tag.
    func removeTag(_ tag: Tag, from repository: RepositoryName, at time: Int64) async throws -> Bool {
        let events = self.telling(EventSubject(action: .delete, repository: repository, tag: tag))
        return try await self.database.write(locking: [Self.lock(repository)]) { connection in
            try Self.noteUntagging(tag, in: repository, at: time, on: connection)
            let removed = try connection.execute(
                "DELETE FROM tags WHERE repository = ? AND name = ?",
                .text(repository.description),
                .text(tag.description)
            )
            guard removed > 0 else { return false }
            try connection.executeAll(events)
            return true
        }
    }

    /// Removes a manifest, every tag that stands for it, and its hold on what it references.
    /// - Returns: False when there is no such manifest.
    func removeManifest(_ digest: Digest, from repository: RepositoryName) async throws -> Bool {
        let events = self.telling(EventSubject(action: .delete, repository: repository, digest: digest))
        return try await self.database.write(locking: [Self.lock(repository)]) { connection in
            let parameters: [SQLValue] = [.text(repository.description), .text(digest.description)]
            let removed = try connection.execute(
                "DELETE FROM manifests WHERE repository = ? AND digest = ?",
                parameters
            )
            guard removed > 0 else { return false }
            try connection.executeAll(events)
            try connection.execute("DELETE FROM tags WHERE repository = ? AND digest = ?", parameters)
            try connection.execute("DELETE FROM manifest_references WHERE repository = ? AND manifest = ?", parameters)
            return true
        }
    }
}
