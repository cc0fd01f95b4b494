// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import Testing
import TokenAuthentication

@testable import TokenService

@Suite("The token service")
struct TokenServiceTests {
    /// A service with users alice (in the group developers) and bob, whose passwords are `<name>'s password`.
    final class Fixture: Sendable {
        static let rules = """
            groups: {developers: [alice]}
            rules:
              - {groups: [developers], repositories: ["team/**"], actions: [pull, push]}
              - {users: [bob], repositories: ["team/**", "other.example.com/tools/*"], actions: [pull]}
              - {users: [bob], repositories: ["bob/**"], actions: ["*"]}
              - {users: [bob], actions: [catalog]}
              - {anyone: true, repositories: ["public/*"], actions: [pull]}
            """

        let directory: TemporaryDirectory
        let clock = TestClock()
        let service: TokenService
        let responder: any HTTPResponder

        var users: String { self.directory.path + "/users" }
        var rules: String { self.directory.path + "/rules.yaml" }

        init(rules: String? = Fixture.rules) async throws {
            self.directory = try TemporaryDirectory()
            for name in ["alice", "bob"] {
                try UsersFileEditor(path: self.directory.path + "/users")
                    .add(name, BcryptHash.make("\(name)'s password", cost: 4))
            }
            try rules?.write(toFile: self.directory.path + "/rules.yaml", atomically: true, encoding: .utf8)
            var configuration = TokenServiceConfiguration(
                usersPath: self.directory.path + "/users",
                directory: self.directory.path + "/token",
                registryServices: ["registry.test"],
                trustServices: ["trust.test"]
            )
            if rules != nil { configuration.rulesPath = self.directory.path + "/rules.yaml" }
            let clock = self.clock
            self.service = try await TokenService.open(
                configuration,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                now: { clock.date },
                clock: { clock.elapsed }
            )
            self.service.setRegistryHosts(["127.0.0.1:5000", "Registry.example.com"])
            self.responder = self.service.responder(before: nil)
        }

        func get(
            _ query: String,
            _ user: String? = nil,
            password: String? = nil,
            address: String = "192.0.2.1"
        ) async throws -> Answer {
            var headers: HTTPHeaders = [:]
            if let user {
                let pair = Data("\(user):\(password ?? "\(user)'s password")".utf8).base64EncodedString()
                headers.add(name: "Authorization", value: "Basic \(pair)")
            }
            return try await self.ask(.GET, query, headers, address: address)
        }

        func post(_ form: String) async throws -> Answer {
            try await self.ask(.POST, nil, [:], form)
        }

        func ask(
            _ method: HTTPMethod,
            _ query: String?,
            _ headers: HTTPHeaders,
            _ form: String = "",
            address: String = "192.0.2.1"
        ) async throws -> Answer {
            let response = try await self.responder.respond(
                to: HTTPRequest(
                    method: method,
                    path: "/auth/token",
                    query: query,
                    headers: headers,
                    body: HTTPRequestBody(ByteBuffer(string: form)),
                    remoteAddress: try SocketAddress(ipAddress: address, port: 1),
                    isSecure: true
                )
            )
            guard case .bytes(let bytes) = response.body else { return Answer(response: response, json: [:]) }
            let json = try JSONSerialization.jsonObject(with: Data(bytes.readableBytesView)) as? [String: Any] ?? [:]
            return Answer(response: response, json: json)
        }

        /// The claims of a token that this service has signed.
        func claims(_ answer: Answer) throws -> JSONWebToken.Claims {
            try JSONWebToken.Unverified(try answer.token).claims(signedBy: self.service.keys.signer.verificationKey)
        }
    }

    struct Answer {
        let response: HTTPResponse
        let json: [String: Any]

