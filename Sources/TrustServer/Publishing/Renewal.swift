// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import NotaryAPI
import ServiceLifecycle
import TUF

/// Renews timestamps and snapshots in the background, well before they expire, so that readers never wait for a signature and
/// an outage of the signer is not felt for days.
///
/// Several servers of one database share the work: each takes a batch of what is due, the soonest to expire first, and has it
/// for itself until its lease ends. At a bounded rate, however much is due.
final class Renewal: Service, Sendable {
    /// After so many collections in a row for which the signer did not answer, the others need not be tried.
    private static let patience = 8
    private static let longestRetry: Int64 = 86_400
    /// How often to say in the log how far it is, in seconds.
    private static let progressInterval: Int64 = 60

    private let collections: Collections
    private let refresher: Refresher
    private let metrics: TrustMetrics
    private let logger: Logger
    private let sleep: @Sendable (Duration) async throws -> Void

    init(
        collections: Collections,
        refresher: Refresher,
        metrics: TrustMetrics,
        logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.collections = collections
        self.refresher = refresher
        self.metrics = metrics
        self.logger = logger
        self.sleep = sleep
    }

    private var configuration: TrustServerConfiguration { self.collections.configuration }
    var schedule: RenewalSchedule { self.refresher.metadata.schedule }
    private var seconds: Int64 { self.collections.milliseconds / 1000 }
    /// What has begun is finished; nothing more is begun.
    private var mustStop: Bool { Task.isCancelled || Task.isShuttingDownGracefully }

    func run() async throws {
        while !self.mustStop {
            do {
                try await self.renewAll()
            } catch is CancellationError {
                break
            } catch {
                self.logger.error("looking for what to renew failed", metadata: ["error": "\(error)"])
            }
            let interval = self.configuration.renewalInterval
            guard await self.pause(interval + interval * Double.random(in: 0..<0.1)) else { break }
        }
    }

    /// - Returns: false when it is time to stop.
    private func pause(_ duration: Duration) async -> Bool {
        guard !self.mustStop else { return false }
        do {
            try await cancelWhenGracefulShutdown { try await self.sleep(duration) }
        } catch {
            return false
        }
        return !self.mustStop
    }

    // MARK: All

    private struct Progress {
        var renewed = 0
        var failed = 0
        var total = 0
        var signerFailuresInARow = 0
        var reportedAt: Int64

        mutating func count(_ result: Result) {
            self.total += 1
            switch result {
            case .renewed: self.renewed += 1
            case .unchanged: break
            case .blocked, .failed, .signerAway: self.failed += 1
            }
            if result == .signerAway { self.signerFailuresInARow += 1 } else { self.signerFailuresInARow = 0 }
        }
    }

    /// Renews everything whose time has come and that no other server has taken.
    /// - Returns: how many collections were looked after.
    /// - Throws: `DatabaseError`.
    @discardableResult
    func renewAll() async throws -> Int {
        let limit = max(1, self.configuration.renewalBatch)
        var progress = Progress(reportedAt: self.seconds)
        while !self.mustStop {
            let start = self.seconds
            let claims = try await self.collections.store.claim(
                at: start,
                urgent: start + self.schedule.leastMargin,
                leaseUntil: start + max(1, self.configuration.renewalLease),
                limit: limit
            )
            let startedAt = self.collections.milliseconds
            await self.renew(claims, &progress)
            if claims.count < limit { break }
            guard progress.signerFailuresInARow < Self.patience else {
                self.logger.error("nothing more is renewed for now: the signer does not answer")
                break
            }
            try await self.report(&progress)
            let took = max(0, self.collections.milliseconds - startedAt)
            let least = Int64(claims.count) * 1000 / Int64(max(1, self.configuration.renewalRate))
            if took < least, await !self.pause(.milliseconds(least - took)) { break }
        }
        if progress.total > 0 {
            self.logger.log(
                level: progress.total > limit || progress.failed > 0 ? .notice : .info,
                "renewal is done for now",
                metadata: ["renewed": "\(progress.renewed)", "failed": "\(progress.failed)"]
            )
        }
        return progress.total
    }

    private func report(_ progress: inout Progress) async throws {
        let now = self.seconds
        guard now - progress.reportedAt >= Self.progressInterval else { return }
        progress.reportedAt = now
        let due = try await self.collections.store.dueCount(at: now)
        self.metrics.renewalsDue.set(due)
        self.logger.notice(
            "renewal goes on",
            metadata: ["renewed": "\(progress.renewed)", "failed": "\(progress.failed)", "due": "\(due)"]
        )
    }

