// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPAccess
import HTTPService
import KeyStore
import Logging
import NIOCore
import NIOHTTP1
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient
import TrustServer
import TrustSigner

/// Runs something over HTTPS on a free loopback port, with a certificate of an authority made for it.
struct LiveServer: Sendable {
    let url: String
    let authority: String
    let directory: String

    var notary: NotaryServer {
        get throws {
            var server = try NotaryServer(url: self.url)
            server.authorityFiles = [self.authority]
            return server
        }
    }

    static func with(
        tls: Bool = true,
        _ responder: (String) async throws -> any HTTPResponder,
        _ body: (LiveServer) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "trust-live-\(UUID())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let authority = LocalCertificateAuthority(directory: "\(directory)/tls")
        let identity = try await TLSIdentity.load(.authority(authority), logger: logger)
        var configuration = HTTPServerConfiguration(port: 0, threadCount: 1)
        configuration.shutdownGrace = .seconds(1)
        if tls { configuration.tls = identity.contexts }
        let server = HTTPServer(
            configuration: configuration,
            responder: try await responder(directory),
            logger: logger
        )
        let address = try await server.bind()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let live = LiveServer(
                url: "\(tls ? "https" : "http")://localhost:\(address.port ?? 0)",
                authority: authority.certificatePath,
                directory: directory
            )
            do {
                try await body(live)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }
}

private struct OnePassphrase: SignerPassphrases {
    let defaultAlias = "test_1"
    func passphrase(forAlias alias: String, keysExist: Bool) -> Passphrase { Passphrase("a passphrase") }
}

struct ClosureResponder: HTTPResponder {
    let answer: @Sendable (HTTPRequest) async throws -> HTTPResponse
    func respond(to request: HTTPRequest) async throws -> HTTPResponse { try await self.answer(request) }
}

@Suite("Over HTTPS")
struct LiveServerTests {
    @Test("a real server and signer: initialise, publish, read, rotate, delete")
    func life() async throws {
        try await LiveServer.with { directory in
            let database = try await SQLiteDatabase(path: "\(directory)/trust.db")
            var configuration = LocalSigner.Configuration()
            configuration.iterations = 1000
            let signer = try await LocalSigner(
                database: try await SQLiteDatabase(path: "\(directory)/signer.db"),
                passphrases: OnePassphrase(),
                configuration: configuration
            )
            return try await TrustServer(
                configuration: TrustServerConfiguration(),
                database: database,
                signer: signer,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ).responder
        } _: { live in
            try await NotaryTransport.with(try live.notary) { transport in
                try await transport.ping()
                let gun = try GUN("example.com/live/app")
                func client(_ name: String) -> CollectionClient {
                    CollectionClient(
                        gun: gun,
                        transport: transport,
                        cache: MetadataCache(directory: "\(live.directory)/\(name)")
                    )
                }
                let keys = MemoryKeys()
                let publisher = CollectionPublisher(client("publisher"), keys: keys)
                #expect(await refusal { _ = try await client("x").update() }?.code == .noTrustData)
                _ = try await publisher.initialize(serverManagesSnapshot: true)
                #expect(try await publisher.publish([.add("v1", .content("one"))]).isFirst)
                let jane = try await keys.make(RoleName("jane"))
                _ = try await publisher.publish([
                    .addKeys([jane.publicKey], to: .releases), .addPaths([""], to: .releases),
                    .add("v2", .content("two"), to: .releases),
                ])
                var view = try await client("reader").update()
                #expect(try await view.lookupReleased("v2").role == .releases)
                #expect(try await view.lookupReleased("v1").role == .targets)

                for role in [RoleName.timestamp, .snapshot] { try await publisher.rotateKey(of: role, to: .server) }
                for role in [RoleName.snapshot, .targets, .root] {
                    try await publisher.rotateKey(of: role, to: .local([]))
                }
                try await publisher.rotateKey(of: .root, to: .local([]))
                #expect(try await client("reader").update().trusted.root?.payload.version == 7)
                #expect(try await client("fresh").update().trusted.root?.payload.version == 7)

                // Two publishers with the same keys, at once.
                let other = CollectionPublisher(client("other"), keys: keys)
                async let first = publisher.publish([.add("a", .content("a"))])
                async let second = other.publish([.add("b", .content("b"))])
                _ = try await (first, second)
                var both = try await client("reader").update()
                #expect(try await both.list([.targets]).map(\.name) == ["a", "b", "v1", "v2"])

                try await publisher.client.deleteRemote()
                #expect(await refusal { _ = try await client("y").update() }?.code == .noTrustData)
            }
        }
    }

