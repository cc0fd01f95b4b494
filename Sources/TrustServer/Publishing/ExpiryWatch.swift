// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import NotaryAPI
import ServiceLifecycle
import TUF

/// Watches what publishers' metadata, and certificates, have left of their lives: for all collections of the database, those
/// that others have put there included. Shows it in metrics, and warns in the log ahead of time.
final class ExpiryWatch: Service, Sendable {
    private static let batch = 500
    private static let adoptionLease = "adoption"
    private static let warningLease = "expiry warnings"

    private let collections: Collections
    let adoption: Adoption
    private let levels: ExpiryLevels
    private let metrics: TrustMetrics
    private let logger: Logger
    private let sleep: @Sendable (Duration) async throws -> Void
    /// Tells this server from the others of the database.
    private let name: String

    init(
        collections: Collections,
        adoption: Adoption,
        metrics: TrustMetrics,
        logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.collections = collections
        self.adoption = adoption
        self.levels = ExpiryLevels(days: collections.configuration.expiryWarnings)
        self.metrics = metrics
        self.logger = logger
        self.sleep = sleep
        self.name = (0..<2).map { _ in String(UInt64.random(in: 0 ... .max), radix: 36) }.joined()
    }

    private var store: TrustStore { self.collections.store }
    private var seconds: Int64 { self.collections.milliseconds / 1000 }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                // There may be a million of them, for which nobody waits.
                group.addTask {
                    while await !self.adopt(), await self.pause() {}
                }
                group.addTask {
                    repeat { await self.look() } while await self.pause()
                }
            }
        }
        for lease in [Self.adoptionLease, Self.warningLease] { try? await self.store.release(lease, from: self.name) }
    }

    /// - Returns: false when it is time to stop.
    private func pause() async -> Bool {
        let interval = self.collections.configuration.expiryInterval
        do { try await self.sleep(interval + interval * Double.random(in: 0..<0.1)) } catch { return false }
        return !Task.isCancelled
    }

    /// Looks once. What the database throws is logged.
    func look() async {
        do {
            try await self.measure()
            try await self.warn()
        } catch is CancellationError {
            return
        } catch {
            self.logger.error("looking for what expires failed", metadata: ["error": "\(error)"])
        }
    }

    /// How long a task is this server's, in seconds, from each sign of life on.
    private var leaseDuration: Int64 {
        max(120, 3 * self.collections.configuration.expiryInterval.components.seconds)
    }

    private func holds(_ lease: String) async throws -> Bool {
        let now = self.seconds
        return try await self.store.lease(lease, to: self.name, now: now, until: now + self.leaseDuration)
    }

    /// - Returns: false when it has to be done once more: somebody else does it, or it failed.
    private func adopt() async -> Bool {
        let start = self.seconds
        do {
            let count = try await self.adoption.run {
                try Task.checkCancellation()
                return try await self.holds(Self.adoptionLease)
            }
            guard let count else { return false }
            try await self.store.release(Self.adoptionLease, from: self.name)
            guard count > 0 else { return true }
            self.logger.notice(
                "collections were looked at for the first time",
                metadata: ["count": "\(count)", "seconds": "\(self.seconds - start)"]
            )
            return true
        } catch is CancellationError {
            return false
        } catch {
            self.logger.error("looking at collections of others failed", metadata: ["error": "\(error)"])
            return false
        }
    }

    // MARK: Metrics

    func measure() async throws {
        let now = self.seconds
        let spans = self.levels.spans.filter { $0 > 0 }
        let counts = try await self.store.expiryCounts(at: now, within: spans)
        for (kind, counts) in counts {
            if let next = counts.next {
                self.metrics.expiry.set(next - now, kind.label)
            } else {
                self.metrics.expiry.remove(kind.label)
            }
            self.metrics.expired.set(counts.expired, kind.label)
            for (span, count) in zip(spans, counts.within) {
                self.metrics.expiring.set(count, kind.label, "\(span / 86400)")
            }
        }
        self.metrics.renewalsDue.set(try await self.store.dueCount(at: now))
    }

    // MARK: Warnings

    private struct Group: Hashable {
        let kind: ExpiryKind
        /// The level, in seconds.
        let level: Int64
    }

    /// Warns of what has reached a level, if no other server does.
    func warn() async throws {
        var lines: [Int64: Int] = [:]
        var others: [Group: Int] = [:]
        while try await self.holds(Self.warningLease) {
            try Task.checkCancellation()
            let now = self.seconds
            let due = try await self.store.dueWarnings(at: now, limit: Self.batch)
            // Noted first: a warning may be lost in a crash, but is not given twice.
            try await self.store.noteWarned(
                due.map { ($0, next: self.levels.warning(ofNew: $0.expiry.expiresAt, now: now)) }
            )
            for expiry in due {
                guard let level = self.levels.level(of: expiry.expiry.expiresAt, now: now) else { continue }
                if lines[level, default: 0] < self.collections.configuration.expiryWarningLimit {
                    lines[level, default: 0] += 1
                    self.log(expiry, level: level, now: now)
                } else {
                    others[Group(kind: expiry.expiry.kind, level: level), default: 0] += 1
                }
            }
            if due.count < Self.batch { break }
        }
        for (group, count) in others.sorted(by: {
            ($0.key.kind.rawValue, $0.key.level) < ($1.key.kind.rawValue, $1.key.level)
        }) {
            let what = group.level == 0 ? "have expired" : "expire within \(group.level / 86400) days"
            self.logger.warning("\(count) more of role \(group.kind.label) \(what)")
        }
    }

    private func log(_ found: CollectionExpiry, level: Int64, now: Int64) {
        let expiry = found.expiry
        let date = Expiry(Date(timeIntervalSince1970: Double(expiry.expiresAt))).text
        let left = expiry.expiresAt - now
        let tense = left > 0 ? "expires on \(date), in \(Self.span(left))" : "expired on \(date)"
        var metadata: Logger.Metadata = [
            "gun": "\(found.gun)", "role": "\(expiry.kind.label)", "expires": "\(date)",
        ]
        if expiry.kind == .delegation { metadata["delegation"] = "\(expiry.role)" }
        self.logger.warning(
            "\(Self.name(of: expiry)) of \(found.gun) \(tense); \(Self.repair(of: found, level))",
            metadata: metadata
        )
    }

    private static func name(of expiry: RecordedExpiry) -> String {
        switch expiry.kind {
        case .rootCertificate: "the root certificate"
        case .root, .targets, .delegation, .snapshot, .timestamp: "\(expiry.role)"
        }
    }

    /// What its owner can do.
    /// - Parameter level: what else expires within it is renewed as well, in seconds.
    private static func repair(of found: CollectionExpiry, _ level: Int64) -> String {
        let within = level > 0 ? " --within \(level / 86400)" : ""
        switch found.expiry.kind {
        case .timestamp:
            return "it cannot be renewed, because its root has expired or the signer does not hold its key: "
                + "run `hallmark rescue \(found.gun)` with the root key"
        case .rootCertificate, .root:
            return "run `hallmark rescue\(within) \(found.gun)` with the root key"
        case .targets, .snapshot:
            return "run `hallmark rescue\(within) \(found.gun)` with the key of \(found.expiry.role)"
        case .delegation:
            let role = found.expiry.role
            return "run `hallmark rescue\(within) --role \(role) \(found.gun)` with the key of \(role)"
        }
    }

    private static func span(_ seconds: Int64) -> String {
        seconds >= 2 * 86400 ? "\(seconds / 86400) days" : "\(max(1, seconds / 3600)) hours"
    }
}