        var status: Int { Int(self.response.status.code) }
        var token: String { get throws { try #require(self.json["token"] as? String) } }
        var scope: String? { self.json["scope"] as? String }
        var refreshToken: String? { self.json["refresh_token"] as? String }
        var message: String? {
            (self.json["errors"] as? [[String: Any]])?.first?["message"] as? String
        }
    }

    @Test("a token says who may do what, where, until when")
    func claims() async throws {
        let fixture = try await Fixture()
        let answer = try await fixture.get(
            "service=registry.test&scope=repository:team/app:pull,push&account=alice",
            "alice"
        )
        #expect(answer.status == 200)
        #expect(answer.json["access_token"] as? String == answer.json["token"] as? String)
        #expect(answer.json["expires_in"] as? Int == 300)
        #expect(answer.json["issued_at"] as? String == "2027-01-15T08:16:40Z")
        #expect(answer.scope == "repository:team/app:pull,push")
        #expect(answer.refreshToken == nil)
        #expect(answer.response.headers.first(name: "cache-control") == "no-store")
        let claims = try fixture.claims(answer)
        #expect(claims.issuer == "hallmark")
        #expect(claims.subject == "alice")
        #expect(claims.audience == ["registry.test"])
        #expect(claims.issuedAt == fixture.clock.seconds)
        #expect(claims.notBefore == fixture.clock.seconds)
        #expect(claims.expires == fixture.clock.seconds + 300)
        #expect(claims.access == [.repository("team/app", "pull", "push")])
        let another = try fixture.claims(try await fixture.get("service=registry.test", "alice"))
        #expect(another.id != claims.id && !another.id.isEmpty)
        #expect(another.access == [])
    }

    @Test(
        "what is granted is what is both asked for and allowed; to ask for more is no error",
        arguments: [
            ("bob", "repository:team/app:pull,push", "repository:team/app:pull"),
            ("bob", "repository:team/app:push", ""),
            ("bob", "repository:team/app:*", "repository:team/app:pull"),
            ("bob", "repository:bob/app:*", "repository:bob/app:*"),
            ("bob", "repository:bob/app:pull,delete", "repository:bob/app:pull,delete"),
            ("bob", "registry:catalog:*", "registry:catalog:*"),
            ("alice", "registry:catalog:*", ""),
            ("alice", "repository(plugin):team/app:pull", "repository(plugin):team/app:pull"),
            ("alice", "repository:team/a:pull%20repository:bob/b:pull", "repository:team/a:pull"),
            (
                "alice", "repository:team/a:pull&scope=repository:team/b:push",
                "repository:team/a:pull repository:team/b:push"
            ),
            ("alice", "tree:team/a:pull", ""),
            ("alice", "repository:public/app:pull,push", "repository:public/app:pull"),
        ]
    )
    func intersection(user: String, asked: String, granted: String) async throws {
        let fixture = try await Fixture()
        let answer = try await fixture.get("service=registry.test&scope=\(asked)", user)
        #expect(answer.status == 200)
        #expect(answer.scope == granted)
        #expect(AccessEntry.scope(of: try fixture.claims(answer).access) == granted)
    }

    @Test(
        "a collection has the rules of its image where the registry is ours, and its own where it is not",
        arguments: [
            ("127.0.0.1:5000/team/app", "pull"), ("registry.example.com/team/app", "pull"), ("team/app", "pull"),
            ("REGISTRY.example.com/team/app", "pull"), ("registry.example.com:5001/team/app", ""),
            ("other.example.com/tools/one", "pull"), ("other.example.com/team/app", ""), ("localhost/team/app", ""),
            ("127.0.0.1:5000", ""), ("127.0.0.1:5000/127.0.0.1:5000/team/app", ""),
        ]
    )
    func collections(name: String, granted: String) async throws {
        let fixture = try await Fixture()
        let answer = try await fixture.get("service=trust.test&scope=repository:\(name):pull,push", "bob")
        #expect(answer.scope == (granted.isEmpty ? "" : "repository:\(name):\(granted)"))
        #expect(try fixture.claims(answer).audience == ["trust.test"])
    }

    @Test("a registry's repository keeps its name, though it looks like a host")
    func repositoryLikeAHost() async throws {
        let fixture = try await Fixture()
        let answer = try await fixture.get(
            "service=registry.test&scope=repository:registry.example.com/team/app:pull",
            "bob"
        )
        #expect(answer.scope == "")
    }

    @Test("who is not logged in gets what rules give to everybody, and a token for nothing where they give nothing")
    func anonymous() async throws {
        let fixture = try await Fixture()
        let open = try await fixture.get("service=registry.test&scope=repository:public/app:pull,push")
        #expect(open.scope == "repository:public/app:pull")
        #expect(try fixture.claims(open).subject == "")
        let closed = try await fixture.get("service=registry.test&scope=repository:team/app:pull")
        #expect(closed.status == 200)
        #expect(try fixture.claims(closed).access.isEmpty)
        #expect(try await fixture.get("service=registry.test&offline_token=true").refreshToken == nil)
    }

    @Test("without a file of rules users may do everything, and others nothing")
    func noRules() async throws {
        let fixture = try await Fixture(rules: nil)
        let answer = try await fixture.get("service=trust.test&scope=repository:any.example.com/thing:*", "bob")
        #expect(answer.scope == "repository:any.example.com/thing:*")
        #expect(
            try await fixture.get("service=registry.test&scope=registry:catalog:*", "bob").scope == "registry:catalog:*"
        )
        #expect(
            try fixture.claims(try await fixture.get("service=registry.test&scope=repository:any:pull")).access.isEmpty
        )
        let unasked = try await fixture.get("service=registry.test")
        #expect(unasked.status == 401)
        #expect(unasked.response.headers.first(name: "www-authenticate")?.hasPrefix("Basic realm=") == true)
        #expect(unasked.message == "this needs a login")
    }

