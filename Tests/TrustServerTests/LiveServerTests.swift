// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Over sockets")
struct LiveServerTests {
    /// Runs the body with a server that listens on loopback, and its URL.
    private func serve(
        _ change: (inout TrustServerConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (TestServer, String, HTTPClient) async throws -> Void
    ) async throws {
        try await TestServer.with(change) { server in
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            var configuration = HTTPServerConfiguration(port: 0)
            configuration.threadCount = 2
            let http = HTTPServer(configuration: configuration, responder: server.server.responder, logger: logger)
            let address = try await http.bind()
            let client = HTTPClient(eventLoopGroupProvider: .singleton)
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await http.run() }
                    defer { http.shutDown() }
                    try await body(server, "http://127.0.0.1:\(address.port ?? 0)", client)
                }
            } catch {
                try await client.shutdown()
                throw error
            }
            try await client.shutdown()
        }
    }

    private static func send(
        _ method: HTTPMethod,
        _ url: String,
        _ client: HTTPClient,
        form: MultipartForm? = nil
    ) async throws -> TestReply {
        var request = HTTPClientRequest(url: url)
        request.method = method
        if let form {
            request.headers.add(name: "Content-Type", value: form.contentType)
            request.body = .bytes(ByteBuffer(bytes: form.body))
        }
        let response = try await client.execute(request, timeout: .seconds(60))
        let body = try await response.body.collect(upTo: 1 << 24)
        return TestReply(
            status: response.status.code,
            headers: response.headers,
            body: Array(body.readableBytesView)
        )
    }

    @Test("a collection is published and read, by many connections at once")
    func publishAndRead() async throws {
        try await self.serve { server, url, client in
            let publishers = try await withThrowingTaskGroup(of: TestPublisher.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        let base = "\(url)/v2/live/\(index)/_trust/tuf/"
                        let timestamp = try await Self.send(.GET, base + "timestamp.key", client)
                        let snapshot = try await Self.send(.GET, base + "snapshot.key", client)
                        let publisher = try TestPublisher(
                            gun: "live/\(index)",
                            now: server.clock.now,
                            timestampKey: try KeyResponse.decode(timestamp.body),
                            snapshotKey: try KeyResponse.decode(snapshot.body)
                        )
                        let form = MultipartForm(files: try await publisher.first(), random: [1, 2, 3, UInt8(index)])
                        let reply = try await Self.send(.POST, base, client, form: form)
                        #expect(reply.status == 200)
                        #expect(reply.headers.first(name: "Content-Length") == "0")
                        return publisher
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for publisher in publishers {
                let base = "\(url)/v2/\(publisher.gun)/_trust/tuf/"
                let reply = try await Self.send(.GET, base + "root.json", client)
                #expect(reply.body == (try await server.get("root.json", of: publisher.gun).body))
                #expect(reply.headers.first(name: "Content-Length") == "\(reply.body.count)")
                _ = try await server.update(publisher.gun)
            }
        }
    }

    @Test("an upload that is announced or turns out too large is refused with its reason")
    func tooLarge() async throws {
        try await self.serve {
            $0.uploadLimit = 100_000
        } _: { server, url, client in
            let form = MultipartForm(files: [(.root, [UInt8](repeating: 32, count: 150_000))], random: [1])
            let reply = try await Self.send(.POST, "\(url)/v2/g/_trust/tuf/", client, form: form)
            #expect(reply.status == 400)
            #expect(reply.error?.code == .malformedUpload)
            let stored = try await server.storedFiles()
            #expect(stored == 0)
        }
    }

    @Test("HEAD and unknown methods are answered without a body")
    func methods() async throws {
        try await self.serve { _, url, client in
            let head = try await Self.send(.HEAD, "\(url)/v2/", client)
            #expect(head.status == 404)
            #expect(head.body.isEmpty)
            let patch = try await Self.send(.PATCH, "\(url)/v2/", client)
            #expect(patch.status == 405)
            let ping = try await Self.send(.GET, "\(url)//v2/", client)
            #expect(ping.text == "{}")
        }
    }

    @Test("What has to be signed or verified for a reply keeps no connection's thread from the others")
    func eventLoopsStayFree() async throws {
        try await self.serve { server, url, client in
            let gun = "r.example/a"
            let publisher = try await server.publisher(gun)
            #expect(try await server.publish(publisher.first(), to: gun).status == 200)
            let base = "\(url)/v2/\(gun)/_trust/tuf/"
            server.clock.advance(days: 20)
            let signatures = server.signer.signatures
            #expect(try await Self.send(.GET, base + "timestamp.json", client).status == 200)
            #expect(server.signer.signatures > signatures)
            #expect(try await Self.send(.GET, base + "snapshot.key", client).status == 200)
            #expect(try await Self.send(.GET, "\(url)/v2/other/_trust/tuf/timestamp.key", client).status == 200)
            #expect(server.signer.callsOnEventLoops == 0)
        }
    }
}
