// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@Suite("Connections of the HTTP server")
struct HTTPServerConnectionTests {
    private static let echo = ClosureResponder(answer: { request in
        HTTPResponse(status: .ok, body: .bytes(try await request.body.collect(upTo: 1 << 20)))
    })

    /// Answers with the path, at once for `/now…`, in a task otherwise.
    private static let paths = ClosureResponder(
        immediate: { request in
            request.path.hasPrefix("/now")
                ? HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: request.path))) : nil
        },
        answer: { HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: $0.path + "?" + ($0.query ?? "-")))) }
    )

    @Test("A connection serves one request after the other")
    func keepAlive() async throws {
        try await withServer(Self.paths) { server in
            let client = try await RawClient.connect(to: server.address)
            for number in 0..<3 {
                try await client.send("GET /\(number)?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
                let reply = try await client.readReply()
                #expect(reply.status == 200)
                #expect(reply.text == "/\(number)?a=b")
                #expect(reply.headers["connection"] == nil)
                #expect(reply.headers["date"] != nil)
            }
            await client.close()
        }
    }

    @Test("Pipelined requests are answered in their order, whichever way each is answered")
    func pipelining() async throws {
        try await withServer(Self.paths) { server in
            let client = try await RawClient.connect(to: server.address)
            let targets = (0..<200).map { $0 % 3 == 0 ? "/now\($0)" : "/later\($0)" }
            try await client.send(targets.map { "GET \($0) HTTP/1.1\r\nHost: x\r\n\r\n" }.joined())
            for target in targets {
                let text = try await client.readReply().text
                #expect(text == (target.hasPrefix("/now") ? target : target + "?-"))
            }
            await client.close()
        }
    }

    @Test("Pipelined bodies reach their own requests")
    func pipelinedBodies() async throws {
        try await withServer(Self.echo) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send(
                "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
                    + "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n"
                    + "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            #expect(try await client.readReply().text == "one")
            #expect(try await client.readReply().text == "two")
            #expect(try await client.readReply().text == "")
            await client.close()
        }
    }

    @Test(
        "The connection is closed when the peer wants it",
        arguments: ["GET /now HTTP/1.0\r\n\r\n", "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]
    )
    func closing(request: String) async throws {
        try await withServer(Self.paths) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send(request)
            let reply = await client.readToEnd()
            #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(reply.contains("Connection: close\r\n"))
            #expect(reply.hasSuffix("\r\n\r\n/now"))
        }
    }
}