    @Test("wrong passwords and unknown users get the same answer")
    func wrongCredentials() async throws {
        let fixture = try await Fixture()
        let wrong = try await fixture.get("service=registry.test", "alice", password: "bob's password")
        let unknown = try await fixture.get("service=registry.test", "mallory")
        #expect(wrong.status == 401 && unknown.status == 401)
        #expect(wrong.message == "incorrect user name or password" && unknown.message == wrong.message)
        #expect(wrong.json["error"] as? String == "invalid_grant")
        #expect(
            wrong.response.headers.first(name: "www-authenticate")
                == unknown.response.headers.first(name: "www-authenticate")
        )
    }

    @Test("who guesses must wait, others need not, and who is logged in goes on")
    func limits() async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.get("service=registry.test", "alice").status == 200)
        for number in 0..<5 {
            #expect(try await fixture.get("service=registry.test", "alice", password: "guess\(number)").status == 401)
        }
        let limited = try await fixture.get("service=registry.test", "alice", password: "guess5")
        #expect(limited.status == 429)
        #expect(limited.response.headers.first(name: "retry-after") == "1")
        #expect(limited.message == "too many failed logins: try again in 1 seconds")
        // The same wrong password again is no further guess.
        #expect(try await fixture.get("service=registry.test", "alice", password: "guess4").status == 401)
        #expect(try await fixture.get("service=registry.test", "bob").status == 200)
        #expect(try await fixture.get("service=registry.test", "alice").status == 200)
        #expect(
            try await fixture.get("service=registry.test", "alice", password: "guess6", address: "192.0.2.2").status
                == 401
        )
    }

    @Test("a refresh token stands for the password, for every service, until the password changes")
    func refreshTokens() async throws {
        let fixture = try await Fixture()
        let login = try await fixture.get("service=registry.test&offline_token=true&client_id=docker", "alice")
        let refresh = try #require(login.refreshToken)
        let form =
            "grant_type=refresh_token&service=trust.test&client_id=docker&refresh_token=\(refresh)"
            + "&scope=repository%3A127.0.0.1%3A5000%2Fteam%2Fapp%3Apush%2Cpull"
        let answer = try await fixture.post(form)
        #expect(answer.scope == "repository:127.0.0.1:5000/team/app:push,pull")
        #expect(try fixture.claims(answer).subject == "alice")
        #expect(answer.refreshToken == nil)
        #expect(try await fixture.post(form + "&access_type=offline").refreshToken != nil)
        fixture.clock.advance(.seconds(89 * 86_400))
        #expect(try await fixture.post(form).status == 200)
        try UsersFileEditor(path: fixture.users).replace("alice", BcryptHash.make("alice's password", cost: 4))
        await fixture.service.refresh()
        let ended = try await fixture.post(form)
        #expect(ended.status == 401)
        #expect(ended.message == "this login has ended: log in again")
    }

    @Test("the OAuth form takes a password")
    func passwordForm() async throws {
        let fixture = try await Fixture()
        let form =
            "grant_type=password&service=registry.test&client_id=x&username=alice&password=alice%27s+password"
            + "&scope=repository:team/app:pull&access_type=offline"
        let answer = try await fixture.post(form)
        #expect(answer.scope == "repository:team/app:pull")
        #expect(answer.refreshToken != nil)
        #expect(try await fixture.post(form.replacing("alice%27s", with: "x")).status == 401)
    }

    @Test(
        "requests that cannot be understood are refused with a reason",
        arguments: [
            ("service=elsewhere", "tokens for \"elsewhere\" are not made here, only for registry.test and trust.test"),
            ("service=registry.test&scope=nonsense", "the scope cannot be read"),
            ("service=%zz", "not percent-encoded"),
        ]
    )
    func malformed(query: String, message: String) async throws {
        let fixture = try await Fixture()
        let answer = try await fixture.get(query, "alice")
        #expect(answer.status == 400)
        #expect(answer.message?.contains(message) == true)
    }

    @Test(
        "forms that cannot be understood are refused",
        arguments: [
            "", "grant_type=refresh_token", "grant_type=password&username=alice", "grant_type=client_credentials",
            String(repeating: "x", count: 70_000),
        ]
    )
    func malformedForms(form: String) async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.post(form).status == 400)
    }

    @Test(
        "credentials that are none are no login",
        arguments: [
            ("Basic", 400), ("Basic !!!", 400), ("Basic YWxpY2U=", 400), ("Bearer abc", 400), ("Basic Og==", 200),
        ]
    )
    func malformedCredentials(field: String, status: Int) async throws {
        let fixture = try await Fixture()
        let answer = try await fixture.ask(.GET, "service=registry.test", ["Authorization": field])
        #expect(answer.status == status)
        if status == 200 { #expect(try fixture.claims(answer).subject == "") }
    }

    @Test("other methods are not allowed, and other paths are not ours")
    func otherRequests() async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.ask(.DELETE, nil, [:]).status == 405)
        let other = try await fixture.responder.respond(to: HTTPRequest(method: .GET, path: "/auth/token/"))
        #expect(other.status == .notFound)
        let behind = fixture.service.responder(before: Greeter())
        #expect(try await behind.respond(to: HTTPRequest(method: .GET, path: "/v2/")).status == .imATeapot)
        #expect(behind.immediateResponse(to: HTTPRequest(method: .GET, path: "/v2/"))?.status == .imATeapot)
        #expect(behind.immediateResponse(to: HTTPRequest(method: .GET, path: "/auth/token")) == nil)
    }

    struct Greeter: HTTPResponder {
        func immediateResponse(to request: HTTPRequest) -> HTTPResponse? { HTTPResponse(status: .imATeapot) }
        func respond(to request: HTTPRequest) async throws -> HTTPResponse { HTTPResponse(status: .imATeapot) }
    }

    @Test("users and rules are taken up while it runs; a wrong file leaves the old ones in force")
    func reload() async throws {
        let fixture = try await Fixture()
        let query = "service=registry.test&scope=repository:team/app:pull,push"
        #expect(try await fixture.get(query, "alice").scope == "repository:team/app:pull,push")
        try Fixture.rules.replacing("[pull, push]", with: "[pull]")
            .write(toFile: fixture.rules, atomically: true, encoding: .utf8)
        await fixture.service.refresh()
        #expect(try await fixture.get(query, "alice").scope == "repository:team/app:pull")
        try "rules: nonsense".write(toFile: fixture.rules, atomically: true, encoding: .utf8)
        await fixture.service.refresh()
        #expect(try await fixture.get(query, "alice").scope == "repository:team/app:pull")
        try FileManager.default.removeItem(atPath: fixture.rules)
        await fixture.service.refresh()
        #expect(try await fixture.get(query, "alice").scope == "repository:team/app:pull")

        try UsersFileEditor(path: fixture.users).remove("alice")
        await fixture.service.refresh()
        #expect(try await fixture.get(query, "alice").status == 401)
        try UsersFileEditor(path: fixture.users).add("carol", BcryptHash.make("carol's password", cost: 4))
        await fixture.service.refresh()
        #expect(try await fixture.get("service=registry.test", "carol").status == 200)
        try FileManager.default.removeItem(atPath: fixture.users)
        await fixture.service.refresh()
        #expect(try await fixture.get("service=registry.test", "carol").status == 200)
    }

    @Test("a wrong file at the start is an error")
    func wrongStart() async throws {
        await #expect(throws: RulesError.self) { _ = try await Fixture(rules: "rules: nonsense") }
    }
}