    @Test("a certificate of an unknown authority is refused, unless verification is skipped on purpose")
    func authority() async throws {
        try await LiveServer.with { _ in
            ClosureResponder { _ in HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "{}"))) }
        } _: { live in
            try await NotaryTransport.with(try live.notary) { try await $0.ping() }
            let stranger = try NotaryServer(url: live.url)
            let error = await refusal { try await NotaryTransport.with(stranger) { try await $0.ping() } }
            #expect(error?.code == .unreachable)
            var skipping = stranger
            skipping.verification = .skipped
            try await NotaryTransport.with(skipping) { try await $0.ping() }
        }
    }

    @Test("data without end is cut off at the limit, whether its length is announced or not", arguments: [true, false])
    func endless(announced: Bool) async throws {
        let sent = Mutex(0)
        try await LiveServer.with { _ in
            ClosureResponder { _ in
                let chunk = ByteBuffer(repeating: 0x20, count: 65536)
                return HTTPResponse(
                    status: .ok,
                    body: .stream(length: announced ? 1 << 40 : nil) { writer in
                        while true {
                            try await writer.write(chunk)
                            sent.withLock { $0 += chunk.readableBytes }
                        }
                    }
                )
            }
        } _: { live in
            let gun = try GUN("a/b")
            let error = await refusal {
                try await NotaryTransport.with(try live.notary) { transport in
                    _ = try await transport.fetch(.timestamp, .current, of: gun, limit: 1 << 20)
                }
            }
            #expect(error?.code == .rollback)
            #expect(error?.refusal?.code == .tooLarge)
            #expect(sent.withLock { $0 } < 64 << 20)
        }
    }

    @Test("a body that trickles is given up below the floor")
    func trickle() async throws {
        let uptime = Mutex(NIODeadline.uptimeNanoseconds(0))
        try await LiveServer.with { _ in
            ClosureResponder { _ in
                HTTPResponse(
                    status: .ok,
                    body: .stream(length: nil) { writer in
                        while true { try await writer.write(ByteBuffer(string: "{")) }
                    }
                )
            }
        } _: { live in
            let gun = try GUN("a/b")
            let transport = try NotaryTransport(
                try live.notary,
                uptime: {
                    // Each look at the clock is a minute later.
                    uptime.withLock { now in
                        now = now + .minutes(1)
                        return now
                    }
                }
            )
            let error = await refusal { _ = try await transport.fetch(.root, .current, of: gun, limit: 16 << 20) }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("too slow") == true)
            try await transport.shutdown()
        }
    }

    @Test(
        "only exactly 200 is success, and each refusal has its code",
        arguments: [
            (201, "", TrustClientError.Code.unreachable), (204, "", .unreachable), (301, "", .unreachable),
            (401, "", .unauthorised), (403, "", .unauthorised), (404, "", .noTrustData), (500, "", .unreachable),
            (429, "", .unreachable), (400, "", .rejected),
            (400, #"{"errors":[{"code":"VERSION","message":"x","detail":{}}]}"#, .conflict),
        ]
    )
    func statuses(status: Int, body: String, code: TrustClientError.Code) async throws {
        try await LiveServer.with(tls: false) { _ in
            ClosureResponder { _ in
                HTTPResponse(
                    status: HTTPResponseStatus(statusCode: status),
                    headers: ["Location": "/elsewhere"],
                    body: status == 204 ? .empty : .bytes(ByteBuffer(string: body))
                )
            }
        } _: { live in
            let gun = try GUN("a/b")
            try await NotaryTransport.with(try NotaryServer(url: live.url + "/")) { transport in
                let error = await refusal { try await transport.upload([], to: gun) }
                #expect(error?.code == code)
            }
        }
    }

    @Test(
        "a challenge is answered with a token that the named service gives for the credentials, once for many requests"
    )
    func tokens() async throws {
        let seen = Mutex<[String]>([])
        let port = Mutex("")
        try await LiveServer.with(tls: false) { _ in
            ClosureResponder { request in
                let authorization = request.headers.first(name: "Authorization") ?? "none"
                seen.withLock { $0.append("\(request.path)?\(request.query ?? "") \(authorization)") }
                if request.path == "/token" {
                    return HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "{\"token\":\"t1\"}")))
                }
                guard authorization == "Bearer t1" else {
                    let realm = port.withLock { $0 } + "/token"
                    let scope = "repository:a/b:pull"
                    return HTTPResponse(
                        status: .unauthorized,
                        headers: [
                            "WWW-Authenticate":
                                "Bearer realm=\"\(realm)\",service=\"notary, too\",scope=\"\(scope)\""
                        ]
                    )
                }
                return HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "body")))
            }
        } _: { live in
            port.withLock { $0 = live.url }
            let gun = try GUN("a/b")
            try await NotaryTransport.with(
                try NotaryServer(url: live.url),
                credentials: FixedCredential(.password(username: "jane", password: "secret"))
            ) { transport in
                for _ in 0..<2 {
                    let bytes = try await transport.fetch(.root, .current, of: gun, limit: 100)
                    #expect(bytes == Array("body".utf8))
                }
            }
            let root = "/v2/a/b/_trust/tuf/root.json?"
            let basic = "Basic " + Base64.encode(Array("jane:secret".utf8))
            #expect(
                seen.withLock { $0 } == [
                    "\(root) none",
                    "/token?service=notary%2C%20too&scope=repository%3Aa%2Fb%3Apull&account=jane \(basic)",
                    "\(root) Bearer t1", "\(root) Bearer t1",
                ]
            )
        }
    }

    @Test("credentials are not sent in clear to wherever a server points")
    func clearRealm() async throws {
        try await LiveServer.with(tls: false) { _ in
            ClosureResponder { _ in
                HTTPResponse(
                    status: .unauthorized,
                    headers: ["WWW-Authenticate": "Bearer realm=\"http://127.0.0.1.example.com/token\""]
                )
            }
        } _: { live in
            let gun = try GUN("a/b")
            try await NotaryTransport.with(
                try NotaryServer(url: live.url),
                credentials: FixedCredential(.identityToken("secret"))
            ) { transport in
                let error = await refusal { _ = try await transport.fetch(.root, .current, of: gun, limit: 100) }
                #expect(error?.code == .unauthorised)
                #expect(error?.message.contains("without TLS") == true)
            }
        }
    }

    @Test("nobody listening is unreachable")
    func refused() async throws {
        let gun = try GUN("a/b")
        try await NotaryTransport.with(try NotaryServer(url: "https://127.0.0.1:1")) { transport in
            let error = await refusal { _ = try await transport.fetch(.root, .current, of: gun, limit: 100) }
            #expect(error?.code == .unreachable)
        }
    }

    @Test("NOTARY_AUTH is base64 of user:password, and never shown")
    func notaryAuth() throws {
        let text = Base64.encode(Array("jane:a:b".utf8))
        #expect(try Credential(notaryAuth: " \(text)\n") == .password(username: "jane", password: "a:b"))
        #expect(throws: TrustClientError(.invalid, "")) { _ = try Credential(notaryAuth: "jane:secret") }
        #expect(!"\(Credential.password(username: "jane", password: "secret"))".contains("secret"))
    }

    @Test("server URLs", arguments: ["notary", "ftp://a", "https://", "https://u:p@a", "https://a?x", ""])
    func urls(text: String) {
        #expect(throws: TrustClientError(.invalid, "")) { _ = try NotaryServer(url: text) }
    }
}
