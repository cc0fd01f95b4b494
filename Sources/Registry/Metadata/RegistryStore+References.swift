// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// What a manifest needs was deleted between the look-up and the transaction that relied on it.
struct TargetVanished: Error {}

extension RegistryStore {
    /// How many of the things that are missing are named: a manifest may list ten thousand.
    private static let maximumNamed = 50

    /// Looks for everything that a manifest needs, in many short reads: other readers wait for none of them long.
    /// - Returns: nil when all of it is there.
    func checkTargets(_ push: ManifestPush) async throws -> ManifestPush.Outcome? {
        var missing: [String] = []
        var more = 0
        for (descriptors, sql) in [(push.blobs, Self.blobSizes), (push.manifests, Self.manifestSizes)] {
            for batch in SQLBatch.batches(of: descriptors) {
                let sizes = try await self.sizes(batch.map(\.digest), in: push.repository, sql)
                for descriptor in batch {
                    let digest = descriptor.digest.description
                    guard let size = sizes[digest] else {
                        if missing.count < Self.maximumNamed { missing.append(digest) } else { more += 1 }
                        continue
                    }
                    guard size == descriptor.size else {
                        return .wrongSize(digest, claimed: descriptor.size, actual: size)
                    }
                }
            }
        }
        return missing.isEmpty ? nil : .missing(missing, more: more)
    }

    private static let blobSizes = """
        SELECT blobs.digest, blobs.size FROM repository_blobs JOIN blobs ON blobs.digest = repository_blobs.digest
        WHERE repository_blobs.repository = ? AND blobs.damaged_at IS NULL AND repository_blobs.digest IN 
        """
    private static let manifestSizes = "SELECT digest, size FROM manifests WHERE repository = ? AND digest IN "

    private func sizes(
        _ digests: [Digest],
        in repository: RepositoryName,
        _ sql: String
    ) async throws -> [String: Int64] {
        let digests = SQLBatch.padded(digests).map { SQLValue.text($0.description) }
        return try await self.database.read { connection in
            let rows = try connection.query(
                sql + SQLBatch.list(count: digests.count),
                [.text(repository.description)] + digests
            )
            return try Dictionary(rows.map { try ($0.text(0), $0.integer(1)) }) { first, _ in first }
        }
    }

    /// Writes down what a manifest holds on to.
    static func insertReferences(_ push: ManifestPush, on connection: any SQLConnection) throws {
        try connection.execute(
            "DELETE FROM manifest_references WHERE repository = ? AND manifest = ?",
            .text(push.repository.description),
            .text(push.digest.description)
        )
        let references = [
            ("blob", push.blobReferences), ("manifest", push.manifestReferences),
            ("subject", push.subject.map { [$0] } ?? []),
        ]
        for (kind, digests) in references {
            for batch in SQLBatch.batches(of: digests) {
                let batch = SQLBatch.padded(batch)
                // `WHERE TRUE` tells SQLite that the ON after it does not belong to a join.
                try connection.execute(
                    """
                    WITH listed (digest) AS (VALUES \(SQLBatch.rows(count: batch.count)))
                    INSERT INTO manifest_references (repository, manifest, kind, digest)
                    SELECT ?, ?, ?, digest FROM listed WHERE TRUE
                    ON CONFLICT (repository, manifest, kind, digest) DO NOTHING
                    """,
                    batch.map { .text($0.description) } + [
                        .text(push.repository.description), .text(push.digest.description), .text(kind),
                    ]
                )
            }
        }
    }

    /// Makes sure, in the transaction that wrote them down, that the references lead somewhere.
    /// - Throws: ``TargetVanished``, which undoes the transaction.
    static func checkReferences(_ push: ManifestPush, on connection: any SQLConnection) throws {
        let parameters: [SQLValue] = [.text(push.repository.description), .text(push.digest.description)]
        for (sql, isNeeded) in [
            (Self.danglingBlobs, !push.blobs.isEmpty), (Self.danglingManifests, !push.manifests.isEmpty),
        ] where isNeeded {
            guard try connection.query(sql, parameters).first?.integer(0) == 0 else { throw TargetVanished() }
        }
    }

    private static let danglingBlobs = """
        SELECT COUNT(*) FROM manifest_references AS held
        WHERE held.repository = ? AND held.manifest = ? AND held.kind = 'blob' AND NOT EXISTS (
            SELECT 1 FROM repository_blobs JOIN blobs ON blobs.digest = repository_blobs.digest
            WHERE repository_blobs.repository = held.repository AND repository_blobs.digest = held.digest
            AND blobs.damaged_at IS NULL
        )
        """
    private static let danglingManifests = """
        SELECT COUNT(*) FROM manifest_references AS held
        WHERE held.repository = ? AND held.manifest = ? AND held.kind = 'manifest' AND NOT EXISTS (
            SELECT 1 FROM manifests WHERE manifests.repository = held.repository AND manifests.digest = held.digest
        )
        """
}

/// Many values in one statement.
enum SQLBatch {
    /// How many values one statement takes.
    private static let maximum = 256

    static func batches<Value>(of values: [Value]) -> [[Value]] {
        stride(from: 0, to: values.count, by: self.maximum).map {
            Array(values[$0..<min($0 + self.maximum, values.count)])
        }
    }

    /// The values with the last one repeated until there is a power of two of them: every text of a statement is prepared
    /// once and kept, so there should be few.
    static func padded<Value>(_ values: [Value]) -> [Value] {
        guard let last = values.last else { return values }
        var count = 1
        while count < values.count { count *= 2 }
        return values + Array(repeating: last, count: count - values.count)
    }

    /// `(?, ?, ?)`.
    static func list(count: Int) -> String {
        "(" + Array(repeating: "?", count: count).joined(separator: ", ") + ")"
    }

    /// `(?), (?), (?)`.
    static func rows(count: Int) -> String {
        Array(repeating: "(?)", count: count).joined(separator: ", ")
    }
}
