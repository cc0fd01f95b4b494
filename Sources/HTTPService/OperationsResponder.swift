// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// What operators ask a process, whatever services it has: `/metrics`, `/health` and `/health/live`.
package struct OperationsResponder: HTTPResponder {
    private struct Health: Encodable {
        struct Check: Encodable {
            let status: String
            let error: String?
        }

        let status: String
        let checks: [String: Check]
    }

    private let metrics: Metrics
    private let health: HealthChecks

    package init(metrics: Metrics, health: HealthChecks) {
        self.metrics = metrics
        self.health = health
    }

    package func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        guard request.method == .GET || request.method == .HEAD else {
            return HTTPResponse(status: .methodNotAllowed, headers: ["Allow": "GET, HEAD"])
        }
        switch request.path {
        case "/metrics": return self.metrics.response()
        // Who serves this is alive.
        case "/health/live": return try .json(encoding: Health(status: "ok", checks: [:]))
        case "/health": return try self.healthResponse()
        default: return .text(.notFound, "/metrics, /health and /health/live are here\n")
        }
    }

    private func healthResponse() throws -> HTTPResponse {
        let results = self.health.results
        let isWell = results.values.allSatisfy { $0 == nil }
        let health = Health(
            status: isWell ? "ok" : "failing",
            checks: results.mapValues { Health.Check(status: $0 == nil ? "ok" : "failing", error: $0) }
        )
        return try .json(isWell ? .ok : .serviceUnavailable, encoding: health)
    }
}
