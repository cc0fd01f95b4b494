// SPDX-License-Identifier: Apache-2.0

import KeyStore
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient

@Suite("Reading a collection")
struct ReadingTests {
    @Test(
        "what one client publishes another reads with an empty directory, and is told whose root it trusts from now on"
    )
    func firstUse() async throws {
        try await Scenario.with { scenario in
            var view = try await scenario.client().update()
            let found = try #require(try await view.lookup("v1"))
            #expect(found.file == .content("one"))
            #expect(found.role == .targets)
            #expect(try #require(view.firstUse).rootKeyIDs == view.keyIDs(of: .root))
            #expect(try #require(view.firstUse).isPinned == false)
            #expect(view.warnings.isEmpty)
            #expect(try #require(view.freshness).isFromServer)
            #expect(try await scenario.client().update().firstUse == nil)
        }
    }

    @Test("the first read fetches each role once, by its hash; a warm one the timestamp alone")
    func requests() async throws {
        try await Scenario.with { scenario in
            scenario.server.clearLog()
            _ = try await scenario.client().update()
            #expect(scenario.server.log == ["root", "timestamp", "snapshot.<hash>", "targets.<hash>"])
            scenario.server.clearLog()
            var view = try await scenario.client().update()
            #expect(try await view.lookup("v1") != nil)
            #expect(scenario.server.log == ["timestamp"])
        }
    }

