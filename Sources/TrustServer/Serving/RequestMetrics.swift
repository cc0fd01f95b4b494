// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import NotaryAPI

/// Counts requests under the names that notary-server uses.
struct RequestMetrics: Sendable {
    /// What a request asks for.
    enum Operation: String, Sendable, CaseIterable {
        case updateTUF = "UpdateTUF"
        case roleByHash = "GetRoleByHash"
        case roleByVersion = "GetRoleByVersion"
        case role = "GetRole"
        case key = "GetKey"
        case rotateKey = "RotateKey"
        case deleteTUF = "DeleteTUF"
        case changefeed = "Changefeed"

        /// Nil for what notary-server does not count.
        init?(_ method: HTTPMethod, _ path: TrustPath) {
            switch (method, path) {
            case (.POST, .collection): self = .updateTUF
            case (.DELETE, .collection): self = .deleteTUF
            case (.GET, .metadata(_, _, .sha256)): self = .roleByHash
            case (.GET, .metadata(_, _, .version)): self = .roleByVersion
            case (.GET, .metadata(_, _, .current)): self = .role
            case (.GET, .key): self = .key
            case (.POST, .key): self = .rotateKey
            case (.GET, .changefeed): self = .changefeed
            default: return nil
            }
        }
    }

    private let metrics: Metrics
    private let requests: MetricCounter
    private let durations: MetricSummary
    private let requestSizes: MetricSummary
    private let responseSizes: MetricSummary
    /// The counters of reads that succeed, which are by far the most.
    private let successfulReads: [Operation: MetricCounter.Cell]

    init(_ metrics: Metrics) {
        self.metrics = metrics
        let requests = metrics.counter(
            "notary_server_http_requests_total",
            help: "Requests answered.",
            labels: ["code", "method", "operation"]
        )
        self.requests = requests
        self.durations = metrics.summary(
            "notary_server_http_request_duration_microseconds",
            help: "Time taken by requests that were not answered from memory, in microseconds.",
            labels: ["operation"]
        )
        self.requestSizes = metrics.summary(
            "notary_server_http_request_size_bytes",
            help: "Size of the bodies of requests that were not answered from memory.",
            labels: ["operation"]
        )
        self.responseSizes = metrics.summary(
            "notary_server_http_response_size_bytes",
            help: "Size of the bodies of replies that were not from memory.",
            labels: ["operation"]
        )
        self.successfulReads = Dictionary(
            uniqueKeysWithValues: Operation.allCases.map { ($0, requests.cell("200", "get", $0.rawValue)) }
        )
    }

    /// Counts one answered request.
    /// - Parameter details: the length of the request's body and the time taken, unless it was answered from memory.
    func count(
        _ operation: Operation,
        _ method: HTTPMethod,
        _ response: HTTPResponse,
        _ details: (received: Int, duration: Duration)? = nil
    ) {
        if method == .GET, response.status == .ok {
            self.successfulReads[operation]?.add()
        } else {
            self.requests.add(1, "\(response.status.code)", method.rawValue.lowercased(), operation.rawValue)
        }
        guard let details else { return }
        self.durations.observe(details.duration.seconds * 1e6, operation.rawValue)
        self.requestSizes.observe(Double(details.received), operation.rawValue)
        if case .bytes(let body) = response.body {
            self.responseSizes.observe(Double(body.readableBytes), operation.rawValue)
        } else {
            self.responseSizes.observe(0, operation.rawValue)
        }
    }

    /// The reply to a scrape.
    var response: HTTPResponse { self.metrics.response() }
}
