// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Testing
import TokenAuthentication

@testable import TokenService

@Suite("Tokens of the service at the servers that ask for them")
struct VerifiedTokensTests {
    private typealias Fixture = TokenServiceTests.Fixture

    private func verifier(_ fixture: Fixture, service: String) async throws -> TokenVerifier {
        let clock = fixture.clock
        return try await TokenVerifier.load(
            AuthenticationConfiguration(
                realm: "https://auth.test/auth/token",
                service: service,
                issuer: TokenServiceConfiguration.defaultIssuer,
                certificateBundle: fixture.service.certificatesPath
            ),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: { clock.date }
        )
    }

    @Test("a token is accepted by its service, and by no other")
    func audience() async throws {
        let fixture = try await Fixture()
        let token = try await fixture.get("service=registry.test&scope=repository:team/app:pull", "alice").token
        let claims = try await self.verifier(fixture, service: "registry.test").claims(of: Substring(token))
        #expect(claims.access == [.repository("team/app", "pull")])
        let other = try await self.verifier(fixture, service: "trust.test")
        await #expect(throws: TokenError(.audience, "")) { try await other.claims(of: Substring(token)) }
    }

    @Test("a client whose token expires goes on with another one")
    func expiry() async throws {
        let fixture = try await Fixture()
        let verifier = try await self.verifier(fixture, service: "registry.test")
        let login = try await fixture.get("service=registry.test&offline_token=true", "alice")
        let token = try login.token
        _ = try await verifier.claims(of: Substring(token))
        fixture.clock.advance(.seconds(361))
        await #expect(throws: TokenError(.expired, "")) { try await verifier.claims(of: Substring(token)) }
        let refresh = try #require(login.refreshToken)
        let next = try await fixture.post("grant_type=refresh_token&service=registry.test&refresh_token=\(refresh)")
            .token
        #expect(try await verifier.claims(of: Substring(next)).subject == "alice")
    }

    @Test("a new signing key needs nothing of the servers: neither a look at files nor a restart")
    func rotation() async throws {
        let fixture = try await Fixture()
        let verifier = try await self.verifier(fixture, service: "registry.test")
        let key = fixture.service.keys.signer.verificationKey
        _ = try await verifier.claims(of: Substring(fixture.get("service=registry.test", "alice").token))
        fixture.clock.advance(.seconds(61 * 86_400))
        let old = try await fixture.get("service=registry.test", "alice").token
        await fixture.service.refresh()
        #expect(fixture.service.keys.signer.verificationKey != key)
        let new = try await fixture.get("service=registry.test", "alice").token
        #expect(try await verifier.claims(of: Substring(new)).subject == "alice")
        #expect(try await verifier.claims(of: Substring(old)).subject == "alice")
    }

    @Test("another service's keys make no token that counts")
    func foreign() async throws {
        let (ours, theirs) = (try await Fixture(), try await Fixture())
        let token = try await theirs.get("service=registry.test", "alice").token
        let verifier = try await self.verifier(ours, service: "registry.test")
        await #expect(throws: TokenError(.unknownKey, "")) { try await verifier.claims(of: Substring(token)) }
    }
}
