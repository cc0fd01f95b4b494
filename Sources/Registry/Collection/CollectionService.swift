// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import ServiceLifecycle

/// Collects in the background, now and then: whichever instance of a database comes first does it for all of them.
struct CollectionService: Service {
    /// How long after its start a process waits, in seconds, so that it serves first.
    private static let firstWait: Int64 = 60
    /// How many seconds the clock may gain on the time that has passed.
    private static let tolerance: Int64 = 300
    /// How many seconds lie between two walks over the storage.
    private static let walkInterval: Int64 = 24 * 60 * 60

    let collector: Collector
    /// In seconds.
    let interval: Int64
    let metrics: CollectionMetrics?
    let logger: Logger

    init(collector: Collector, interval: Int64, metrics: Metrics?, logger: Logger) {
        // Half of the time at most belongs to it.
        var collector = collector
        collector.rest = 1
        self.collector = collector
        self.interval = interval
        self.metrics = metrics.map(CollectionMetrics.init)
        self.logger = logger
    }

    /// Runs until the graceful shutdown. A collection that fails is logged, and is tried again with the next.
    func run() async throws {
        var wait = min(Self.firstWait, self.interval)
        var known = (time: self.collector.now, instant: ContinuousClock.now)
        while !Task.isCancelled {
            do {
                let pause = Duration.seconds(wait)
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }
                let passed = (ContinuousClock.now - known.instant).components.seconds
                let gained = self.collector.now - known.time - passed
                known = (self.collector.now, .now)
                guard gained <= Self.tolerance else {
                    // What clients were told of a minute ago seems old: by the new clock it is seen again, or goes, after that.
                    wait = self.collector.policy.graceTime
                    self.logger.warning(
                        "the clock was put forward: collecting waits for the grace time",
                        metadata: ["seconds": "\(gained)"]
                    )
                    continue
                }
                wait = try await cancelWhenGracefulShutdown { try await self.collectIfDue() }
            } catch is CancellationError {
                break
            } catch {
                if Task.isCancelled || Task.isShuttingDownGracefully { break }
                self.metrics?.failures.add(1)
                self.logger.error("collecting failed, goes on later", metadata: ["error": "\(error)"])
                wait = self.interval
            }
        }
    }

    /// - Returns: When to look again, in seconds.
    func collectIfDue() async throws -> Int64 {
        let store = self.collector.store
        let now = self.collector.now
        if let finished = try await store.state(of: .collection).finishedAt, finished <= now,
            now - finished < self.interval
        {
            return max(1, self.interval - (now - finished))
        }
        let walked = try await store.state(of: .orphans).finishedAt ?? 0
        let start = ContinuousClock.now
        // Noted by a clock that was wrong, it may lie in the future.
        let walks = now - walked >= Self.walkInterval || walked > now + Self.tolerance
        let summary = try await self.collector.run(.collect, walksStorage: walks)
        // Another one is at it.
        guard let summary else { return self.interval }
        let duration = ContinuousClock.now - start
        self.metrics?.note(summary, duration: duration, at: self.collector.now)
        self.logger.log(
            level: summary == CollectionSummary() ? .info : .notice,
            "collected what nobody needs",
            metadata: [
                "tags": "\(summary.tags)", "manifests": "\(summary.manifests)", "blobs": "\(summary.blobs)",
                "orphans": "\(summary.orphans)", "bytes": "\(summary.bytes)", "failures": "\(summary.failures)",
                "milliseconds": "\(Int64(duration.seconds * 1000))",
            ]
        )
        return self.interval
    }
}

/// What Prometheus is told of collections.
struct CollectionMetrics: Sendable {
    private let removed: MetricCounter
    private let bytes: MetricCounter
    private let duration: MetricGauge
    private let lastRun: MetricGauge
    let failures: MetricCounter

    init(_ metrics: Metrics) {
        self.removed = metrics.counter(
            "hallmark_registry_collected_total",
            help: "What collections removed.",
            labels: ["kind"]
        )
        self.bytes = metrics.counter(
            "hallmark_registry_collected_bytes_total",
            help: "Bytes that collections gave back."
        )
        self.duration = metrics.gauge(
            "hallmark_registry_collection_milliseconds",
            help: "How long the last collection of this process took."
        )
        self.lastRun = metrics.gauge(
            "hallmark_registry_collection_last_seconds",
            help: "When the last collection of this process ended, in Unix seconds."
        )
        self.failures = metrics.counter(
            "hallmark_registry_collection_failures_total",
            help: "Collections that failed, and bytes that could not be removed."
        )
    }

    func note(_ summary: CollectionSummary, duration: Duration, at now: Int64) {
        for (kind, count) in [
            ("tag", summary.tags), ("manifest", summary.manifests), ("blob", summary.blobs), ("link", summary.links),
            ("repository", summary.repositories), ("bytes", summary.orphans),
        ] { self.removed.add(UInt64(max(0, count)), kind) }
        self.bytes.add(UInt64(max(0, summary.bytes)))
        self.failures.add(UInt64(max(0, summary.failures)))
        self.duration.set(Int64(duration.seconds * 1000))
        self.lastRun.set(now)
    }
}
