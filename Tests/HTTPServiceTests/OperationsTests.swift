// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import HTTPService

@Suite("What operators see")
struct OperationsTests {
    @Test("One page has the metrics, one the health of all, one says that the process lives")
    func pages() async throws {
        struct Down: Error, CustomStringConvertible { var description: String { "is down" } }
        let metrics = Metrics()
        metrics.counter("a_total", help: "A.").add(3)
        let checks = HealthChecks(logger: Logger(label: "test"))
        let isDown = Mutex(false)
        checks.register("signer") { if isDown.withLock({ $0 }) { throw Down() } }
        checks.register("disk") {}
        try await withServer(OperationsResponder(metrics: metrics, health: checks)) { server in
            let client = try await RawClient.connect(to: server.address)
            func get(_ path: String) async throws -> RawClient.Reply {
                try await client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                return try await client.readReply()
            }
            let page = try await get("/metrics")
            #expect(page.status == 200 && page.text.contains("\na_total 3\n"))
            #expect(page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            await checks.poll()
            let well = try await get("/health")
            #expect(well.status == 200)
            #expect(well.text == #"{"checks":{"disk":{"status":"ok"},"signer":{"status":"ok"}},"status":"ok"}"#)
            isDown.withLock { $0 = true }
            await checks.poll()
            let ill = try await get("/health")
            #expect(ill.status == 503)
            #expect(ill.text.contains(#""signer":{"error":"is down","status":"failing"}"#))
            #expect(try await get("/health/live").status == 200)
            #expect(try await get("/").status == 404)
        }
    }

    @Test("A reply bears the id that its line in the log has")
    func requestID() async throws {
        let responder = ClosureResponder(
            immediate: { $0.path == "/now" ? HTTPResponse(status: .ok).preparedForReuse : nil },
            answer: { _ in throw CancellationError() }
        )
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            for path in ["/now", "/fail"] {
                try await client.send("GET \(path) HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")
                let id = try #require(try await client.readReply().headers["x-request-id"])
                let lines = server.log.all.filter { $0.metadata["path"] == path }
                #expect(lines.count == (path == "/fail" ? 2 : 1))
                #expect(lines.allSatisfy { $0.metadata["request"] == id })
            }
        }
    }

    @Test(
        "An id goes out as the log writes it",
        arguments: [(0, 0, 0), (1, 15, 9), (0xFFFF_FFFF, .max, .max), (0xA0, 0x10, 10)] as [(UInt32, UInt64, UInt32)]
    )
    func idText(instance: UInt32, connection: UInt64, sequence: UInt32) {
        let id = HTTPRequestID(instance: instance, connection: connection, sequence: sequence)
        var buffer = ByteBuffer()
        buffer.writeRequestID(id)
        #expect(String(buffer: buffer) == id.description)
    }

    @Test("Requests are counted and timed, by service, operation and status")
    func requests() async throws {
        let metrics = Metrics()
        let responder = ClosureResponder(answer: { request in
            let body = try await request.body.collect(upTo: 100)
            var response = HTTPResponse.text(.ok, String(repeating: "x", count: 2 * body.readableBytes))
            response.operation = "double"
            return response
        })
        let configuration = HTTPServerConfiguration.test { $0.metrics = HTTPServerMetrics(metrics, service: "s") }
        try await withServer(responder, configuration) { server in
            let client = try await RawClient.connect(to: server.address)
            for _ in 0..<2 {
                try await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde")
                #expect(try await client.readReply().status == 200)
            }
            let text = String(buffer: metrics.render())
            #expect(text.contains(#"hallmark_http_connections{service="s"} 1"#))
        }
        let text = String(buffer: metrics.render())
        for line in [
            #"hallmark_http_requests_total{service="s",operation="double",code="200"} 2"#,
            #"hallmark_http_request_seconds_count{service="s",operation="double"} 2"#,
            #"hallmark_http_received_bytes_total{service="s",operation="double"} 10"#,
            #"hallmark_http_sent_bytes_total{service="s",operation="double"} 20"#,
            #"hallmark_http_connections{service="s"} 0"#, #"hallmark_http_connections_total{service="s"} 1"#,
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }

    @Test("A connection that ends in its TLS handshake is counted")
    func handshakes() async throws {
        try await withTemporaryDirectory { directory in
            let authority = LocalCertificateAuthority(directory: directory, hostName: "host.example")
            let identity = try await TLSIdentity.load(.authority(authority), logger: Logger(label: "test"))
            let metrics = Metrics()
            let configuration = HTTPServerConfiguration.test {
                $0.tls = identity.contexts
                $0.metrics = HTTPServerMetrics(metrics, service: "s")
            }
            try await withServer(ClosureResponder(), configuration) { server in
                let client = try await RawClient.connect(to: server.address)
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                _ = await client.readToEnd()
            }
            let text = String(buffer: metrics.render())
            #expect(text.contains(#"hallmark_tls_handshake_failures_total{service="s"} 1"#))
        }
    }

    @Test("A process tells its memory, files and start")
    func process() throws {
        let metrics = Metrics()
        ProcessMetrics.register(on: metrics)
        let text = String(buffer: metrics.render())
        func value(_ name: String) throws -> Double {
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name + " ") })
            return try #require(Double(line.dropFirst(name.count + 1)))
        }
        #if os(Linux)
        #expect(try value("process_resident_memory_bytes") > 1e6)
        #expect(try value("process_open_fds") >= 3)
        let age = Date().timeIntervalSince1970 - (try value("process_start_time_seconds"))
        #expect(age >= -2 && age < 86400)
        #endif
        #expect(try value("process_max_fds") >= 3)
    }

    @Test("A disk with too little room is told")
    func disk() async throws {
        try await withTemporaryDirectory { directory in
            try DiskSpace(directory: directory, least: 1).check()
            #expect(throws: DiskSpace.TooLittle.self) {
                try DiskSpace(directory: directory, least: .max).check()
            }
            #expect(throws: (any Error).self) { try DiskSpace(directory: directory + "/none").check() }
        }
    }
}