    /// Looks after some collections, a few at a time, and gives back those that it does not get to.
    private func renew(_ claims: [RenewalClaim], _ progress: inout Progress) async {
        var waiting = claims[...]
        await withTaskGroup(of: Result.self) { group in
            for claim in waiting.prefix(max(1, self.configuration.renewalConcurrency)) {
                waiting.removeFirst()
                group.addTask { await self.renew(claim) }
            }
            for await result in group {
                progress.count(result)
                self.metrics.renewals.add(1, result.rawValue)
                guard !self.mustStop, progress.signerFailuresInARow < Self.patience, let next = waiting.popFirst()
                else { continue }
                group.addTask { await self.renew(next) }
            }
        }
        guard !waiting.isEmpty else { return }
        do {
            try await self.collections.store.release(waiting)
        } catch {
            // Their lease ends by itself.
            self.logger.debug("claims were not given back", metadata: ["error": "\(error)"])
        }
    }

    // MARK: One

    enum Result: String, Sendable {
        case renewed
        case unchanged
        case blocked
        case failed
        case signerAway = "signer_away"
    }

    private func renew(_ claim: RenewalClaim) async -> Result {
        // Others may have it by now.
        guard self.seconds < claim.leaseUntil else { return .unchanged }
        do {
            return try await self.attempt(claim)
        } catch {
            self.logger.error(
                "a collection was not renewed",
                metadata: ["gun": "\(claim.gun)", "error": "\(error)"]
            )
            let signerIsAway = (error as? SignerError)?.code == .unavailable
            do {
                try await self.postpone(claim, isItsFault: !signerIsAway)
            } catch {
                // The database is away; the lease ends by itself.
                self.logger.debug("nothing was noted of it", metadata: ["gun": "\(claim.gun)", "error": "\(error)"])
            }
            return signerIsAway ? .signerAway : .failed
        }
    }

    private func attempt(_ claim: RenewalClaim) async throws -> Result {
        var margins = self.schedule.margins(of: claim.gun)
        // An expiry has a fraction of a second that the time to renew has not.
        margins = RenewalSchedule.Margins(timestamp: margins.timestamp + 1, snapshot: margins.snapshot + 1)
        guard let outcome = try await self.refresher.refresh(claim.gun, within: margins) else {
            let nothing = RenewalTime(renewAt: 0, expiresAt: nil)
            try await self.collections.store.settle(claim.gun, .init(time: nothing, failures: 0), ifAt: nil)
            return .unchanged
        }
        let head = outcome.head
        switch outcome.kind {
        case .renewed: return .renewed
        case .unchanged:
            guard let root = try await self.refresher.root(of: head, at: self.collections.now()) else { break }
            let time = self.schedule.time(
                of: claim.gun,
                timestamp: head.timestampPayload.expires,
                snapshot: try await self.refresher.renewable(head.snapshotPayload, root: root)
            )
            guard time.renewAt > self.seconds else { break }
            try await self.collections.store.settle(claim.gun, .init(time: time, failures: 0), ifAt: head.pointer)
            return .unchanged
        case .blocked: break
        }
        try await self.postpone(claim, isItsFault: true, head)
        return .blocked
    }

    /// A collection that cannot be renewed must not keep the others from their turn.
    private func postpone(_ claim: RenewalClaim, isItsFault: Bool, _ known: CollectionHead? = nil) async throws {
        let store = self.collections.store
        let doublings = isItsFault ? min(claim.failures, 16) : 0
        let retry = min(max(1, self.configuration.renewalRetry) << doublings, Self.longestRetry)
        let failures = isItsFault ? claim.failures + 1 : claim.failures
        let spread = Int64(RenewalSchedule.fraction(of: claim.gun) * Double(retry) / 10)
        let pointer: TimestampPointer?
        if let known { pointer = known.pointer } else { pointer = try await store.pointer(of: claim.gun) }
        try await store.settle(
            claim.gun,
            TrustStore.Settlement(
                time: RenewalTime(renewAt: self.seconds + retry + spread, expiresAt: nil),
                failures: failures,
                expiries: known.map(self.expiries) ?? []
            ),
            ifAt: pointer
        )
    }

    /// What expires because it cannot be renewed.
    private func expiries(of head: CollectionHead) -> [RecordedExpiry] {
        let now = self.seconds
        var found = [(kind: ExpiryKind.timestamp, role: RoleName.timestamp, at: head.timestampPayload.expires.seconds)]
        let margin = self.schedule.margins(of: head.gun).snapshot
        if let snapshot = head.snapshotPayload, snapshot.expires.seconds - margin <= now {
            found.append((kind: .snapshot, role: .snapshot, at: snapshot.expires.seconds))
        }
        return found.map {
            RecordedExpiry(
                kind: $0.kind,
                role: $0.role,
                expiresAt: $0.at,
                warnAt: self.refresher.metadata.levels.warning(ofFound: $0.at, now: now)
            )
        }
    }
}
