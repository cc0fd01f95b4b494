// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import OCI

/// A manifest that is about another one, as the referrers API lists it.
struct Referrer: Sendable, Equatable, Encodable {
    let mediaType: String
    let digest: String
    let size: Int64
    let artifactType: String?
    let annotations: [String: String]?
}

extension RegistryStore {
    /// One more row than a page has tells that there is another page.
    struct Page<Element: Sendable>: Sendable {
        var elements: [Element]
        var hasMore: Bool

        init(_ rows: [Element], limit: Int) {
            self.elements = Array(rows.prefix(limit))
            self.hasMore = rows.count > limit
        }
    }

    /// The tags of a repository by their bytes, after one of them; nil when there is no such repository.
    func tags(of repository: RepositoryName, after last: String, limit: Int) async throws -> Page<String>? {
        try await self.database.read { connection in
            let rows = try connection.query(
                "SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
                .text(repository.description),
                .text(last),
                .integer(Int64(limit) + 1)
            )
            if rows.isEmpty {
                let known = try connection.query(
                    "SELECT name FROM repositories WHERE name = ?",
                    .text(repository.description)
                )
                if known.isEmpty { return nil }
            }
            return try Page(rows.map { try $0.text(0) }, limit: limit)
        }
    }

    /// The names of repositories that have a manifest, by their bytes, after one of them.
    func repositories(after last: String, limit: Int) async throws -> Page<String> {
        try await self.database.read { connection in
            let rows = try connection.query(
                """
                SELECT name FROM repositories WHERE name > ?
                AND EXISTS (SELECT 1 FROM manifests WHERE manifests.repository = repositories.name)
                ORDER BY name LIMIT ?
                """,
                .text(last),
                .integer(Int64(limit) + 1)
            )
            return try Page(rows.map { try $0.text(0) }, limit: limit)
        }
    }

    /// How many bytes of manifests a page of referrers may be taken from: their annotations are held in memory, and
    /// each may be almost as large as its manifest.
    private static let maximumReferrerBytes: Int64 = 16 << 20

    /// The manifests of a repository whose subject is the digest, ordered by digest, after one of them.
    func referrers(
        of subject: Digest,
        in repository: RepositoryName,
        artifactType: String?,
        after last: String,
        limit: Int
    ) async throws -> Page<Referrer> {
        try await self.database.read { connection in
            let filter =
                "WHERE repository = ? AND subject = ? AND digest > ?"
                + (artifactType == nil ? "" : " AND artifact_type = ?") + " ORDER BY digest LIMIT ?"
            let parameters: [SQLValue] =
                [.text(repository.description), .text(subject.description), .text(last)]
                + (artifactType.map { [.text($0)] } ?? [])
            let sizes = try connection.query(
                "SELECT size FROM manifests \(filter)",
                parameters + [.integer(Int64(limit) + 1)]
            ).map { try $0.integer(0) }
            let count = min(limit, Self.count(of: sizes, upTo: Self.maximumReferrerBytes))
            let rows = try connection.query(
                "SELECT media_type, digest, size, artifact_type, annotations FROM manifests \(filter)",
                parameters + [.integer(Int64(count))]
            )
            var page = try Page(rows.map(Self.referrer), limit: limit)
            page.hasMore = sizes.count > count
            return page
        }
    }

    /// How many of the sizes together stay within the limit; the first is always among them.
    private static func count(of sizes: [Int64], upTo limit: Int64) -> Int {
        var sum: Int64 = 0
        for (index, size) in sizes.enumerated() {
            let (next, overflows) = sum.addingReportingOverflow(size)
            if index > 0, overflows || next > limit { return index }
            sum = overflows ? .max : next
        }
        return sizes.count
    }

    private static func referrer(_ row: SQLRow) throws -> Referrer {
        try Referrer(
            mediaType: row.text(0),
            digest: row.text(1),
            size: row.integer(2),
            artifactType: row.optionalText(3),
            annotations: row.optionalText(4).map {
                try JSONDecoder().decode([String: String].self, from: Data($0.utf8))
            }
        )
    }
}
