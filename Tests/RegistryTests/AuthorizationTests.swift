// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing
import TokenAuthentication
import TokenTesting

@testable import Registry

/// A registry that asks for tokens, over real sockets, with a client that is not ours.
struct AuthorizationTests {
    private static let layer = Array("layer".utf8)
    private static let config = Array("{}".utf8)
    private static let manifest = Samples.image(config: Self.config, layers: [Self.layer])
    private static let everything: [AccessEntry] = [
        .repository("team/app", "*"), .repository("team/other", "*"), .catalog,
    ]

    /// One kind of request.
    struct Case: Sendable, CustomStringConvertible {
        let method: HTTPMethod
        /// `{manifest}`, `{blob}` and `{upload}` stand for what is there.
        let path: String
        /// Nil for any token.
        let needed: AccessEntry?
        /// Asked for as well.
        var useful: AccessEntry?
        /// Of the reply to who may.
        let status: Int
        var body: [UInt8] = []

        var description: String { "\(self.method) \(self.path)" }

        init(
            _ method: HTTPMethod,
            _ path: String,
            _ needed: AccessEntry?,
            _ status: Int,
            useful: AccessEntry? = nil,
            body: [UInt8] = []
        ) {
            self.method = method
            self.path = path
            self.needed = needed
            self.status = status
            self.useful = useful
            self.body = body
        }
    }

    private static let pull = AccessEntry.repository("team/app", "pull")
    private static let push = AccessEntry.repository("team/app", "pull", "push")
    private static let delete = AccessEntry.repository("team/app", "delete")
    private static let base = "/v2/team/app"

    static let cases: [Case] = [
        Case(.GET, "/v2/", nil, 200),
        Case(.HEAD, "/v2/", nil, 200),
        Case(.GET, "/v2", nil, 200),
        Case(.GET, "/v2/_catalog", .catalog, 200),
        Case(.GET, "\(Self.base)/tags/list", Self.pull, 200),
        Case(.GET, "\(Self.base)/manifests/v1", Self.pull, 200),
        Case(.HEAD, "\(Self.base)/manifests/v1", Self.pull, 200),
        Case(.GET, "\(Self.base)/manifests/{manifest}", Self.pull, 200),
        Case(.HEAD, "\(Self.base)/manifests/{manifest}", Self.pull, 200),
        Case(.PUT, "\(Self.base)/manifests/v2", Self.push, 201, body: Self.manifest),
        Case(.DELETE, "\(Self.base)/manifests/v1", Self.delete, 202),
        Case(.GET, "\(Self.base)/blobs/{blob}", Self.pull, 200),
        Case(.HEAD, "\(Self.base)/blobs/{blob}", Self.pull, 200),
        Case(.DELETE, "\(Self.base)/blobs/{blob}", Self.delete, 202),
        Case(.GET, "\(Self.base)/referrers/{manifest}", Self.pull, 200),
        Case(.POST, "\(Self.base)/blobs/uploads/", Self.push, 202),
        Case(.POST, "\(Self.base)/blobs/uploads", Self.push, 202),
        Case(.POST, "\(Self.base)/blobs/uploads/?digest={blob}", Self.push, 201, body: Self.layer),
        Case(
            .POST,
            "\(Self.base)/blobs/uploads/?mount={blob}&from=team/other",
            Self.push,
            202,
            useful: .repository("team/other", "pull")
        ),
        Case(.POST, "\(Self.base)/blobs/uploads/?mount={blob}", Self.push, 201),
        Case(.GET, "{upload}", Self.pull, 204),
        Case(.PATCH, "{upload}", Self.push, 202, body: Self.layer),
        Case(.PUT, "{upload}?digest={blob}", Self.push, 201, body: Self.layer),
        Case(.DELETE, "{upload}", Self.push, 204),
        // What has no rule is refused to who has no token.
        Case(.GET, "/", nil, 404),
        Case(.GET, "/v2/nothing", nil, 404),
        Case(.GET, "/v2/Team/App/tags/list", nil, 400),
        Case(.GET, "\(Self.base)/blobs/sha256:1", nil, 400),
        Case(.POST, "/v2/_catalog", .catalog, 405),
        Case(.POST, "/v2/", nil, 405),
        Case(.PUT, "\(Self.base)/tags/list", Self.push, 405),
        Case(.OPTIONS, "\(Self.base)/tags/list", nil, 405),
        Case(.TRACE, "\(Self.base)/manifests/v1", nil, 405),
    ]

