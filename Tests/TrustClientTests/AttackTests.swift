// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient

/// What somebody on the way, or in the server, can try. Each time the client must refuse with the right code, keep its last
/// good state, and go on once the attack is over.
@Suite("Attacks")
struct AttackTests {
    /// A reader that has seen the collection, then what is refused, then the honest server again.
    private func expect(
        _ code: TrustClientError.Code,
        in scenario: Scenario,
        _ comment: Comment? = nil
    ) async throws {
        let before = scenario.kept()
        let error = await refusal { _ = try await scenario.client().update() }
        #expect(error?.code == code, comment)
        #expect(scenario.kept() == before, "the cache must stay as it was")
        scenario.server.behave()
        var view = try await scenario.client().update()
        #expect(try await view.lookup("v1") != nil)
    }

    @Test("an older timestamp is a rollback")
    func timestampRollback() async throws {
        try await Scenario.with { scenario in
            let old = try #require(scenario.server.current(.timestamp))
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            _ = try await scenario.client().update()
            scenario.server.intercept { role, _ in role == .timestamp ? old : nil }
            try await self.expect(.rollback, in: scenario)
        }
    }

    @Test("a timestamp that is never renewed is a freeze, and ends in expiry")
    func freeze() async throws {
        try await Scenario.with { scenario in
            let old = try #require(scenario.server.current(.timestamp))
            _ = try await scenario.client().update()
            scenario.clock.advance(days: 15)
            try await scenario.server.refreshTimestamp()
            scenario.server.intercept { role, _ in role == .timestamp ? old : nil }
            try await self.expect(.expired, in: scenario)
        }
    }

    @Test("metadata of another moment than its parent lists is refused", arguments: [RoleName.snapshot, .targets])
    func mixAndMatch(role: RoleName) async throws {
        try await Scenario.with { scenario in
            let old = try #require(scenario.server.current(role))
            _ = try await scenario.client().update()
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            scenario.server.intercept { asked, _ in asked == role ? old : nil }
            try await self.expect(.rollback, in: scenario)
        }
    }

    @Test("with stolen server keys older snapshots and targets still cannot be passed off as current")
    func rollbackWithStolenKeys() async throws {
        try await Scenario.with { scenario in
            let oldSnapshot = try #require(scenario.server.current(.snapshot))
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            _ = try await scenario.client().update()
            let oldAgain = try await scenario.server.timestamp(900, of: oldSnapshot)
            scenario.server.intercept { role, reference in
                guard role == .timestamp, reference == .current else { return nil }
                return oldAgain
            }
            try await self.expect(.rollback, in: scenario, "an old snapshot below a new timestamp")

            // The same with a new snapshot that lists the old targets.
            let snapshotKey = try #require(scenario.server.onlineKey(.snapshot))
            let targets = try #require(scenario.server.stored(.targets, 2))
            var snapshot = try Snapshot(try JSONParser.parse(oldSnapshot)["signed"] ?? .null, format: .notary)
            snapshot.version = 900
            snapshot[.targets] = FileMetadata(of: targets)
            let forged = try await snapshot.signed(by: [snapshotKey], format: .notary).bytes
            let timestamp = try await scenario.server.timestamp(901, of: forged)
            scenario.server.intercept { role, _ in
                switch role {
                case .timestamp: timestamp
                case .snapshot: forged
                default: nil
                }
            }
            try await self.expect(.rollback, in: scenario, "old targets below a new snapshot")
        }
    }

