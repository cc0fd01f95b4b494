// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import HTTPAccess
import HTTPService
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle

/// Tells endpoints what has happened: each in its own time, so that one which is slow or away keeps nobody else waiting, and no
/// push at all.
struct EventDelivery: Service {
    /// How often the length of queues is looked at, in intervals.
    private static let stepsPerLook = 10
    /// How many pulls one transaction writes: pushes wait for no more.
    private static let pullsAtOnce = 500

    let events: RegistryEvents
    let queue: EventQueue
    let metrics: EventMetrics
    let clock: @Sendable () -> Date
    let logger: Logger

    private var configuration: EventConfiguration { self.events.configuration }

    /// Runs until the graceful shutdown.
    func run() async throws {
        let http = HTTPClient(
            eventLoopGroupProvider: .singleton,
            configuration: .plainSpoken(
                tls: .client(trusting: self.configuration.additionalTrustRoots),
                connect: .seconds(10),
                read: .seconds(60)
            )
        )
        await withDiscardingTaskGroup { group in
            for endpoint in self.configuration.endpoints {
                let courier = EventCourier(
                    endpoint: endpoint,
                    http: http,
                    queue: self.queue,
                    metrics: self.metrics,
                    isShared: self.configuration.isShared,
                    interval: self.configuration.interval,
                    clock: self.clock,
                    logger: self.logger
                )
                group.addTask { await courier.run() }
            }
            group.addTask { await self.keepQueues() }
        }
        await self.writePulls()
        try await http.shutdown()
    }

    /// Writes pulls, and keeps the queues within their bounds.
    private func keepQueues() async {
        var steps = 0
        repeat {
            await self.writePulls()
            if steps % Self.stepsPerLook == 0 { await self.look() }
            steps += 1
        } while await Self.pause(self.configuration.interval)
    }

    /// - Returns: false when it is time to stop.
    static func pause(_ duration: Duration) async -> Bool {
        guard !Task.isCancelled, !Task.isShuttingDownGracefully else { return false }
        do {
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: duration) }
        } catch {
            return false
        }
        return !Task.isCancelled && !Task.isShuttingDownGracefully
    }

    private func writePulls() async {
        let (statements, dropped) = self.events.takePulls()
        if dropped > 0 {
            self.metrics.dropped.add(UInt64(dropped), "")
            self.logger.warning("pulls go untold: more than can be kept", metadata: ["count": "\(dropped)"])
        }
        var rest = statements[...]
        while !rest.isEmpty {
            do {
                try await self.queue.add(Array(rest.prefix(Self.pullsAtOnce)))
            } catch {
                self.events.giveBack(Array(rest))
                self.logger.warning("pulls cannot be written yet", metadata: ["error": "\(error)"])
                return
            }
            rest = rest.dropFirst(Self.pullsAtOnce)
        }
    }

    /// Drops what nobody takes, and counts the rest.
    func look() async {
        let now = self.clock()
        do {
            let horizon = now.addingTimeInterval(-self.configuration.maximumAge)
            let expired = try await self.queue.drop(before: Int64(horizon.timeIntervalSince1970 * 1000))
            self.tell(dropped: expired, of: "", "they have waited too long")
            for endpoint in self.configuration.endpoints {
                var backlog = try await self.queue.backlog(of: endpoint.name)
                if backlog.count > self.configuration.maximumQueued {
                    let excess = backlog.count - self.configuration.maximumQueued
                    let dropped = try await self.queue.dropOldest(excess, of: endpoint.name)
                    self.tell(dropped: dropped, of: endpoint.name, "too many wait")
                    backlog = try await self.queue.backlog(of: endpoint.name)
                }
                let age = backlog.oldest.map { max(0, Int64(now.timeIntervalSince1970) - $0 / 1000) } ?? 0
                self.metrics.queued.set(backlog.count, endpoint.name)
                self.metrics.oldest.set(age, endpoint.name)
            }
        } catch {
            self.logger.error("the queues of events cannot be looked at", metadata: ["error": "\(error)"])
        }
    }

    private func tell(dropped count: Int, of endpoint: String, _ reason: String) {
        guard count > 0 else { return }
        self.metrics.dropped.add(UInt64(count), endpoint)
        self.logger.error(
            "events were dropped: \(reason)",
            metadata: ["count": "\(count)", "endpoint": "\(endpoint)"]
        )
    }
}

/// What operators see of events.
struct EventMetrics: Sendable {
    let queued: MetricGauge
    let oldest: MetricGauge
    let delivered: MetricCounter
    let failed: MetricCounter
    let dropped: MetricCounter

    init(_ metrics: Metrics) {
        self.queued = metrics.gauge(
            "hallmark_registry_events_queued",
            help: "Events that wait to be delivered.",
            labels: ["endpoint"]
        )
        self.oldest = metrics.gauge(
            "hallmark_registry_events_oldest_seconds",
            help: "How long the oldest of them has waited.",
            labels: ["endpoint"]
        )
        self.delivered = metrics.counter(
            "hallmark_registry_events_delivered_total",
            help: "Events that an endpoint has taken.",
            labels: ["endpoint"]
        )
        self.failed = metrics.counter(
            "hallmark_registry_event_requests_failed_total",
            help: "Requests with events that an endpoint has not taken.",
            labels: ["endpoint"]
        )
        self.dropped = metrics.counter(
            "hallmark_registry_events_dropped_total",
            help: "Events that were never delivered, since they were too old or too many.",
            labels: ["endpoint"]
        )
    }
}