    @Test("Each request needs its token, and no other will do", arguments: Self.cases)
    func matrix(_ example: Case) async throws {
        try await Self.run { server in
            let path = try await server.resolve(example.path)
            func status(_ token: String?) async throws -> (Int, String?, RegistryFixture.Reply) {
                let reply = try await server.send(example.method, path, example.body, token: token)
                return (reply.status, reply["www-authenticate"], reply)
            }
            let entries = [example.needed, example.useful].compactMap(\.self)
            let scope = entries.isEmpty ? "" : #",scope="\#(AccessEntry.scope(of: entries))""#
            let challenge = #"Bearer realm="https://auth.example/token",service="test"\#(scope)"#

            let (refused, field, reply) = try await status(nil)
            #expect(refused == 401)
            #expect(field == challenge)
            if example.method != .HEAD {
                #expect(reply.codes == ["UNAUTHORIZED"])
                #expect(reply.text.contains(#""message":"authentication required""#))
                #expect(reply.text.contains(#""detail":null"#) == (example.needed == nil))
            }
            for bad in try server.issuer.badTokens(Self.everything) {
                let (refused, field, _) = try await status(bad.token)
                #expect(refused == 401, "\(bad)")
                #expect(field == challenge + #",error="invalid_token""#, "\(bad)")
            }
            for access in Self.insufficient(for: example.needed) {
                let (refused, field, _) = try await status(server.issuer.token(access))
                #expect(refused == 401, "\(access)")
                #expect(field == challenge + #",error="insufficient_scope""#, "\(access)")
            }
            let (allowed, _, _) = try await status(server.issuer.token(example.needed.map { [$0] } ?? []))
            #expect(allowed == example.status)
        }
    }

    /// What grants something, but not this.
    private static func insufficient(for needed: AccessEntry?) -> [[AccessEntry]] {
        guard let needed else { return [] }
        let others = [
            AccessEntry.repository("team/app2", "*"), .repository("team", "*"), .repository("team/other", "*"),
        ]
        guard needed != .catalog else {
            return [[], others + [.repository("catalog", "*"), .repository("team/app", "*")]]
        }
        let partial = needed.actions.map { missing in
            AccessEntry.repository("team/app", "pull", "push", "delete").actions.filter { $0 != missing }
        }
        return [[], others + [.catalog, AccessEntry(type: "registry", name: "team/app", actions: ["*"])]]
            + partial.map { [AccessEntry(type: "repository", name: "team/app", actions: $0)] }
    }

    @Test("What is in memory is for those with a token for it")
    func hotReads() async throws {
        try await Self.run { server in
            let good = try server.issuer.token([Self.pull])
            let other = try server.issuer.token([.repository("team/other", "pull")])
            _ = try await server.send(.GET, "/v2/", token: other)
            let blob = try await server.resolve("\(Self.base)/blobs/{blob}")
            let targets: [(HTTPMethod, String)] = [(.GET, "\(Self.base)/manifests/v1"), (.HEAD, blob)]
            for (method, path) in targets {
                for _ in 0..<3 {
                    #expect(try await server.send(method, path, token: good).status == 200)
                }
                func immediate(_ token: String?) -> HTTPResponse? {
                    let headers: HTTPHeaders = token.map { ["authorization": "Bearer \($0)"] } ?? [:]
                    return server.registry.responder.immediateResponse(
                        to: HTTPRequest(method: method, path: path, headers: headers)
                    )
                }
                #expect(immediate(good)?.status == .ok)
                #expect(immediate(good)?.logMetadata["user"] == "alice")
                #expect(immediate(nil) == nil)
                #expect(immediate(other) == nil)
                #expect(try await server.send(method, path, token: nil).status == 401)
                #expect(try await server.send(method, path, token: other).status == 401)
            }
        }
    }

    @Test("A blob is mounted only from where the token may pull, and nothing tells whether it is there")
    func mount() async throws {
        try await Self.run { server in
            let secret = Array("secret".utf8)
            let digest = Digest(hashing: secret)
            let pushed = try await server.send(
                .POST,
                "/v2/team/other/blobs/uploads/?digest=\(digest)",
                secret,
                token: server.issuer.token(Self.everything)
            )
            #expect(pushed.status == 201)
            let here = try server.issuer.token([Self.push])
            let absent = Digest(hashing: Array("absent".utf8))
            for (blob, query) in [(digest, "&from=team/other"), (digest, ""), (absent, "&from=team/other")] {
                let path = "\(Self.base)/blobs/uploads/?mount=\(blob)\(query)"
                let reply = try await server.send(.POST, path, token: here)
                #expect(reply.status == 202)
                #expect(reply["docker-content-digest"] == nil)
            }
            #expect(try await server.send(.HEAD, "\(Self.base)/blobs/\(digest)", token: here).status == 404)
            let both = try server.issuer.token([Self.push, .repository("team/other", "pull")])
            let path = "\(Self.base)/blobs/uploads/?mount=\(digest)&from=team/other"
            #expect(try await server.send(.POST, path, token: both).status == 201)
            let third = AccessEntry.repository("team/third", "pull", "push")
            for (entries, status) in [
                ([third], 202), ([third, .repository("team/other", "push")], 202),
                ([third, .repository("team/other", "pull")], 201),
            ] {
                let reply = try await server.send(
                    .POST,
                    "/v2/team/third/blobs/uploads/?mount=\(digest)",
                    token: server.issuer.token(entries)
                )
                #expect(reply.status == status, "a source is looked for where the token may pull")
            }
            #expect(try await server.send(.HEAD, "\(Self.base)/blobs/\(digest)", token: here).status == 200)
        }
    }

