// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@Suite("Dates and JSON")
struct MessageTests {
    @Test(
        "Dates have the fixed form",
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] as [(Int64, String)]
    )
    func date(seconds: Int64, expected: String) {
        #expect(HTTPDate.format(seconds) == expected)
    }

    @Test("JSON has sorted keys and plain slashes")
    func json() throws {
        let reply = try HTTPResponse.json(.created, encoding: ["b": "x/y", "a": "1"])
        guard case .bytes(let bytes) = reply.body else {
            Issue.record("not bytes")
            return
        }
        #expect(String(buffer: bytes) == #"{"a":"1","b":"x/y"}"#)
        #expect(reply.headers.first(name: "content-type") == "application/json; charset=utf-8")
    }
}

@Suite("Health, metrics and files")
struct OperationTests {
    @Test("A failing check is told by its name until it passes again")
    func health() async {
        struct Down: Error, CustomStringConvertible { var description: String { "is down" } }
        let isDown = Mutex(true)
        let checks = HealthChecks(logger: Logger(label: "test"))
        checks.register("DB operational") { if isDown.withLock({ $0 }) { throw Down() } }
        checks.register("Trust operational") {}
        #expect(checks.failures.isEmpty)
        await checks.poll()
        #expect(checks.failures == ["DB operational": "is down"])
        isDown.withLock { $0 = false }
        await checks.poll()
        #expect(checks.failures.isEmpty)
    }

    @Test("Checks are run again after each interval")
    func polling() async throws {
        let rounds = Mutex(0)
        let checks = HealthChecks(
            interval: .seconds(7),
            logger: Logger(label: "test"),
            sleep: { duration in
                #expect(duration == .seconds(7))
                if rounds.withLock({ $0 }) == 3 { throw CancellationError() }
            }
        )
        checks.register("x") { rounds.withLock { $0 += 1 } }
        try await checks.run()
        #expect(rounds.withLock { $0 } == 3)
    }

    @Test("Metrics are shown in Prometheus' text format")
    func metrics() {
        let metrics = Metrics()
        let requests = metrics.counter("requests_total", help: "All\nof them.", labels: ["code", "path"])
        requests.add(1, "200", "a\"b\\c")
        requests.add(2, "200", "a\"b\\c")
        metrics.gauge("open", help: "Open.").set(-4)
        let sizes = metrics.histogram("sizes", help: "Sizes.", buckets: [1, 2.5])
        for value in [0.5, 1, 2, 99] { sizes.observe(value) }
        let times = metrics.summary("times", help: "Times.", labels: ["operation"])
        for value in 1...100 { times.observe(Double(value), "get") }
        #expect(
            String(buffer: metrics.render()) == #"""
                # HELP open Open.
                # TYPE open gauge
                open -4
                # HELP requests_total All\nof them.
                # TYPE requests_total counter
                requests_total{code="200",path="a\"b\\c"} 3
                # HELP sizes Sizes.
                # TYPE sizes histogram
                sizes_bucket{le="1"} 2
                sizes_bucket{le="2.5"} 3
                sizes_bucket{le="+Inf"} 4
                sizes_sum 102.5
                sizes_count 4
                # HELP times Times.
                # TYPE times summary
                times{operation="get",quantile="0.5"} 50
                times{operation="get",quantile="0.9"} 90
                times{operation="get",quantile="0.99"} 99
                times_sum{operation="get"} 5050
                times_count{operation="get"} 100

                """#
        )
    }

    @Test("Label values without end do not fill the memory")
    func labelBound() {
        let metrics = Metrics()
        let counter = metrics.counter("c_total", help: "C.", labels: ["name"])
        for number in 0..<5_000 { counter.add(1, "\(number)") }
        let lines = String(buffer: metrics.render()).split(separator: "\n")
        #expect(lines.count == 2 + 1_001)
        #expect(lines.contains("c_total{name=\"other\"} 4000"))
    }

    @Test("A family asked for again is the same one")
    func sameFamily() {
        let metrics = Metrics()
        metrics.counter("c_total", help: "C.").add()
        metrics.counter("c_total", help: "C.").add()
        #expect(String(buffer: metrics.render()).hasSuffix("c_total 2\n"))
    }
}