    @Test("the cache holds exactly the bytes that the server sent")
    func exactBytes() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let kept = scenario.kept()
            for role in RoleName.topLevel {
                #expect(kept["\(role).json"] == scenario.server.current(role))
            }
        }
    }

    @Test("no more bytes are asked for than trusted metadata lists")
    func limits() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let limits = scenario.server.state.withLock { $0.limits }
            #expect(limits[.targets] == scenario.server.current(.targets)?.count)
            #expect(limits[.snapshot] == scenario.server.current(.snapshot)?.count)
            #expect(try #require(limits[.timestamp]) <= 1 << 20)
        }
    }

    @Test("a collection that nobody has is no trust data")
    func unknown() async throws {
        try await Scenario.with(published: false) { scenario in
            let error = await refusal { _ = try await scenario.client().update() }
            #expect(error?.code == .noTrustData)
        }
    }

    @Test("a pinned root key is required on first use")
    func pins() async throws {
        try await Scenario.with { scenario in
            let good = try await scenario.client("a").update().keyIDs(of: .root)
            let view = try await scenario.client("b", anchor: .keyIDs(Set(good))).update()
            #expect(try #require(view.firstUse).isPinned)
            let error = await refusal {
                _ = try await scenario.client("c", anchor: .keyIDs([KeyID("00")])).update()
            }
            #expect(error?.code == .signature)
            #expect(scenario.kept("c").isEmpty)
            #expect(
                await refusal { _ = try await scenario.client("d", anchor: .knownOnly).update() }?.code == .signature
            )
        }
    }

    @Test("a root that is known already, and is not the pinned one, is told of")
    func laterPin() async throws {
        try await Scenario.with { scenario in
            let good = try await scenario.client().update().keyIDs(of: .root)
            #expect(try await scenario.client(anchor: .keyIDs(Set(good))).update().warnings == [])
            let warnings = try await scenario.client(anchor: .keyIDs([KeyID("00")])).update().warnings
            guard case .rootNotPinned(good, _) = warnings.first else {
                Issue.record("no warning: \(warnings)")
                return
            }
        }
    }

    @Test("without the server the cached timestamp goes on counting, with a warning, until it expires")
    func offline() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            scenario.server.intercept { _, _ in throw TrustClientError(.unreachable, "connection refused") }
            var view = try await scenario.client().update()
            #expect(try await view.lookup("v1") != nil)
            #expect(view.offline?.code == .unreachable)
            #expect(try #require(view.freshness).isFromServer == false)
            guard case .offline(let reason, _) = view.warnings.first else {
                Issue.record("no warning: \(view.warnings)")
                return
            }
            #expect(reason == "connection refused")
            scenario.clock.advance(days: 15)
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .expired)
            scenario.server.behave()
            try await scenario.server.refreshTimestamp()
            #expect(try await scenario.client().update().warnings == [])
        }
    }

    @Test("lost permission is not papered over with the cache")
    func unauthorised() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            scenario.server.intercept { _, _ in throw TrustClientError(.unauthorised, "401") }
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .unauthorised)
        }
    }

    @Test("without the server and without a cache it is unreachable")
    func unreachable() async throws {
        try await Scenario.with { scenario in
            scenario.server.intercept { _, _ in throw TrustClientError(.unreachable, "connection refused") }
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .unreachable)
        }
    }

    @Test("Docker's rule: targets/releases first, then targets, and no other role counts")
    func released() async throws {
        try await Scenario.with { scenario in
            let key = try await scenario.keys.make(RoleName("jane"))
            let jane = RoleName("targets/jane")
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: .releases), .addPaths([""], to: .releases),
                .addKeys([key.publicKey], to: jane), .addPaths([""], to: jane),
                .add("v1", .content("released one"), to: .releases),
                .add("only-jane", .content("jane"), to: jane),
                .add("v2", .content("two")),
            ])
            var view = try await scenario.client().update()
            #expect(try await view.lookupReleased("v1").file == .content("released one"))
            #expect(try await view.lookupReleased("v1").role == .releases)
            #expect(try await view.lookupReleased("v2").role == .targets)
            #expect(try await view.lookup("v1")?.role == .targets)
            #expect(try await view.lookup("only-jane")?.role == jane)
            var copy = view
            #expect(await refusal { _ = try await copy.lookupReleased("only-jane") }?.code == .notSigned)
            #expect(await refusal { _ = try await copy.lookupReleased("nope") }?.code == .notSigned)
            #expect(try await view.listReleased().map(\.name) == ["v1", "v2"])
            #expect(try await view.list().map(\.name) == ["only-jane", "v1", "v2"])
            #expect(view.signers.map(\.name) == ["jane"])
            #expect(view.signers.map(\.keyIDs) == [[key.publicKey.id]])
            #expect(try await view.delegations().map(\.role.name) == [.releases, jane])
        }
    }

    @Test("a delegated role is fetched only when a lookup needs it")
    func lazy() async throws {
        try await Scenario.with { scenario in
            let key = try await scenario.keys.make(RoleName("jane"))
            let role = RoleName("targets/jane")
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: role), .addPaths(["jane-"], to: role),
                .add("jane-1", .content("x"), to: role),
            ])
            var view = try await scenario.client().update()
            scenario.server.clearLog()
            #expect(try await view.lookup("other") == nil)
            #expect(scenario.server.log.isEmpty)
            #expect(try await view.lookup("jane-1") != nil)
            #expect(scenario.server.log == ["targets/jane.<hash>"])
        }
    }

    @Test("an expired delegation is left out with a warning, expired targets are fatal")
    func expiredDelegation() async throws {
        try await Scenario.with { scenario in
            let key = try await scenario.keys.make(RoleName("jane"))
            let role = RoleName("targets/jane")
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: role), .addPaths([""], to: role),
                .add("jane-1", .content("x"), to: role),
            ])
            scenario.clock.advance(days: 1000)
            // Only targets is renewed: the delegation runs out before it.
            _ = try await scenario.publisher.publish([.witness(.targets)])
            scenario.clock.advance(days: 100)
            _ = try await scenario.publisher.publish([.witness(.targets)])
            var view = try await scenario.client().update()
            #expect(try await view.lookup("jane-1") == nil)
            #expect(view.warnings.count == 1)
            #expect(try await view.lookup("v1") != nil)

            // Who has its key brings it back as it was.
            _ = try await scenario.publisher.publish([.witness(role)])
            var renewed = try await scenario.client().update()
            #expect(try await renewed.lookup("jane-1")?.file == .content("x"))
            scenario.clock.advance(days: 1100)
            try await scenario.server.refreshTimestamp()
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .expired)
        }
    }
}
