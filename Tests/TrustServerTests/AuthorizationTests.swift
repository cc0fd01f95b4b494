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
import TokenAuthentication
import TokenTesting

@testable import TrustServer

/// A trust server that asks for tokens, over real sockets, with a client that is not ours.
@Suite("Authorization")
struct AuthorizationTests {
    private static let gun = "registry.example:5000/team/app"
    private static let base = "/v2/\(Self.gun)/_trust"
    private static let pull = AccessEntry.repository(Self.gun, "pull")
    private static let push = AccessEntry.repository(Self.gun, "push", "pull")
    private static let all = AccessEntry.repository(Self.gun, "*")

    /// One kind of request.
    struct Case: Sendable, CustomStringConvertible {
        let method: HTTPMethod
        /// `{targets}` stands for the hash of what is there.
        let path: String
        let needed: AccessEntry
        /// Of the reply to who may.
        let status: UInt

        var description: String { "\(self.method) \(self.path)" }

        init(_ method: HTTPMethod, _ path: String, _ needed: AccessEntry, _ status: UInt) {
            self.method = method
            self.path = path
            self.needed = needed
            self.status = status
        }
    }

    static let cases: [Case] = [
        Case(.GET, "/v2/", .catalog, 200),
        Case(.GET, "\(Self.base)/tuf/root.json", Self.pull, 200),
        Case(.GET, "\(Self.base)/tuf/timestamp.json", Self.pull, 200),
        Case(.GET, "\(Self.base)/tuf/snapshot.json", Self.pull, 200),
        Case(.GET, "\(Self.base)/tuf/targets.json", Self.pull, 200),
        Case(.GET, "\(Self.base)/tuf/targets/releases.json", Self.pull, 404),
        Case(.GET, "\(Self.base)/tuf/targets.{targets}.json", Self.pull, 200),
        Case(.GET, "\(Self.base)/tuf/1.root.json", Self.pull, 200),
        Case(.GET, "/\(Self.base)/tuf/root.json", Self.pull, 200),
        Case(.GET, "\(Self.base)/changefeed?records=1", Self.pull, 200),
        Case(.GET, "/v2/_trust/changefeed?records=1", .catalog, 200),
        Case(.GET, "\(Self.base)/tuf/timestamp.key", Self.push, 200),
        Case(.GET, "\(Self.base)/tuf/snapshot.key", Self.push, 200),
        Case(.POST, "\(Self.base)/tuf/timestamp.key", Self.all, 200),
        Case(.POST, "\(Self.base)/tuf/", Self.push, 400),
        Case(.DELETE, "\(Self.base)/tuf/", Self.all, 200),
        // Everything else needs what the list of all collections needs.
        Case(.HEAD, "\(Self.base)/tuf/root.json", .catalog, 404),
        Case(.PUT, "\(Self.base)/tuf/root.json", .catalog, 404),
        Case(.POST, "\(Self.base)/tuf/root.json", .catalog, 404),
        Case(.DELETE, "\(Self.base)/tuf/root.json", .catalog, 404),
        Case(.GET, "\(Self.base)/tuf/targets.key", .catalog, 404),
        Case(.GET, "\(Self.base)/tuf/", .catalog, 404),
        Case(.POST, "/v2/", .catalog, 404),
        Case(.POST, "/metrics", .catalog, 404),
        Case(.HEAD, "/_notary_server/health", .catalog, 404),
        Case(.GET, "/", .catalog, 404),
        Case(.POST, "/v2/\(String(repeating: "a", count: 2100))/_trust/tuf/", .catalog, 400),
    ]

