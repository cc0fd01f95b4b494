// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import Testing

@testable import TokenAuthentication

struct AuthorizerTests {
    private let signer: TokenSigner
    private let metrics = Metrics()

    init() throws {
        self.signer = try TokenSigner.generated()
    }

    private func authorizer(
        _ change: (inout AuthenticationConfiguration) -> Void = { _ in }
    ) throws -> Authorizer {
        var configuration = AuthenticationConfiguration.test
        change(&configuration)
        var keys = TrustedTokenKeys()
        try keys.trust(self.signer.verificationKey)
        let verifier = try TokenVerifier(configuration, keys: keys, logger: .silent, now: { TestTime.date })
        return Authorizer(verifier, metrics: self.metrics, logger: .silent)
    }

    private func request(_ authorization: String..., host: String? = "registry.example:5000") -> HTTPRequest {
        var headers: HTTPHeaders = [:]
        if let host { headers.add(name: "Host", value: host) }
        for value in authorization { headers.add(name: "authorization", value: value) }
        return HTTPRequest(method: .GET, path: "/v2/", headers: headers)
    }

    private func refusal(
        _ request: HTTPRequest,
        _ requirement: AccessRequirement = .entry(.repository("a", "pull", "push")),
        by authorizer: Authorizer? = nil
    ) async throws -> AuthorizationRefusal? {
        let authorizer = try authorizer ?? self.authorizer()
        do {
            _ = try await authorizer.caller(request, for: requirement)
            return nil
        } catch {
            return error
        }
    }

    private static let challenge = #"Bearer realm="https://auth.example/token",service="test service""#

