// SPDX-License-Identifier: Apache-2.0

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

    let contents: RegistryContents
    /// Whether indexes may list what is not there.
    let allowsSparseIndexes: Bool
    let clock: @Sendable () -> Date
    let logger: Logger
    var pageSize = 500

    var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    /// What was noted later than this was noted by a clock that was wrong: others may differ by some seconds, and a scrub may note
    /// the second after it began.
    var horizon: Int64 { self.now + 60 * 60 }

    var store: RegistryStore { self.contents.store }
    var blobs: any BlobStore { self.contents.blobs }
    var announcement: ChangeAnnouncement { self.contents.announcement }

    /// - Parameters:
    ///   - contents: The registry's.
    ///   - allowsSparseIndexes: Whether indexes may list what is not there.
    ///   - clock: The time.
    ///   - logger: Is told what could not be read.
    package init(
        _ contents: RegistryContents,
        allowsSparseIndexes: Bool = false,
        clock: @escaping @Sendable () -> Date = { Date() },
        logger: Logger
    ) {
        self.contents = contents
        self.allowsSparseIndexes = allowsSparseIndexes
        self.clock = clock
        self.logger = logger
    }

    /// Looks at everything.
    /// - Returns: Nil when another process scrubs.
    /// - Throws: `ChoreLeaseLost`, ``StorageIdentityError``, `DatabaseError`, or what the storage throws for all of it.
    package func run(_ options: Options, observer: ScrubObserver = ScrubObserver()) async throws -> ScrubSummary? {
        try await self.contents.verifyStorage()
        let lease = ChoreLease(chore: .scrub, holder: ChoreHolder.new().text)
        guard try await self.store.take(lease, at: self.now) else { return nil }
        do {
            let before = try await self.store.state(of: .scrub)
            // Later than all that the last one has verified, were it in this very second; but what lies in the future was noted
            // by a clock that was wrong.
            let finished = before.finishedAt.flatMap { $0 > self.horizon ? nil : $0 } ?? 0
            let start = max(self.now, finished &+ 1)
            let restarts = options.restarts || before.startedAt.map { $0 > self.horizon } ?? false
            var startedAt = (restarts ? nil : before.startedAt) ?? start
            if !options.isDry {
                let state = try await self.store.beginScrub(lease, restarting: restarts, at: start)
                startedAt = state.startedAt ?? start
            }
            var run = ScrubRun(
                scrubber: self,
                lease: lease,
                options: options,
                observer: observer,
                startedAt: startedAt
            )
            run.summary.resumed = !restarts && before.startedAt != nil
            try await run.all()
            try await self.store.release(lease, finished: !options.isDry, at: self.now)
            return run.summary
        } catch {
            try? await self.store.release(lease, finished: false, at: self.now)
            throw error
        }
    }
}
