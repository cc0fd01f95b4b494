// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@testable import HTTPService
@testable import TrustServer

@Suite("What a trust server counts")
struct MetricsTests {
    @Test("publishes, refusals by code and cause, and signatures by role")
    func publishing() async throws {
        try await TestServer.with {
            $0.uploadLimit = 100_000
        } _: { server in
            let publisher = try await server.publisher("g")
            let files = try await publisher.first()
            #expect(try await server.publish(files, to: "g").status == 200)
            #expect(server.metric(#"hallmark_publishes_total{result="stored"}"#) == 1.0)
            #expect(server.metric(#"hallmark_signatures_total{role="timestamp",algorithm="ecdsa"}"#) == 1.0)
            #expect(server.metric(#"hallmark_signatures_total{role="snapshot",algorithm="ecdsa"}"#) == 1.0)

            func refused(_ code: String, _ reason: String) -> Double? {
                server.metric(#"hallmark_rejections_total{code="\#(code)",reason="\#(reason)"}"#)
            }
            // The version is taken.
            #expect(try await server.publish(files, to: "g").status == 400)
            #expect(refused("VERSION", "conflict") == 1.0)
            // Somebody else's signature.
            let forged = try await publisher.targets(version: 3, signedBy: TestKey())
            #expect(try await server.publish([(.targets, forged)], to: "g").status == 400)
            #expect(refused("INVALID_UPDATE", "thresholdNotMet") == 1.0)
            let expired = try await publisher.targets(version: 3, days: -1)
            #expect(try await server.publish([(.targets, expired)], to: "g").status == 400)
            #expect(refused("INVALID_UPDATE", "expired") == 1.0)
            #expect(try await server.post(Array("x".utf8), contentType: nil, to: "g").status == 400)
            #expect(refused("MALFORMED_UPLOAD", "malformed") == 1.0)
            let large = [UInt8](repeating: 0, count: 200_000)
            #expect(try await server.post(large, contentType: "multipart/form-data; boundary=b", to: "g").status == 400)
            #expect(refused("MALFORMED_UPLOAD", "size") == 1.0)
            #expect(server.metric(#"hallmark_publishes_total{result="refused"}"#) == 5.0)

            server.signer.setUnavailable(true)
            let next = try await publisher.targets(version: 3)
            #expect(try await server.publish([(.targets, next)], to: "g").status == 503)
            #expect(server.metric(#"hallmark_publishes_total{result="failed"}"#) == 1.0)
            let failures = #"hallmark_signature_failures_total{role="snapshot",algorithm="ecdsa",reason="unavailable"}"#
            #expect(server.metric(failures) == 1.0)
            #expect(try #require(server.metric(#"hallmark_signer_call_seconds_count{call="sign"}"#)) >= 3.0)
        }
    }

    @Test("requests under Notary's names, with their sizes")
    func notary() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            #expect(try await server.publish(try await publisher.first(), to: "g").status == 200)
            let page = try await server.get("/metrics").text
            #expect(
                page.contains(#"notary_server_http_requests_total{code="200",method="post",operation="UpdateTUF"} 1"#)
            )
            for size in ["request", "response"] {
                #expect(page.contains(#"notary_server_http_\#(size)_size_bytes_count{operation="UpdateTUF"} 1"#))
            }
        }
    }

    @Test("a client that has had its share is told so in Notary's form")
    func excess() async throws {
        try await TestServer.with { server in
            var limits = HTTPClientLimits()
            limits.reads = .init(perSecond: 1, burst: 1)
            let limiter = HTTPClientLimiter(limits) { 0 }
            let request = HTTPRequest(
                method: .GET,
                path: "/v2/",
                remoteAddress: try .init(ipAddress: "192.0.2.1", port: 1)
            )
            _ = limiter.admit(request)
            guard case .refused(let excess) = limiter.admit(request) else {
                Issue.record("admitted")
                return
            }
            let response = server.server.responder.response(toExcess: excess, request)
            #expect(response.status == .tooManyRequests)
            guard case .bytes(let body) = response.body else { return }
            #expect(NotaryError(decoding: body.readableBytesView)?.code == .tooManyRequests)
        }
    }
}
