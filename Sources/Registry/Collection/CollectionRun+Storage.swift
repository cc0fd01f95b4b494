// SPDX-License-Identifier: Apache-2.0

import Database
import Logging
import OCI

extension CollectionRun {
    /// Removes what an earlier collection, or an upload, has left in the trash, when nobody can have been sent there any more.
    mutating func emptyTrash() async throws {
        guard self.lease != nil else { return }
        let now = self.collector.now
        let before = now - self.collector.blobs.redirectionLifetime
        var last = ""
        while true {
            try await self.pause()
            let locations = try await self.store.database.query(
                """
                SELECT location FROM trash WHERE location > ? AND (added_at <= ? OR added_at > ?)
                ORDER BY location LIMIT ?
                """,
                .text(last),
                .integer(before),
                // By a clock that was wrong.
                .integer(now + 24 * 60 * 60),
                .integer(Int64(self.collector.batchSize))
            ).map { try $0.text(0) }
            guard let end = locations.last else { return }
            try await self.removeBytes(locations)
            last = end
        }
    }

    /// Removes bytes whose locations are in the trash, and then them from there.
    mutating func removeBytes(_ locations: [String]) async throws {
        guard !locations.isEmpty else { return }
        let (blobs, logger) = (self.collector.blobs, self.collector.logger)
        var removed: [String] = []
        for batch in Self.batches(locations, of: self.collector.concurrency) {
            removed += await withTaskGroup(of: String?.self) { group in
                for location in batch {
                    group.addTask {
                        do {
                            try await blobs.remove(at: BlobLocation(location))
                            return location
                        } catch {
                            logger.warning(
                                "bytes stay in the trash until the next collection",
                                metadata: ["at": "\(location)", "error": "\(error)"]
                            )
                            return nil
                        }
                    }
                }
                return await group.reduce(into: []) { if let location = $1 { $0.append(location) } }
            }
        }
        self.summary.failures += Int64(locations.count - removed.count)
        for batch in SQLBatch.batches(of: removed) {
            let gone = SQLBatch.padded(batch)
            try await self.store.database.write(locking: []) { connection in
                try connection.execute(
                    "DELETE FROM trash WHERE location IN \(SQLBatch.list(count: gone.count))",
                    gone.map { .text($0) }
                )
            }
        }
    }

    /// Looks through the storage for bytes that nothing names: those of a push that was cut off between its bytes and its row.
    mutating func collectOrphans() async throws {
        var last: BlobLocation?
        var count: Int64 = 0
        while true {
            try await self.pause()
            let page = try await self.collector.blobs.page(after: last, limit: self.collector.pageSize)
            guard let end = page.last else { return }
            last = end.location
            count += Int64(page.count)
            self.observer.progress("storage", count)
            let old = page.filter { $0.placedAt < self.collector.now - self.policy.orphanAge }
            for batch in Self.batches(old, of: self.collector.batchSize) { try await self.collect(orphansOf: batch) }
        }
    }

    private mutating func collect(orphansOf stored: [StoredBytes]) async throws {
        let locations = stored.map(\.location.description)
        let suspects = try await self.store.database.read { try RegistryStore.unnamed(locations, on: $0) }
        guard !suspects.isEmpty else { return }
        let orphans: [String]
        if self.lease == nil {
            orphans = suspects
        } else {
            let now = self.collector.now
            orphans = try await self.transaction { connection in
                let unnamed = try RegistryStore.unnamed(suspects, on: connection)
                try RegistryStore.discard(unnamed, at: now, on: connection)
                return unnamed
            }
        }
        let sizes = Dictionary(stored.map { ($0.location.description, $0.size) }) { first, _ in first }
        for location in orphans {
            self.note(
                CollectedItem(
                    kind: .bytes,
                    location: location,
                    size: sizes[location],
                    reason: "no blob is there"
                )
            )
        }
        if self.lease != nil { try await self.removeBytes(orphans) }
    }
}

extension RegistryStore {
    /// Those of the locations that neither a blob, the trash nor an upload names. What is not of ours is left out.
    static func unnamed(_ locations: [String], on connection: any SQLConnection) throws -> [String] {
        let ours = locations.filter { (try? BlobLocation($0))?.isOfOurs == true }
        var unnamed: [String] = []
        for batch in SQLBatch.batches(of: ours) {
            let padded = SQLBatch.padded(batch).map { SQLValue.text($0) }
            let list = SQLBatch.list(count: padded.count)
            // Uploads first: what an upload names no longer is a blob's by then.
            let rows = try connection.queryAll(
                [
                    "SELECT target FROM uploads WHERE target IN \(list)",
                    "SELECT tail FROM uploads WHERE tail IN \(list)",
                    "SELECT location FROM blobs WHERE location IN \(list)",
                    "SELECT location FROM trash WHERE location IN \(list)",
                ].map { SQLStatement($0, padded) }
            )
            let named = Set(try rows.joined().map { try $0.text(0) })
            unnamed += batch.filter { !named.contains($0) }
        }
        return unnamed
    }
}

extension BlobLocation {
    /// The digest of the blob that is there by its name; nil when it is not named for one.
    var digest: Digest? {
        let parts = self.description.split(separator: "/")
        guard parts.count == 3 else { return nil }
        return try? Digest("\(parts[0]):\(parts[2].prefix { $0 != "-" })")
    }

    /// Whether it is one that a store of ours makes.
    var isOfOurs: Bool { self.digest != nil || self.isOfID }

    /// Whether ``init(id:)`` makes it.
    var isOfID: Bool {
        let parts = self.description.split(separator: "/")
        guard parts.count == 2, let id = UploadID(parts[1]) else { return false }
        return BlobLocation(id: id) == self
    }
}
