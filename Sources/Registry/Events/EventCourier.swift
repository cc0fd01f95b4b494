// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import HTTPAccess
import HTTPService
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import ServiceLifecycle

/// Delivers to one endpoint, in the order of the queue, at least once: an event leaves the queue after the endpoint has taken
/// it.
struct EventCourier: Sendable {
    /// The most events of one request; after a failure one at a time, so that one which is not taken is found.
    private static let maximumBatch = 100
    /// How long an endpoint is left alone at most.
    private static let longestPause: Duration = .seconds(300)
    /// How long an instance that went away keeps an endpoint, in seconds, besides the time of a request.
    private static let leaseTime: Int64 = 30
    private static let maximumReply = 64 << 10

    let endpoint: EventEndpoint
    let http: HTTPClient
    let queue: EventQueue
    let metrics: EventMetrics
    let isShared: Bool
    let interval: Duration
    let clock: @Sendable () -> Date
    let logger: Logger
    private let owner = UUID().uuidString

    init(
        endpoint: EventEndpoint,
        http: HTTPClient,
        queue: EventQueue,
        metrics: EventMetrics,
        isShared: Bool,
        interval: Duration,
        clock: @escaping @Sendable () -> Date,
        logger: Logger
    ) {
        self.endpoint = endpoint
        self.http = http
        self.queue = queue
        self.metrics = metrics
        self.isShared = isShared
        self.interval = interval
        self.clock = clock
        self.logger = logger
    }

    private var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    /// Runs until it is cancelled or shut down.
    func run() async {
        var failures = 0
        var batch = 1
        var leaseUntil: Int64 = 0
        var wait = Duration.zero
        repeat {
            do {
                guard try await self.holds(&leaseUntil) else {
                    wait = self.spread(self.interval * 5)
                    continue
                }
                let items = try await self.queue.first(batch, of: self.endpoint.name)
                guard !items.isEmpty else {
                    wait = self.spread(self.interval)
                    continue
                }
                try await self.send(items)
                try await self.queue.remove(items, of: self.endpoint.name)
                self.metrics.delivered.add(UInt64(items.count), self.endpoint.name)
                if failures >= self.endpoint.threshold {
                    self.logger.notice("an endpoint of events is back", metadata: self.metadata)
                }
                failures = 0
                batch = min(batch * 2, Self.maximumBatch)
                wait = .zero
            } catch {
                guard !(error is CancellationError) else { continue }
                self.metrics.failed.add(1, self.endpoint.name)
                failures += 1
                batch = 1
                wait = self.pause(after: failures)
                self.report(error, failures)
            }
        } while await EventDelivery.pause(wait)
        if self.isShared {
            // Else the lease ends by itself.
            try? await self.queue.release(self.endpoint.name, of: self.owner)
        }
    }

    private var metadata: Logger.Metadata { ["endpoint": "\(self.endpoint.name)"] }

    private func report(_ error: any Error, _ failures: Int) {
        var metadata = self.metadata
        metadata["error"] = "\(error)"
        metadata["failures"] = "\(failures)"
        // Once when it is left alone; it may be away for days.
        let level: Logger.Level = failures == self.endpoint.threshold ? .error : .debug
        self.logger.log(level: level, "an endpoint does not take events; it is tried again", metadata: metadata)
    }

    private func pause(after failures: Int) -> Duration {
        let excess = failures - self.endpoint.threshold
        guard excess >= 0 else { return self.spread(min(self.endpoint.backoff / 4, .milliseconds(250))) }
        return self.spread(min(self.endpoint.backoff * (1 << min(excess, 20)), Self.longestPause))
    }

    /// Some spread keeps instances and endpoints that failed together from coming back together.
    private func spread(_ duration: Duration) -> Duration { duration * Double.random(in: 0.75...1.25) }

    /// Whether this instance is the one that delivers.
    private func holds(_ leaseUntil: inout Int64) async throws -> Bool {
        guard self.isShared else { return true }
        let now = self.now
        // For the answer, and for its body.
        let needed = now + 2 * self.endpoint.timeout.components.seconds + 5
        guard leaseUntil < needed else { return true }
        let until = needed + Self.leaseTime
        let isMine = try await self.queue.lease(self.endpoint.name, to: self.owner, now: now, until: until)
        leaseUntil = isMine ? until : 0
        return isMine
    }

    private func send(_ items: [EventQueue.Item]) async throws {
        var request = HTTPClientRequest(url: self.endpoint.url.description)
        request.method = .POST
        request.headers = ["Content-Type": RegistryEvent.envelopeType, "User-Agent": "hallmark"]
        for header in self.endpoint.headers { request.headers.replaceOrAdd(name: header.name, value: header.value) }
        let events = items.map(\.payload).joined(separator: ",")
        request.body = .bytes(ByteBuffer(string: "{\"events\":[\(events)]}"))
        let (final, timeout) = (request, self.endpoint.timeout)
        let status = try await cancelWhenGracefulShutdown {
            let response = try await self.http.execute(final, timeout: TimeAmount(timeout))
            // What an endpoint says is of no interest, but when it has said it its connection can be used again. How long that
            // may take is not part of the time for the answer.
            await withTaskGroup(of: Void.self) { group in
                group.addTask { _ = try? await response.body.collect(upTo: Self.maximumReply) }
                group.addTask { try? await Task.sleep(for: timeout) }
                _ = await group.next()
                group.cancelAll()
            }
            return response.status
        }
        guard (200..<400).contains(status.code) else { throw EventRefusal(status: status) }
    }
}

/// An endpoint has not taken what it was sent.
private struct EventRefusal: Error, CustomStringConvertible {
    let status: HTTPResponseStatus

    var description: String { "it answers \(self.status.code)" }
}
