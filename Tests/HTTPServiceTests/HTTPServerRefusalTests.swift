// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import NIOCore
import NIOHTTP1
import Testing

@Suite("What the HTTP server refuses")
struct HTTPServerRefusalTests {
    private static let responder = ClosureResponder(immediate: { _ in HTTPResponse(status: .ok) })

    @Test(
        "A request that could be read in two ways is refused and the connection closed",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "400"),
            ("GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
            ("no request at all\r\n\r\n", "400"),
            ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "501"),
        ]
    )
    func ambiguous(request: String, status: String) async throws {
        try await withServer(Self.responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send(request)
            let reply = await client.readToEnd()
            #expect(reply.hasPrefix("HTTP/1.1 \(status) "))
            #expect(reply.contains("Connection: close\r\n"))
            #expect(reply.components(separatedBy: "HTTP/1.1").count == 2)
        }
    }

    @Test("Header fields beyond the limit are refused with 431", arguments: [true, false])
    func headerOverflow(oneField: Bool) async throws {
        try await withServer(Self.responder, .test { $0.maximumHeaderSize = 2_000 }) { server in
            let client = try await RawClient.connect(to: server.address)
            let fields =
                oneField
                ? "a: " + String(repeating: "x", count: 3_000) + "\r\n"
                : String(repeating: "a: " + String(repeating: "x", count: 90) + "\r\n", count: 30)
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n")
            #expect(await client.readToEnd().hasPrefix("HTTP/1.1 431 "))
        }
    }

    @Test("A TLS hello on a plain port is answered in HTTP, so that clients fall back")
    func tlsOnPlainPort() async throws {
        try await withServer(Self.responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send(ByteBuffer(bytes: [0x16, 0x03, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5]))
            let reply = await client.readToEnd()
            #expect(reply.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        }
    }

    @Test("A peer that does not finish its head is told 408")
    func slowHead() async throws {
        try await withServer(Self.responder, .test { $0.headerTimeout = .seconds(1) }) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET / HTTP/1.1\r\n")
            #expect(await client.readToEnd().hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test("A connection without a request is closed in silence", arguments: [true, false])
    func idle(afterOneRequest: Bool) async throws {
        try await withServer(
            Self.responder,
            .test {
                $0.idleTimeout = .seconds(1)
                $0.headerTimeout = .seconds(1)
            }
        ) { server in
            let client = try await RawClient.connect(to: server.address)
            if afterOneRequest {
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await client.readReply().status == 200)
            }
            #expect(await client.readToEnd() == "")
        }
    }

    @Test("A peer that takes nothing of a reply is cut")
    func slowReader() async throws {
        let responder = ClosureResponder(immediate: { _ in
            HTTPResponse(status: .ok, body: .bytes(ByteBuffer(repeating: 1, count: 64 << 20)))
        })
        try await withServer(responder, .test { $0.writeTimeout = .milliseconds(100) }) { server in
            let client = try await RawClient.connect(to: server.address, receiveBuffer: 4_096)
            try await client.channel.setOption(.autoRead, value: false).get()
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            try await client.channel.setOption(.autoRead, value: false).get()
            while server.server.openConnectionCount > 0 {
                try await client.channel.eventLoop.scheduleTask(in: .milliseconds(10)) {}.futureResult.get()
            }
            await client.close()
        }
    }

    @Test("Connections beyond the limit wait until one is closed")
    func connectionLimit() async throws {
        try await withServer(Self.responder, .test { $0.maximumConnections = 1 }) { server in
            let first = try await RawClient.connect(to: server.address)
            try await first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await first.readReply().status == 200)
            var others: [RawClient] = []
            for _ in 0..<8 {
                let other = try await RawClient.connect(to: server.address)
                try await other.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                others.append(other)
            }
            #expect(server.server.openConnectionCount < 8)
            await first.close()
            for other in others { #expect(await other.readToEnd().hasPrefix("HTTP/1.1 200 ")) }
        }
    }

    @Test("A header value of a responder cannot split the reply")
    func injection() async throws {
        let responder = ClosureResponder(immediate: { _ in
            HTTPResponse(status: .ok, headers: ["X-Good": "1", "X-Bad": "a\r\nSet-Cookie: b"])
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            let reply = try await client.readReply()
            #expect(reply.headers["x-good"] == "1")
            #expect(reply.headers["set-cookie"] == nil)
            await client.close()
        }
    }
}
