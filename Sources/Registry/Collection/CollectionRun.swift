// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import Logging
import OCI

/// One collection from its beginning to its end; or what one would do, without a lease.
struct CollectionRun {
    let collector: Collector
    /// Nil when nothing is to be changed.
    let lease: ChoreLease?
    let observer: ChoreObserver
    var summary = CollectionSummary()
    /// What counts as gone when nothing is changed.
    var imagined = ImaginedRemoval()

    private var counted: Int64 = 0
    private var heldAt: Int64 = 0
    private var worked: ContinuousClock.Instant = .now

    init(collector: Collector, lease: ChoreLease?, observer: ChoreObserver) {
        self.collector = collector
        self.lease = lease
        self.observer = observer
        self.heldAt = collector.now
    }

    var store: RegistryStore { self.collector.store }
    var policy: CollectionPolicy { self.collector.policy }
    /// What was seen or made before may go.
    var cutoff: Int64 { self.collector.now - self.policy.graceTime }

    mutating func all(walksStorage: Bool) async throws {
        try await self.emptyTrash()
        try await self.collectTags()
        try await self.collectManifests()
        try await self.collectBlobs()
        try await self.collectLinks()
        try await self.collectRepositories()
        if walksStorage { try await self.collectOrphans() }
    }

    // MARK: - Steps

    /// Does a part of the work in one transaction, with the lease and the lock on collections held.
    func transaction<Result: Sendable>(
        _ locks: [SQLLock] = [],
        _ body: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        guard let lease else { throw ChoreLeaseLost(chore: .collection) }
        let now = self.collector.now
        let database = self.store.database
        let write: () async throws -> Result = {
            try await database.write(locking: [RegistryStore.collecting] + locks) { connection in
                try RegistryStore.renew(lease, at: now, on: connection)
                return try body(connection)
            }
        }
        // The process that serves may have another grace time: what it has in memory may be of what goes.
        guard case .foreign(let foreign) = self.collector.announcement else { return try await write() }
        return try await foreign.change(write)
    }

    mutating func note(_ item: CollectedItem) {
        self.summary.count(item)
        self.observer.item(item)
    }

    /// Looks at a table page by page.
    mutating func forEachPage(
        of table: RegistryStore.PagedTable,
        _ step: String,
        _ body: (inout CollectionRun, _ after: PairKey, _ through: PairKey) async throws -> Void
    ) async throws {
        var position = PairKey.first
        self.counted = 0
        while let end = try await self.store.pageEnd(of: table, after: position, limit: self.collector.pageSize) {
            try await self.pause()
            try await body(&self, position, end)
            self.counted += Int64(self.collector.pageSize)
            self.observer.progress(step, self.counted)
            guard end != .last else { return }
            position = end
        }
    }

    /// Between two pages: gives way to others, and holds on to the lease where nothing else does.
    mutating func pause() async throws {
        try Task.checkCancellation()
        if self.collector.rest > 0 {
            let duration = min((.now - self.worked) * self.collector.rest, .seconds(1))
            try await Task.sleep(for: duration)
        }
        self.worked = .now
        let now = self.collector.now
        guard let lease, now - self.heldAt >= ChoreLease.duration / 4 else { return }
        self.heldAt = now
        try await self.store.database.write(locking: []) { try RegistryStore.renew(lease, at: now, on: $0) }
    }

    static func batches<Element>(_ elements: [Element], of size: Int) -> [[Element]] {
        stride(from: 0, to: elements.count, by: max(1, size)).map {
            Array(elements[$0..<min($0 + max(1, size), elements.count)])
        }
    }

    // MARK: - Blobs

    private mutating func collectBlobs() async throws {
        try await self.forEachPage(of: .blobs, "blobs") { run, after, through in
            let found = try await run.store.unheldBlobs(
                after: after.name,
                through: through.name,
                seenBefore: run.cutoff
            )
            for batch in Self.batches(found, of: run.collector.batchSize) { try await run.collect(batch) }
        }
        guard self.lease == nil else { return }
        for blob in try await self.imagined.freedBlobs(self.store, seenBefore: self.cutoff) { self.note(blob: blob) }
    }

    private mutating func collect(_ blobs: [RemovedBlob]) async throws {
        var removed = blobs
        if self.lease != nil {
            let (cutoff, now) = (self.cutoff, self.collector.now)
            let digests = blobs.map(\.digest)
            removed = try await self.transaction {
                try RegistryStore.removeBlobs(digests, seenBefore: cutoff, at: now, on: $0)
            }
        }
        for blob in removed { self.note(blob: blob) }
        // Else they wait in the trash: clients may be on their way to them.
        if self.lease != nil, self.collector.blobs.redirectionLifetime == 0 {
            try await self.removeBytes(removed.map(\.location))
        }
    }

    private mutating func note(blob: RemovedBlob) {
        if self.lease == nil { self.imagined.blobs.insert(blob.digest) }
        self.note(CollectedItem(kind: .blob, digest: blob.digest, size: blob.size, reason: "no manifest uses it"))
    }

    // MARK: - Links and repositories

    private mutating func collectLinks() async throws {
        try await self.forEachPage(of: .links, "links") { run, after, through in
            let cutoff = run.cutoff
            let found = try await run.store.unusedLinks(after: after, through: through, before: cutoff)
            for (repository, links) in Dictionary(grouping: found, by: \.repository).sorted(by: { $0.key < $1.key }) {
                for batch in Self.batches(links.map(\.name), of: run.collector.batchSize) {
                    // Those of a blob that goes went with it.
                    var removed = batch.filter { !run.imagined.blobs.contains($0) }
                    if run.lease != nil {
                        removed = try await run.transaction {
                            try RegistryStore.removeLinks(batch, from: repository, before: cutoff, on: $0)
                        }
                    }
                    for digest in removed {
                        run.note(
                            CollectedItem(
                                kind: .link,
                                repository: repository,
                                digest: digest,
                                reason: "no manifest of the repository uses the blob"
                            )
                        )
                    }
                }
            }
        }
    }

    private mutating func collectRepositories() async throws {
        guard self.policy.removesEmptyRepositories else { return }
        try await self.forEachPage(of: .repositories, "repositories") { run, after, through in
            let cutoff = run.cutoff
            let found = try await run.store.emptyRepositories(after: after.name, through: through.name, before: cutoff)
            for batch in Self.batches(found, of: run.collector.batchSize) {
                var removed = batch
                if run.lease != nil {
                    removed = try await run.transaction {
                        try RegistryStore.removeEmptyRepositories(batch, before: cutoff, on: $0)
                    }
                }
                for name in removed {
                    run.note(CollectedItem(kind: .repository, repository: name, reason: "it has nothing any more"))
                }
            }
        }
    }
}