    @Test("Who has no token is told where to get one, for what")
    func noToken() async throws {
        let refusal = try #require(try await self.refusal(self.request()))
        #expect(refusal.challenge == Self.challenge + #",scope="repository:a:pull,push""#)
        #expect(refusal.reason == .noToken)
        #expect(refusal.headers.first(name: "WWW-Authenticate") == refusal.challenge)
        let mount = AccessRequirement.entries([.repository("a", "pull", "push")], useful: [.repository("b", "pull")])
        #expect(
            try await self.refusal(self.request(), mount)?.challenge
                == Self.challenge + #",scope="repository:a:pull,push repository:b:pull""#
        )
        #expect(try await self.refusal(self.request(), .token)?.challenge == Self.challenge)
        #expect(
            try await self.refusal(self.request(), .entry(.repository("a\"b\\c\u{1}", "pull")))?.challenge
                == Self.challenge + #",scope="repository:a\"b\\c :pull""#
        )
    }

    @Test("Other schemes are as good as no token", arguments: ["Basic YTpi", "", "Bearer2 x", "Token"])
    func otherSchemes(_ field: String) async throws {
        #expect(try await self.refusal(self.request(field))?.reason == .noToken)
    }

    @Test("A token that does not count is said not to", arguments: ["Bearer x", "Bearer", "Bearer   ", "bearer a.b.c"])
    func badToken(_ field: String) async throws {
        let refusal = try #require(try await self.refusal(self.request(field)))
        #expect(refusal.reason == .invalid(.malformed))
        #expect(
            refusal.challenge == Self.challenge + #",scope="repository:a:pull,push",error="invalid_token""#
        )
    }

    @Test("Two tokens are none")
    func twoTokens() async throws {
        let token = try self.signer.token(.test(access: [.repository("a", "*")]))
        #expect(try await self.refusal(self.request("Bearer \(token)")) == nil)
        #expect(
            try await self.refusal(self.request("Bearer \(token)", "Bearer \(token)"))?.reason == .invalid(.malformed)
        )
    }

    @Test("A token that grants less than is needed is said to, and what it grants is no more")
    func insufficient() async throws {
        let token = try self.signer.token(.test(access: [.repository("a", "pull"), .repository("b", "*")]))
        let request = self.request("Bearer \(token)")
        let refusal = try #require(try await self.refusal(request))
        #expect(refusal.reason == .insufficientScope)
        #expect(refusal.subject == "alice")
        #expect(
            refusal.challenge == Self.challenge + #",scope="repository:a:pull,push",error="insufficient_scope""#
        )
        let authorizer = try self.authorizer()
        let caller = try await authorizer.caller(request, for: .entry(.repository("a", "pull")))
        #expect(caller.subject == "alice")
        #expect(caller.may(.repository("b", "push")))
        #expect(!caller.may(.repository("a", "push")))
        #expect(!caller.may(.catalog))
    }

    @Test("From memory, only what a known token grants is answered")
    func inMemory() async throws {
        let authorizer = try self.authorizer()
        let token = try self.signer.token(.test(access: [.repository("a", "pull")]))
        let request = self.request("Bearer \(token)")
        let pull = AccessRequirement.entry(.repository("a", "pull"))
        #expect(authorizer.callerInMemory(request, for: pull) == nil)
        _ = try await authorizer.caller(request, for: pull)
        #expect(authorizer.callerInMemory(request, for: pull)?.subject == "alice")
        #expect(authorizer.callerInMemory(request, for: .token)?.subject == "alice")
        #expect(authorizer.callerInMemory(request, for: .entry(.repository("b", "pull"))) == nil)
        #expect(authorizer.callerInMemory(request, for: .entry(.repository("a", "push"))) == nil)
        #expect(authorizer.callerInMemory(self.request(), for: pull) == nil)
        #expect(authorizer.callerInMemory(self.request(), for: .token) == nil)
        #expect(authorizer.callerInMemory(self.request(), for: .none) != nil)
    }

    @Test("Nothing that a client sends begins a line of the log")
    func logLines() async throws {
        let token = try self.signer.token(.test(subject: "eve\ninfo: user=alice \u{2028}\u{202E}"))
        let caller = try await self.authorizer().caller(self.request("Bearer \(token)"), for: .token)
        #expect(caller.logMetadata["user"] == "eve?info: user=alice ??")
        let refusal = try #require(try await self.refusal(self.request("Bearer \(token)")))
        #expect(refusal.logMetadata == ["refused": "insufficient_scope", "user": "eve?info: user=alice ??"])
        let nobody = try self.signer.token(.test(subject: ""))
        #expect(try await self.authorizer().caller(self.request("Bearer \(nobody)"), for: .token).logMetadata.isEmpty)
        let header = Base64URL.encode(#"{"alg":"a\nb"}"#.utf8)
        #expect {
            try JSONWebToken.Unverified("\(header).e30.AA")
        } throws: {
            "\($0)" == "tokens by a?b are not accepted"
        }
    }

    @Test("Clients are sent to the host that they asked, if that is one")
    func redirect() async throws {
        let authorizer = try self.authorizer {
            $0.realm = ""
            $0.redirectsToRequestHost = true
        }
        func realm(_ host: String?) async throws -> Substring? {
            try await self.refusal(self.request(host: host), .token, by: authorizer)?
                .challenge.split(separator: "\"")[1]
        }
        #expect(try await realm("registry.example:5000") == "https://registry.example:5000/auth/token")
        #expect(try await realm("[::1]:5000") == "https://[::1]:5000/auth/token")
        #expect(try await realm("evil/path") == "/auth/token")
        #expect(try await realm(nil) == "/auth/token")
    }

    @Test("Refusals are counted by reason")
    func counted() async throws {
        let authorizer = try self.authorizer()
        _ = try await self.refusal(self.request(), by: authorizer)
        _ = try await self.refusal(self.request("Bearer x"), by: authorizer)
        let expired = try self.signer.token(.test(to: -100))
        _ = try await self.refusal(self.request("Bearer \(expired)"), by: authorizer)
        let text = String(buffer: self.metrics.render())
        for reason in ["no_token", "malformed", "expired"] {
            #expect(
                text.contains(
                    "hallmark_authorization_refusals_total{service=\"test service\",reason=\"\(reason)\"} 1\n"
                )
            )
        }
    }
}
