// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

extension RegistryStore {
    /// A tag as another registry has it.
    struct ImportedTag: Sendable {
        let tag: Tag
        let digest: Digest
        /// When it was last moved there, in Unix seconds.
        let writtenAt: Int64
    }

    enum TagOutcome: Sendable {
        case set
        case present
        /// It stands for something else here.
        case kept
        /// What it stands for is not here.
        case dangling
    }

    /// Sets tags that are not here, in one transaction; those that stand for something else here as well, if `moves` says so.
    /// - Returns: What became of each.
    func importTags(
        _ tags: [ImportedTag],
        into repository: RepositoryName,
        moves: Bool,
        at time: Int64
    ) async throws -> [TagOutcome] {
        try await self.database.write(locking: [Self.relying, Self.lock(repository)]) { connection in
            try tags.map { tag in
                let present = try connection.query(
                    "SELECT digest FROM tags WHERE repository = ? AND name = ?",
                    .text(repository.description),
                    .text(tag.tag.description)
                ).first?.text(0)
                if present == tag.digest.description { return .present }
                if present != nil, !moves { return .kept }
                let exists = try !connection.query(
                    "SELECT digest FROM manifests WHERE repository = ? AND digest = ?",
                    .text(repository.description),
                    .text(tag.digest.description)
                ).isEmpty
                guard exists else { return .dangling }
                if present != nil { try Self.noteUntagging(tag.tag, in: repository, at: time, on: connection) }
                try connection.execute(
                    """
                    INSERT INTO tags (repository, name, digest, updated_at) VALUES (?, ?, ?, ?)
                    ON CONFLICT (repository, name) DO UPDATE
                    SET digest = excluded.digest, updated_at = excluded.updated_at
                    """,
                    .text(repository.description),
                    .text(tag.tag.description),
                    .text(tag.digest.description),
                    .integer(tag.writtenAt)
                )
                return .set
            }
        }
    }

    /// What would become of tags, as far as those that are here tell.
    func outcomes(
        of tags: [ImportedTag],
        in repository: RepositoryName,
        moves: Bool
    ) async throws -> [TagOutcome] {
        try await self.database.read { connection in
            try tags.map { tag in
                let present = try connection.query(
                    "SELECT digest FROM tags WHERE repository = ? AND name = ?",
                    .text(repository.description),
                    .text(tag.tag.description)
                ).first?.text(0)
                if present == tag.digest.description { return .present }
                return present == nil || moves ? .set : .kept
            }
        }
    }

    /// Says when a manifest was pushed, where that is known better: rules of retention go by it.
    func setPushTime(_ time: Int64, of digest: Digest, in repository: RepositoryName) async throws {
        _ = try await self.database.write(locking: []) { connection in
            try connection.execute(
                "UPDATE manifests SET pushed_at = ? WHERE repository = ? AND digest = ?",
                .integer(time),
                .text(repository.description),
                .text(digest.description)
            )
        }
    }
}
