// SPDX-License-Identifier: Apache-2.0

package import Database
package import FoundationEssentials
package import Logging
import OCI

/// Reads everything that a registry keeps, and finds out whether it is still what its digest says.
///
/// A blob with wrong bytes is marked: from then on it counts as missing, for all repositories, so that clients that have it push it
/// again, which repairs it. Its bytes stay where they are until then. A scrub that is ended goes on where it was.
package struct Scrubber: Sendable {
    /// What a scrub does.
    package struct Options: Sendable {
        /// The most bytes of blobs to read in a second; nil for as fast as it goes.
        package var bytesPerSecond: Int64?
        /// Leaves out the blobs that were verified within so many seconds.
        package var verifiedWithin: Int64 = 0
        /// Begins anew, where an earlier scrub did not come to its end.
        package var restarts = false
        /// Only tells, and marks nothing.
        package var isDry = false

        package init() {}
    }

    let store: RegistryStore
    let blobs: any BlobStore
    let announcement: ChangeAnnouncement
    /// Whether indexes may list what is not there.
    let allowsSparseIndexes: Bool
    let clock: @Sendable () -> Date
    let logger: Logger
    var pageSize = 500

    var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    init(
        store: RegistryStore,
        blobs: any BlobStore,
        announcement: ChangeAnnouncement,
        allowsSparseIndexes: Bool,
        clock: @escaping @Sendable () -> Date,
        logger: Logger
    ) {
        self.store = store
        self.blobs = blobs
        self.announcement = announcement
        self.allowsSparseIndexes = allowsSparseIndexes
        self.clock = clock
        self.logger = logger
    }

    /// A scrubber beside the process that serves, if there is one.
    /// - Parameters:
    ///   - database: The registry's; its tables are brought up to date.
    ///   - blobs: Where its bytes are.
    ///   - foreign: Tells the process that serves the same directory; nil when the database is not in it.
    ///   - allowsSparseIndexes: Whether indexes may list what is not there.
    ///   - clock: The time.
    ///   - logger: Is told what could not be read.
    /// - Throws: `DatabaseError`.
    package init(
        database: any SQLDatabase,
        blobs: any BlobStore,
        foreign: ForeignChanges?,
        allowsSparseIndexes: Bool = false,
        clock: @escaping @Sendable () -> Date = { Date() },
        logger: Logger
    ) async throws {
        self.init(
            store: try await RegistryStore(database: database),
            blobs: blobs,
            announcement: foreign.map { .foreign($0) } ?? .none,
            allowsSparseIndexes: allowsSparseIndexes,
            clock: clock,
            logger: logger
        )
    }

    /// Looks at everything.
    /// - Returns: Nil when another process scrubs.
    /// - Throws: `ChoreLeaseLost`, `DatabaseError`, or what the storage throws for all of it.
    package func run(_ options: Options, observer: ScrubObserver = ScrubObserver()) async throws -> ScrubSummary? {
        let lease = ChoreLease(chore: .scrub, holder: ChoreHolder.new().text)
        guard try await self.store.take(lease, at: self.now) else { return nil }
        do {
            let before = try await self.store.state(of: .scrub)
            // Later than all that the last one has verified, were it in this very second.
            let start = max(self.now, (before.finishedAt ?? 0) &+ 1)
            var startedAt = (options.restarts ? nil : before.startedAt) ?? start
            if !options.isDry {
                let state = try await self.store.beginScrub(lease, restarting: options.restarts, at: start)
                startedAt = state.startedAt ?? start
            }
            var run = ScrubRun(
                scrubber: self,
                lease: lease,
                options: options,
                observer: observer,
                startedAt: startedAt
            )
            run.summary.resumed = !options.restarts && before.startedAt != nil
            try await run.all()
            try await self.store.release(lease, finished: !options.isDry, at: self.now)
            return run.summary
        } catch {
            try? await self.store.release(lease, finished: false, at: self.now)
            throw error
        }
    }
}
