// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What one HTTP server counts.
package final class HTTPServerMetrics: Sendable {
    /// Why a request or a connection was turned away before it was looked at.
    enum Refusal: String, CaseIterable {
        case reads
        case writes
        case uploads
        case header = "header_size"
        case slow = "too_slow"
        case body = "body_size"
    }

    private struct Key: Hashable {
        let operation: String
        let status: UInt
    }

    private struct Cells {
        let requests: MetricCounter.Cell
        let seconds: MetricHistogram.Cell
        let received: MetricCounter.Cell
        let sent: MetricCounter.Cell
    }

    private let service: String
    private let requests: MetricCounter
    private let seconds: MetricHistogram
    private let received: MetricCounter
    private let sent: MetricCounter
    private let refusals: MetricCounter
    private let open: MetricGauge.Cell
    private let accepted: MetricCounter.Cell
    private let handshakeFailures: MetricCounter.Cell
    private let cells = Mutex<[Key: Cells]>([:])

    /// - Parameters:
    ///   - metrics: where the numbers are shown.
    ///   - service: tells the servers of one process apart.
    package init(_ metrics: Metrics, service: String) {
        self.service = service
        self.requests = metrics.counter(
            "hallmark_http_requests_total",
            help: "Requests answered.",
            labels: ["service", "operation", "code"]
        )
        self.seconds = metrics.histogram(
            "hallmark_http_request_seconds",
            help: "Time from the end of a request's head to the end of its reply.",
            labels: ["service", "operation"]
        )
        self.received = metrics.counter(
            "hallmark_http_received_bytes_total",
            help: "Bytes of request bodies.",
            labels: ["service", "operation"]
        )
        self.sent = metrics.counter(
            "hallmark_http_sent_bytes_total",
            help: "Bytes of bodies of replies.",
            labels: ["service", "operation"]
        )
        self.refusals = metrics.counter(
            "hallmark_http_refused_total",
            help: "Requests that a limit refused.",
            labels: ["service", "limit"]
        )
        self.open = metrics.gauge("hallmark_http_connections", help: "Connections open now.", labels: ["service"])
            .cell(service)
        self.accepted = metrics.counter(
            "hallmark_http_connections_total",
            help: "Connections accepted.",
            labels: ["service"]
        ).cell(service)
        self.handshakeFailures = metrics.counter(
            "hallmark_tls_handshake_failures_total",
            help: "Connections that ended in their TLS handshake.",
            labels: ["service"]
        ).cell(service)
        for refusal in Refusal.allCases { self.refusals.add(0, service, refusal.rawValue) }
    }

    func connectionOpened() {
        self.open.add(1)
        self.accepted.add()
    }

    func connectionClosed() { self.open.add(-1) }
    func handshakeFailed() { self.handshakeFailures.add() }
    func refused(_ refusal: Refusal) { self.refusals.add(1, self.service, refusal.rawValue) }

    /// - Parameter status: 0 when the connection ended before there was one.
    func count(operation: String, status: UInt, seconds: Double, received: Int, sent: Int64) {
        let cells = self.cells(of: Key(operation: operation, status: status))
        cells.requests.add()
        cells.seconds.observe(seconds)
        if received > 0 { cells.received.add(UInt64(received)) }
        if sent > 0 { cells.sent.add(UInt64(sent)) }
    }

    private func cells(of key: Key) -> Cells {
        self.cells.withLock { known in
            if let cells = known[key] { return cells }
            let cells = Cells(
                requests: self.requests.cell(
                    self.service,
                    key.operation,
                    key.status == 0 ? "aborted" : "\(key.status)"
                ),
                seconds: self.seconds.cell(self.service, key.operation),
                received: self.received.cell(self.service, key.operation),
                sent: self.sent.cell(self.service, key.operation)
            )
            if known.count < MetricCells<Int>.maximumCount { known[key] = cells }
            return cells
        }
    }
}