    @Test("The access log names who asked, and why others were refused")
    func accessLog() async throws {
        let lines = Mutex<[Logger.Metadata]>([])
        let log = LineHandler { line in lines.withLock { $0.append(line) } }
        try await Self.run(logger: Logger(label: "test") { _ in log }) { server in
            lines.withLock { $0 = [] }
            _ = try await server.send(.GET, "/v2/", token: server.issuer.token([]))
            _ = try await server.send(.GET, "/v2/_catalog", token: server.issuer.token([]))
            _ = try await server.send(.GET, "/v2/", token: nil)
            _ = try await server.send(.GET, "/v2/", token: "garbage")
        }
        let access = lines.withLock { $0 }.filter { $0["status"] != nil }
        #expect(access.map { $0["user"]?.description } == ["alice", "alice", nil, nil])
        #expect(
            access.map { $0["refused"]?.description } == [nil, "insufficient_scope", "no_token", "malformed"]
        )
    }

    // MARK: The server

    private struct Server {
        let registry: Registry
        let issuer: TokenIssuer
        let base: String
        let client: HTTPClient

        func send(
            _ method: HTTPMethod,
            _ path: String,
            _ body: [UInt8] = [],
            token: String?
        ) async throws -> RegistryFixture.Reply {
            var request = HTTPClientRequest(url: self.base + path)
            request.method = method
            if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
            if method == .PUT, path.contains("/manifests/") {
                request.headers.add(name: "Content-Type", value: Samples.imageType)
            }
            if !body.isEmpty { request.body = .bytes(ByteBuffer(bytes: body)) }
            let response = try await self.client.execute(request, timeout: .seconds(60))
            let content = try await response.body.collect(upTo: 1 << 20)
            return RegistryFixture.Reply(
                status: Int(response.status.code),
                headers: response.headers,
                body: Data(content.readableBytesView),
                absentLength: nil
            )
        }

        func resolve(_ path: String) async throws -> String {
            var path = path
            path.replace("{manifest}", with: Digest(hashing: AuthorizationTests.manifest).description)
            path.replace("{blob}", with: Digest(hashing: AuthorizationTests.layer).description)
            if path.contains("{upload}") {
                let token = try self.issuer.token(AuthorizationTests.everything)
                let reply = try await self.send(.POST, "\(AuthorizationTests.base)/blobs/uploads/", token: token)
                path.replace("{upload}", with: reply.location)
            }
            return path
        }
    }

    /// Runs the body with a registry that has one image.
    private static func run(
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ body: (Server) async throws -> Void
    ) async throws {
        let issuer = try TokenIssuer.shared.get()
        try await RegistryFixture.run(verifier: issuer.verifier) { fixture in
            let http = HTTPServer(
                configuration: HTTPServerConfiguration(port: 0, threadCount: 1),
                responder: fixture.registry.responder,
                logger: logger
            )
            let address = try await http.bind()
            let server = Server(
                registry: fixture.registry,
                issuer: issuer,
                base: "http://127.0.0.1:\(try #require(address.port))",
                client: HTTPClient()
            )
            async let serving: Void = http.run()
            let result: Result<Void, any Error>
            do {
                try await Self.push(to: server)
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

    private static func push(to server: Server) async throws {
        let token = try server.issuer.token(Self.everything)
        for content in [Self.layer, Self.config] {
            let path = "\(Self.base)/blobs/uploads/?digest=\(Digest(hashing: content))"
            #expect(try await server.send(.POST, path, content, token: token).status == 201)
        }
        let reply = try await server.send(.PUT, "\(Self.base)/manifests/v1", Self.manifest, token: token)
        #expect(reply.status == 201)
    }
}

/// Keeps the metadata of what is logged.
private struct LineHandler: LogHandler {
    let note: @Sendable (Logger.Metadata) -> Void
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    init(_ note: @escaping @Sendable (Logger.Metadata) -> Void) {
        self.note = note
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        self.note(event.metadata ?? [:])
    }
}
