// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import Logging

/// Collects what nobody needs any more, while the registry serves and other instances write to the same database.
///
/// Why nothing is lost that somebody needs: whatever goes, goes in a transaction that holds a lock which excludes all that push,
/// mount or are about to tell a client that something exists, and that looks once more whether anything holds it and whether it
/// was seen within the grace time. Bytes go after the row that named them, from a location that no other upload ever uses.
/// Killed at any moment, a collection leaves locations in the trash, which the next one empties, or nothing at all.
package struct Collector: Sendable {
    /// Who collects.
    package enum Mode: Sendable {
        case collect
        /// Only tells what would go.
        case dryRun
    }

    let contents: RegistryContents
    let policy: CollectionPolicy
    let clock: @Sendable () -> Date
    let logger: Logger
    /// How much of its time a collection rests, so that others have the database and the disk: 1 is as much as it works.
    var rest = 0.0
    /// How many rows are looked at in one read.
    var pageSize = 2_000
    /// How many are removed in one transaction.
    var batchSize = 100
    /// How many are removed from the storage at a time.
    var concurrency = 4

    var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    var store: RegistryStore { self.contents.store }
    var blobs: any BlobStore { self.contents.blobs }
    var announcement: ChangeAnnouncement { self.contents.announcement }

    /// - Parameters:
    ///   - contents: The registry's.
    ///   - policy: What goes.
    ///   - clock: The time.
    ///   - logger: Is told what could not be removed.
    package init(
        _ contents: RegistryContents,
        policy: CollectionPolicy,
        clock: @escaping @Sendable () -> Date = { Date() },
        logger: Logger
    ) {
        self.contents = contents
        self.policy = policy
        self.clock = clock
        self.logger = logger
    }

    /// Collects everything that may go now.
    ///
    /// - Parameters:
    ///   - mode: Whether it is only to be told.
    ///   - walksStorage: Whether to look for bytes that nothing names, too.
    ///   - observer: Is told of everything that goes.
    /// - Returns: Nil when another process collects.
    /// - Throws: `ChoreLeaseLost`, ``StorageIdentityError``, `DatabaseError`, whatever the storage throws; what was done until then
    ///   stays done.
    package func run(
        _ mode: Mode,
        walksStorage: Bool,
        observer: ChoreObserver = ChoreObserver()
    ) async throws -> CollectionSummary? {
        try await self.contents.verifyStorage()
        guard mode == .collect else {
            var run = CollectionRun(collector: self, lease: nil, observer: observer)
            try await run.all(walksStorage: walksStorage)
            return run.summary
        }
        let lease = ChoreLease(chore: .collection, holder: ChoreHolder.new().text)
        guard try await self.acquire(lease) else { return nil }
        var run = CollectionRun(collector: self, lease: lease, observer: observer)
        do {
            try await run.all(walksStorage: walksStorage)
        } catch {
            try? await self.store.release(lease, finished: false, at: self.now)
            throw error
        }
        if walksStorage { try await self.store.noteFinished(.orphans, at: self.now) }
        try await self.store.release(lease, finished: true, at: self.now)
        return run.summary
    }

    private func acquire(_ lease: ChoreLease) async throws -> Bool {
        try await self.store.take(lease, at: self.now)
    }
}

extension RegistryStore {
    /// Takes a chore that nobody has, or whose holder has died.
    func take(_ lease: ChoreLease, at now: Int64) async throws -> Bool {
        let holder = try await self.state(of: lease.chore).holder
        return try await self.acquire(lease, insteadOf: ChoreHolder.isDead(holder) ? holder : nil, at: now)
    }
}

/// How those learn of a change who keep replies ready.
enum ChangeAnnouncement: Sendable {
    /// Nobody does.
    case none
    /// The process that serves.
    case cache(ResponseCache)
    /// Another process than the one that serves.
    case foreign(ForeignChanges)

    /// Makes a change that ready replies do not outlive by themselves: what is not asked for within the grace time is never ready,
    /// but a tag is, and a blob that turns out to be damaged.
    func change<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        switch self {
        case .none: return try await body()
        case .foreign(let foreign): return try await foreign.change(body)
        case .cache(let cache):
            // Also when it fails: it may have been committed.
            defer { cache.invalidateAll() }
            return try await body()
        }
    }
}