    @Test("a thief of the server's keys cannot make targets")
    func forgedTargets() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let snapshotKey = try #require(scenario.server.onlineKey(.snapshot))
            let evil = Targets(
                version: 50,
                expires: Expiry(scenario.clock.now.addingTimeInterval(86400)),
                targets: ["v1": .content("evil")]
            )
            let forgedTargets = try await evil.signed(by: [snapshotKey], format: .notary).bytes
            let root = try #require(scenario.server.current(.root))
            let snapshot = Snapshot(
                version: 50,
                expires: Expiry(scenario.clock.now.addingTimeInterval(86400)),
                meta: ["root": FileMetadata(of: root), "targets": FileMetadata(of: forgedTargets)]
            )
            let forgedSnapshot = try await snapshot.signed(by: [snapshotKey], format: .notary).bytes
            let timestamp = try await scenario.server.timestamp(50, of: forgedSnapshot)
            scenario.server.intercept { role, _ in
                switch role {
                case .timestamp: timestamp
                case .snapshot: forgedSnapshot
                case .targets: forgedTargets
                default: nil
                }
            }
            try await self.expect(.signature, in: scenario)
        }
    }

    @Test("a timestamp of a key that the root does not name is refused")
    func wrongKey() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let foreign = try await PrivateKey.generate(.p256)
            let snapshot = try #require(scenario.server.current(.snapshot))
            let forged = try await scenario.server.timestamp(99, of: snapshot, by: foreign)
            scenario.server.intercept { role, _ in role == .timestamp ? forged : nil }
            try await self.expect(.signature, in: scenario)
        }
    }

    @Test("bytes that are no metadata are refused, not taken for an outage", arguments: RoleName.topLevel)
    func garbage(role: RoleName) async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            scenario.server.intercept { asked, _ in asked == role ? Array("<html>login</html>".utf8) : nil }
            if role == .root {
                // Nothing asks for it while all is well.
                _ = try await scenario.client().update()
            } else {
                let error = await refusal { _ = try await scenario.client().update() }
                #expect(error?.code == (role == .timestamp ? .signature : .rollback))
            }
            scenario.server.behave()
            _ = try await scenario.client().update()
        }
    }

    @Test("metadata that the server lists and does not hand out stops the update")
    func withheld() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            scenario.server.intercept { role, _ in
                if role == .targets { throw TrustClientError(.noTrustData, "404") }
                return nil
            }
            try await self.expect(.rollback, in: scenario)
        }
    }

    @Test("a root that the trusted one does not vouch for is refused, and so is all that it leads to")
    func forgedRoot() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            // The attacker has a collection of the same name, complete and newer.
            try await Scenario.with { other in
                try await other.rotateRoot()
                let files = RoleName.topLevel.map { ($0, other.server.current($0)) }
                scenario.server.intercept { role, _ in files.first { $0.0 == role }?.1 }
                try await self.expect(.signature, in: scenario)
            }
        }
    }
}