    @Test("each request needs its token, and no other will do", arguments: Self.cases)
    func matrix(_ example: Case) async throws {
        try await Self.run { server in
            var path = example.path
            path.replace("{targets}", with: server.targetsHash)
            func send(_ token: String?) async throws -> (UInt, String?, TestReply) {
                let reply = try await server.send(example.method, path, token: token)
                return (reply.status, reply.headers.first(name: "WWW-Authenticate"), reply)
            }
            let challenge = #"""
                Bearer realm="https://auth.example/token",service="test",scope="\#(example.needed.scope)"
                """#
            let (refused, field, reply) = try await send(nil)
            #expect(refused == 401)
            #expect(field == challenge)
            if example.method != .HEAD {
                #expect(reply.headers.first(name: "Content-Type") == "application/json; charset=utf-8")
                #expect(reply.error?.code == .unauthorized)
                let detail: [JSONValue] = example.needed.actions.map { action in
                    [
                        "Type": .string(example.needed.type), "Class": "",
                        "Name": .string(example.needed.name), "Action": .string(action),
                    ]
                }
                #expect(reply.error?.detail == .json(.array(detail)))
            }
            for bad in try server.issuer.badTokens([Self.all, .catalog]) {
                let (refused, field, _) = try await send(bad.token)
                #expect(refused == 401, "\(bad)")
                #expect(field == challenge + #",error="invalid_token""#, "\(bad)")
            }
            for access in Self.insufficient(for: example.needed) {
                let (refused, field, _) = try await send(server.issuer.token(access))
                #expect(refused == 401, "\(access)")
                #expect(field == challenge + #",error="insufficient_scope""#, "\(access)")
            }
            let (allowed, _, _) = try await send(server.issuer.token([example.needed]))
            #expect(allowed == example.status)
        }
    }

    /// What grants something, but not this.
    private static func insufficient(for needed: AccessEntry) -> [[AccessEntry]] {
        let others = [AccessEntry.repository("registry.example:5000/team/app2", "*"), .repository("team/app", "*")]
        guard needed != .catalog else { return [[], others + [Self.all]] }
        let actions = ["pull", "push", "delete"]
        let partial = needed.actions.map { missing in actions.filter { $0 != missing } }
        return [[], others + [.catalog]]
            + partial.map { [AccessEntry(type: "repository", name: Self.gun, actions: $0)] }
    }

    @Test(
        "health, metrics and methods that it has not are for everybody",
        arguments: [
            (HTTPMethod.GET, "/_notary_server/health", 200), (.GET, "/metrics", 200), (.OPTIONS, "/v2/", 405),
            (.PATCH, "\(Self.base)/tuf/root.json", 405),
        ]
    )
    func open(_ method: HTTPMethod, _ path: String, _ status: UInt) async throws {
        try await Self.run { server in
            for token in [nil, "garbage"] {
                let reply = try await server.send(method, path, token: token)
                #expect(reply.status == status)
                #expect(reply.headers.first(name: "WWW-Authenticate") == nil)
            }
        }
    }

    @Test("what is in memory is for those with a token for it")
    func hotReads() async throws {
        try await Self.run { server in
            let good = try server.issuer.token([Self.pull])
            let other = try server.issuer.token([.repository("other", "pull")])
            _ = try await server.send(.GET, "/v2/other/_trust/tuf/root.json", token: other)
            let leaves = ["timestamp.json", "targets.json", "targets.\(server.targetsHash).json", "1.root.json"]
            for leaf in leaves {
                let path = "\(Self.base)/tuf/\(leaf)"
                for _ in 0..<2 { #expect(try await server.send(.GET, path, token: good).status == 200) }
                func immediate(_ token: String?) -> HTTPResponse? {
                    let headers: HTTPHeaders = token.map { ["authorization": "Bearer \($0)"] } ?? [:]
                    return server.responder.immediateResponse(
                        to: HTTPRequest(method: .GET, path: path, headers: headers)
                    )
                }
                #expect(immediate(good)?.status == .ok)
                #expect(immediate(good)?.logMetadata["user"] == "alice")
                #expect(immediate(nil) == nil)
                #expect(immediate(other) == nil)
                #expect(try await server.send(.GET, path, token: nil).status == 401)
                #expect(try await server.send(.GET, path, token: other).status == 401)
            }
            // Who knows a hash gets nothing by it elsewhere.
            let elsewhere = "/v2/other/_trust/tuf/targets.\(server.targetsHash).json"
            #expect(try await server.send(.GET, elsewhere, token: other).status == 404)
        }
    }

    @Test("a publisher with a token publishes, and refusals are counted")
    func publish() async throws {
        try await Self.run { server in
            let token = try server.issuer.token([Self.push])
            let publisher = server.publisher
            let files: TestPublisher.Files = [(.targets, try await publisher.targets(version: 3, names: ["v2"]))]
            let refused = try await server.send(.POST, "\(Self.base)/tuf/", token: nil, files: files)
            #expect(refused.status == 401)
            let reply = try await server.send(.POST, "\(Self.base)/tuf/", token: token, files: files)
            #expect(reply.status == 200)
            let metrics = try await server.send(.GET, "/metrics", token: nil)
            #expect(
                metrics.text.contains(#"hallmark_authorization_refusals_total{service="test",reason="no_token"} 1"#)
            )
            #expect(
                metrics.text.contains(
                    #"notary_server_http_requests_total{code="401",method="post",operation="UpdateTUF"} 1"#
                )
            )
        }
    }

    @Test("collections that are not served are not spoken of before a token is seen")
    func prefixes() async throws {
        try await Self.run {
            $0.gunPrefixes = ["elsewhere/"]
        } _: { server in
            #expect(try await server.send(.POST, "\(Self.base)/tuf/", token: nil).status == 401)
            let reply = try await server.send(
                .POST,
                "\(Self.base)/tuf/",
                token: server.issuer.token([Self.push])
            )
            #expect(reply.status == 400)
            #expect(reply.error?.code == .invalidGUN)
        }
    }

    // MARK: The server

    private struct Server {
        let responder: any HTTPResponder
        let publisher: TestPublisher
        let targetsHash: String
        let issuer: TokenIssuer
        let base: String
        let client: HTTPClient

        func send(
            _ method: HTTPMethod,
            _ path: String,
            token: String?,
            files: TestPublisher.Files? = nil
        ) async throws -> TestReply {
            var request = HTTPClientRequest(url: self.base + path)
            request.method = method
            if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
            if let files {
                let form = MultipartForm(files: files, random: [1])
                request.headers.add(name: "Content-Type", value: form.contentType)
                request.body = .bytes(ByteBuffer(bytes: form.body))
            }
            let response = try await self.client.execute(request, timeout: .seconds(60))
            let body = try await response.body.collect(upTo: 1 << 20)
            return TestReply(
                status: response.status.code,
                headers: response.headers,
                body: Array(body.readableBytesView)
            )
        }
    }

    /// Runs the body with a server that has one collection.
    private static func run(
        _ change: (inout TrustServerConfiguration) -> Void = { _ in },
        _ body: (Server) async throws -> Void
    ) async throws {
        let issuer = try TokenIssuer.shared.get()
        try await TestServer.with { open in
            let publisher = try await open.publisher(Self.gun)
            #expect(try await open.publish(try await publisher.first(), to: Self.gun).status == 200)
            let targets = try await open.update(Self.gun).listed(.targets)
            let hash = Hexadecimal.encode(try #require(targets?.hashes?.sha256))
            let responder = try await open.another(verifier: issuer.verifier, change).server.responder
            let http = HTTPServer(
                configuration: HTTPServerConfiguration(port: 0, threadCount: 1),
                responder: responder,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let address = try await http.bind()
            let server = Server(
                responder: responder,
                publisher: publisher,
                targetsHash: hash,
                issuer: issuer,
                base: "http://127.0.0.1:\(try #require(address.port))",
                client: HTTPClient()
            )
            async let serving: Void = http.run()
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(server))
            } catch {
                result = .failure(error)
            }
            try await server.client.shutdown()
            http.shutDown()
            try await serving
            try result.get()
        }
    }
}
