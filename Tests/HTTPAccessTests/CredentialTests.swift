// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import HTTPAccess

private let challengeCases: [(String, [AuthenticationChallenge])] = [
    (#"Basic realm="a, b""#, [.basic]),
    (
        #"Bearer realm="https://a/t",service="s, \"x\"",scope="repository:a/b:pull,push repository:c:pull""#,
        [.bearer(realm: "https://a/t", service: #"s, "x""#, scopes: ["repository:a/b:pull,push", "repository:c:pull"])]
    ),
    (
        #"Negotiate, basic realm=x, bearer REALM = "https://a""#,
        [.basic, .bearer(realm: "https://a", service: nil, scopes: [])]
    ),
    (#"Bearer service="no realm""#, []), ("", []),
    (#"Bearer realm="cut"#, [.bearer(realm: "cut", service: nil, scopes: [])]),
    (",,,=\"", []),
]

private let loopbackCases: [(String, Bool)] = [
    ("localhost", true), ("LOCALHOST:5000", true), ("127.0.0.1", true), ("127.9.8.7:80", true), ("[::1]:5000", true),
    ("localhost.evil.example", false), ("127.0.0.1.evil.example", false), ("127.0.0.1a", false), ("127.1", false),
    ("128.0.0.1", false), ("127.0.0.256", false), ("[::2]", false), ("notlocalhost", false), ("127.0.0.1.", false),
]

struct CredentialTests {
    @Test(
        "Credentials leave this machine in plain only for a server that is elsewhere and spoken to in plain",
        arguments: [
            ("http://192.0.2.1/token", .withoutCredentials, false),
            ("http://localhost.evil/t", .withoutCredentials, false),
            ("http://127.0.0.1:5001/token", .withoutCredentials, true),
            ("https://192.0.2.1/t", .withoutCredentials, true),
            ("http://127.0.0.1:5001/token", .refused, false), ("http://auth.example/token", .allowed, true),
        ] as [(String, Authenticator.PlainRealm, Bool)]
    )
    func plainRealm(_ realm: String, _ plainRealm: Authenticator.PlainRealm, _ isAsked: Bool) async throws {
        let asked = Mutex(false)
        let authenticator = Authenticator(
            server: "server",
            host: "server",
            source: FixedCredential(.password(username: "u", password: "p")),
            scopes: .ofRequest,
            now: { .zero }
        )
        let answer = try? await authenticator.authorization(
            after: ["Bearer realm=\"\(realm)\""],
            rejected: nil,
            scopes: [],
            plainRealm: plainRealm
        ) { _ in
            asked.withLock { $0 = true }
            return TokenReply(status: .ok, body: ByteBuffer(string: #"{"token":"t"}"#))
        }
        #expect(asked.withLock { $0 } == isAsked)
        #expect(answer == (isAsked ? "Bearer t" : nil))
    }

    @Test(
        "Challenges are taken apart as HTTP defines them",
        arguments: challengeCases
    )
    func challenges(field: String, expected: [AuthenticationChallenge]) {
        #expect(AuthenticationChallenge.parse(field) == expected)
        #expect(AuthenticationChallenge.preferred([field]) == (expected.first { $0 != .basic } ?? expected.first))
    }

    @Test(
        "Loopback is told by name and address, not by what a name begins with",
        arguments: loopbackCases
    )
    func loopback(authority: String, isLoopback: Bool) {
        #expect(HTTPURL.Origin(scheme: .https, authority: authority)?.isLoopback == isLoopback)
    }

    private func withConfiguration(_ json: String, _ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/hallmark-docker-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Data(json.utf8).write(to: URL(fileURLWithPath: directory + "/config.json"))
        try await body(directory + "/config.json")
    }

    @Test("Docker's configuration gives the credential of the exact registry")
    func dockerConfiguration() async throws {
        let json = """
            {"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnB3Ong="},"https://r.example/v2/":{"identitytoken":"t"},
            "plain:5000":{"username":"u","password":"p"},"broken":{"auth":"!"}}}
            """
        try await self.withConfiguration(json) { path in
            let source = DockerConfigCredentials(path: path)
            let found1 = try await source.credential(for: "docker.io")
            #expect(found1 == .password(username: "hub", password: "pw:x"))
            let found2 = try await source.credential(for: "r.example")
            #expect(found2 == .identityToken("t"))
            let found3 = try await source.credential(for: "plain:5000")
            #expect(found3 == .password(username: "u", password: "p"))
            for other in ["plain", "r.example.evil", "example", "plain:50000"] {
                let found4 = try await source.credential(for: other)
                #expect(found4 == nil)
            }
            await #expect(throws: HTTPAccessError.self) { try await source.credential(for: "broken") }
        }
        #expect(try await DockerConfigCredentials(path: "/nonexistent/config.json").credential(for: "a") == nil)
        try await self.withConfiguration("{") { path in
            await #expect(throws: HTTPAccessError.self) {
                try await DockerConfigCredentials(path: path).credential(for: "a")
            }
        }
    }

    @Test("A helper that is missing, or whose name is a path, is an error and not anonymous access")
    func helpers() async throws {
        for name in ["hallmark-test-missing", "../evil", "a/b", "x y", "$(id)"] {
            try await self.withConfiguration(#"{"credHelpers":{"r.example":"\#(name)"}}"#) { path in
                let source = DockerConfigCredentials(path: path)
                do {
                    _ = try await source.credential(for: "r.example")
                    Issue.record("helper \(name) cannot have answered")
                } catch let error as HTTPAccessError {
                    #expect(error.code == .credentials)
                }
                let found5 = try await source.credential(for: "other.example")
                #expect(found5 == nil)
            }
        }
    }
}