@Suite("Root rotation")
struct RootRotationTests {
    @Test("a client that has slept through several rotations follows them one by one")
    func chain() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            for _ in 0..<3 { try await scenario.rotateRoot() }
            scenario.server.clearLog()
            let view = try await scenario.client().update()
            #expect(view.trusted.root?.payload.version == 4)
            #expect(view.firstUse == nil)
            #expect(scenario.server.log.contains("2.root"))
            #expect(scenario.server.log.contains("3.root"))
            #expect(scenario.kept()["root.json"] == scenario.server.current(.root))
        }
    }

    @Test("one rotation is checked directly, without walking")
    func direct() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            try await scenario.rotateRoot()
            scenario.server.clearLog()
            #expect(try await scenario.client().update().trusted.root?.payload.version == 2)
            #expect(
                scenario.server.log == ["timestamp", "snapshot.<hash>", "root.<hash>", "timestamp", "snapshot.<hash>"]
            )
        }
    }

    @Test("a gap in the chain is refused; what led up to it is kept, and the rest follows when it is there")
    func missingIntermediate() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            for _ in 0..<3 { try await scenario.rotateRoot() }
            scenario.server.intercept { _, reference in
                if reference == .version(3) { throw TrustClientError(.noTrustData, "404") }
                return nil
            }
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .signature)
            #expect(scenario.kept()["root.json"] == scenario.server.stored(.root, 2))
            scenario.server.behave()
            #expect(try await scenario.client().update().trusted.root?.payload.version == 4)
        }
    }

    @Test("another version than the one asked for is refused")
    func wrongVersion() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            for _ in 0..<3 { try await scenario.rotateRoot() }
            let third = try #require(scenario.server.stored(.root, 3))
            scenario.server.intercept { _, reference in reference == .version(2) ? third : nil }
            let error = await refusal { _ = try await scenario.client().update() }
            #expect(error?.refusal?.code == .mismatch)
        }
    }

    @Test("versions run up by a thief of the server's keys do not bind after the keys are replaced")
    func fastForward() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let snapshotKey = try #require(scenario.server.onlineKey(.snapshot))
            var snapshot = try Snapshot(
                try JSONParser.parse(try #require(scenario.server.current(.snapshot)))["signed"] ?? .null,
                format: .notary
            )
            snapshot.version = 1_000_000
            let forged = try await snapshot.signed(by: [snapshotKey], format: .notary).bytes
            let timestamp = try await scenario.server.timestamp(1_000_000, of: forged)
            scenario.server.intercept { role, _ in
                switch role {
                case .timestamp: timestamp
                case .snapshot: forged
                default: nil
                }
            }
            #expect(try await scenario.client().update().freshness?.version == 1_000_000)
            scenario.server.behave()
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .rollback)
            try await scenario.publisher.rotateKey(of: .timestamp, to: .server)
            try await scenario.publisher.rotateKey(of: .snapshot, to: .server)
            var view = try await scenario.client().update()
            #expect(try #require(view.freshness).version < 100)
            #expect(try await view.lookup("v1") != nil)
        }
    }

    @Test(
        "what no longer binds after a rotation is gone from the disk before anything else can go wrong",
        arguments: [
            (RoleName.snapshot, ["root.json"]),
            (.timestamp, ["root.json", "targets.json", "targets/jane.json"]),
            (.targets, ["root.json", "snapshot.json", "targets/jane.json", "timestamp.json"]),
        ]
    )
    func forgottenFiles(_ role: RoleName, _ left: [String]) async throws {
        try await Scenario.with { scenario in
            let jane = RoleName("targets/jane")
            let key = try await scenario.keys.make(RoleName("jane"))
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: jane), .addPaths([""], to: jane), .add("hers", .content("1"), to: jane),
            ])
            var view = try await scenario.client().update()
            #expect(try await view.lookup("hers")?.role == jane)
            #expect(scenario.kept().count == 5)
            try await scenario.publisher.rotateKey(of: role, to: role == .targets ? .local([]) : .server)
            // The update gets to the new root and no further, as if the process ended there.
            let hasRoot = Mutex(false)
            scenario.server.intercept { asked, _ in
                if asked == .root {
                    hasRoot.withLock { $0 = true }
                } else if hasRoot.withLock({ $0 }) {
                    throw TrustClientError(.unauthorised, "cut")
                }
                return nil
            }
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .unauthorised)
            #expect(scenario.kept().keys.sorted() == left)
            scenario.server.behave()
            var after = try await scenario.client().update()
            #expect(try await after.lookup("hers")?.role == jane)
        }
    }

    @Test("a delegation's old metadata is gone from the disk when its keys change")
    func forgottenDelegation() async throws {
        try await Scenario.with { scenario in
            let jane = RoleName("targets/jane")
            let key = try await scenario.keys.make(RoleName("jane"))
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: jane), .addPaths([""], to: jane), .add("hers", .content("1"), to: jane),
            ])
            var view = try await scenario.client().update()
            #expect(try await view.lookup("hers")?.role == jane)
            let second = try await scenario.keys.make(RoleName("jane"))
            _ = try await scenario.publisher.publish([.addKeys([second.publicKey], to: jane)])
            _ = try await scenario.client().update()
            #expect(scenario.kept()["targets/jane.json"] == nil)
        }
    }

    @Test("an expired root is fatal until its successor is there")
    func expiredRoot() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let old = try #require(scenario.server.current(.root))
            for _ in 0..<4 {
                scenario.clock.advance(days: 900)
                // All the rest is renewed in time; a publish near its end renews the root as well.
                _ = try await scenario.publisher.publish([.witness(.targets)])
            }
            // The root's certificate ends with it: the same key gets a new one.
            let key = try #require(try await scenario.keys.available().first { $0.role == .root })
            try await scenario.publisher.rotateKey(of: .root, to: .local([key.id]))
            scenario.clock.advance(days: 100)
            scenario.server.intercept { role, _ in role == .root ? old : nil }
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .expired)
            scenario.server.behave()
            #expect(try await scenario.client().update().trusted.root?.payload.version == 3)
        }
    }
}
