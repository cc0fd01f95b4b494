// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import TUF

struct TrustedCollectionTests {
    @Test("takes a collection that notary wrote, with its delegations and types of keys")
    func vectors() throws {
        var collection = TrustedCollection(
            trust: RootTrust(gun: "example.com/hallmark/vectors"),
            format: .notary,
            at: try Expiry(parsing: "2026-11-22T00:00:00Z").date
        )
        try collection.updateRoot(try Fixture.vector("1.root"))
        try collection.updateTimestamp(try Fixture.vector("1.timestamp"))
        try collection.updateSnapshot(try Fixture.vector("2.snapshot"))
        try collection.updateTargets(.targets, try Fixture.vector("2.targets"))
        try collection.updateRoot(try Fixture.vector("2.root"))
        #expect(collection.rotatedRoles == [.snapshot])
        try collection.updateTimestamp(try Fixture.vector("4.timestamp"))
        try collection.updateSnapshot(try Fixture.vector("5.snapshot"))
        try collection.updateTargets(.targets, try Fixture.vector("3.targets"))
        try collection.updateTargets(RoleName("targets/releases"), try Fixture.vector("1.targets-releases"))
        try collection.updateTargets(RoleName("targets/qa"), try Fixture.vector("1.targets-qa"))
        #expect(collection.targets.count == 3)
        try collection.updateRoot(try Fixture.vector("3.root"))
        try collection.updateTimestamp(try Fixture.vector("7.timestamp"))
        try collection.updateSnapshot(try Fixture.vector("8.snapshot"))
        try collection.updateTargets(.targets, try Fixture.vector("5.targets"))
        // Still listed in the snapshot, but no longer delegated.
        #expect(
            try collection.refusal { try $0.updateTargets(RoleName("targets/qa"), try Fixture.vector("1.targets-qa")) }
                == .notDelegated
        )
    }

    @Test("steps out of order are the caller's mistake, and change nothing")
    func order() async throws {
        let published = try await Publisher().publish()
        var collection = TrustedCollection()
        #expect(try collection.refusal { try $0.requireCurrentRoot() } == .order)
        #expect(try collection.refusal { try $0.updateTimestamp(published.timestamp) } == .order)
        #expect(try collection.refusal { try $0.updateSnapshot(published.snapshot) } == .order)
        #expect(try collection.refusal { try $0.updateTargets(.targets, published.targets[.targets] ?? []) } == .order)
        try collection.updateRoot(published.root)
        #expect(try collection.refusal { try $0.rememberRoot(published.root) } == .order)
        #expect(try collection.refusal { try $0.updateSnapshot(published.snapshot) } == .order)
        try collection.updateTimestamp(published.timestamp)
        #expect(try collection.refusal { try $0.updateTargets(.targets, published.targets[.targets] ?? []) } == .order)
        try collection.updateSnapshot(published.snapshot)
        #expect(try collection.refusal { try $0.updateTargets(.root, published.root) } == .order)
        #expect(try collection.refusal { try $0.updateTargets(.snapshot, published.snapshot) } == .order)
        try collection.updateTargets(.targets, published.targets[.targets] ?? [])
        // A step again takes back all that came after it.
        try collection.updateSnapshot(published.snapshot)
        #expect(collection.targets.isEmpty)
        try collection.updateTimestamp(published.timestamp)
        #expect(collection.snapshot == nil)
        try collection.updateRoot(published.root)
        #expect(collection.timestamp == nil)
    }

    @Test("each role must be signed by its own keys")
    func signatures() async throws {
        let (publisher, stranger) = (try Publisher(), try Publisher())
        let good = try await publisher.publish()
        var collection = TrustedCollection()
        try collection.updateRoot(good.root)
        var other = publisher
        other.keys = stranger.keys
        let bad = try await other.publish(root: good.root, targets: good.targets)
        #expect(try collection.refusal { try $0.updateTimestamp(bad.timestamp) } == .thresholdNotMet)
        // Of the right type, signed by a key that is good for another role.
        let crossed = try await publisher.sign(try Self.payload(good.timestamp) as Timestamp, as: .snapshot)
        #expect(try collection.refusal { try $0.updateTimestamp(crossed) } == .thresholdNotMet)

        other.keys = publisher.keys
        other.keys[.snapshot] = stranger.keys[.snapshot]
        let badSnapshot = try await other.publish(root: good.root, targets: good.targets)
        try collection.updateTimestamp(badSnapshot.timestamp)
        #expect(try collection.refusal { try $0.updateSnapshot(badSnapshot.snapshot) } == .thresholdNotMet)

        let targets = try await stranger.sign(Fixture.targets(), as: .targets)
        let badTargets = try await publisher.publish(2, root: good.root, targets: [.targets: targets])
        try collection.updateTimestamp(badTargets.timestamp)
        try collection.updateSnapshot(badTargets.snapshot)
        #expect(try collection.refusal { try $0.updateTargets(.targets, targets) } == .thresholdNotMet)
    }

    private static func payload<Content: Payload>(_ bytes: [UInt8]) throws -> Content {
        try UnverifiedMetadata(bytes, format: .notary).payload()
    }

    @Test("a role of another type does not pass, even with a signature")
    func types() async throws {
        var publisher = try Publisher()
        let key = TestKey()
        publisher.keys = [.targets: [key], .snapshot: [key], .timestamp: [key]]
        let good = try await publisher.publish()
        var collection = TrustedCollection()
        try collection.updateRoot(good.root)
        #expect(try collection.refusal { try $0.updateTimestamp(good.snapshot) } == .malformed)
        #expect(try collection.refusal { try $0.updateRoot(good.snapshot) } == .malformed)
        try collection.updateTimestamp(good.timestamp)
        #expect(try collection.refusal { try $0.updateSnapshot(good.timestamp) } == .mismatch)
    }

    @Test("every expiry counts at the clock of the update, to the fraction of a second")
    func expiry() async throws {
        var publisher = try Publisher()
        let root = try await publisher.root()
        let old = try await publisher.sign(Targets(version: 1, expires: Fixture.past), as: .targets)
        let late = try await publisher.publish(root: root, targets: [.targets: old])
        var collection = TrustedCollection()
        try collection.updateRoot(root)
        let timestamp = try await publisher.sign(
            Timestamp(version: 1, expires: Fixture.past, snapshot: FileMetadata(of: late.snapshot)),
            as: .timestamp
        )
        #expect(try collection.refusal { try $0.updateTimestamp(timestamp) } == .expired)
        try collection.updateTimestamp(late.timestamp)
        try collection.updateSnapshot(late.snapshot)
        #expect(try collection.refusal { try $0.updateTargets(.targets, old) } == .expired)
        let lateSnapshot = try await publisher.publish(2, root: root, targets: [.targets: old], expires: Fixture.past)
        try collection.updateTimestamp(lateSnapshot.timestamp)
        #expect(try collection.refusal { try $0.updateSnapshot(lateSnapshot.snapshot) } == .expired)

        publisher.rootExpires = Fixture.past
        publisher.rootVersion = 2
        // An expired root may lead to its successor, but to nothing else.
        try collection.updateRoot(try await publisher.root())
        #expect(try collection.refusal { try $0.requireCurrentRoot() } == .expired)
        #expect(try collection.refusal { try $0.updateTimestamp(late.timestamp) } == .expired)

        let exact = try await Timestamp(
            version: 3,
            expires: Expiry(Fixture.now),
            snapshot: FileMetadata(of: late.snapshot)
        )
        .signed(by: publisher.keys[.timestamp] ?? [], format: .notary).bytes
        for (delay, refusal) in [(0, nil), (0.5, TUFError.Code.expired)] as [(Double, TUFError.Code?)] {
            var collection = TrustedCollection(at: Fixture.now.addingTimeInterval(delay))
            try collection.updateRoot(root)
            #expect(try collection.refusal { try $0.updateTimestamp(exact) } == refusal)
        }
    }

    @Test("content and length are those that the role above lists")
    func mixAndMatch() async throws {
        let publisher = try Publisher()
        let one = try await publisher.publish(1)
        let two = try await publisher.publish(2)
        var collection = TrustedCollection()
        try collection.updateRoot(two.root)
        try collection.updateTimestamp(two.timestamp)
        #expect(try collection.refusal { try $0.updateSnapshot(one.snapshot) } == .mismatch)
        #expect(try collection.refusal { try $0.updateSnapshot(two.snapshot + [0x20]) } == .tooLarge)
        #expect(try collection.refusal { try $0.updateSnapshot(two.snapshot.dropLast()) } == .mismatch)
        try collection.updateSnapshot(two.snapshot)
        let targets = two.targets[.targets] ?? []
        #expect(try collection.refusal { try $0.updateTargets(.targets, targets + [0x20]) } == .tooLarge)
        #expect(try collection.refusal { try $0.updateTargets(.targets, targets.dropLast()) } == .mismatch)
        #expect(try collection.refusal { try $0.updateTargets(.targets, targets.dropLast() + [0x20]) } == .mismatch)
        #expect(try collection.refusal { try $0.updateTargets(RoleName("targets/x"), targets) } == .notDelegated)
    }

    @Test("the snapshot must list the root that is trusted")
    func otherRoot() async throws {
        var publisher = try Publisher()
        let old = try await publisher.root()
        publisher.rootVersion = 2
        let new = try await publisher.publish()
        var collection = TrustedCollection()
        try collection.updateRoot(old)
        try collection.updateTimestamp(new.timestamp)
        let refusal = try #require(try collection.refusal { try $0.updateSnapshot(new.snapshot) })
        #expect([.mismatch, .tooLarge].contains(refusal))
        try new.load(into: &collection)
    }

    @Test("nothing older than what was remembered, or trusted earlier in the update, is taken")
    func rollback() async throws {
        let publisher = try Publisher()
        let one = try await publisher.publish(1)
        let two = try await publisher.publish(2)
        for remembers in [true, false] {
            var collection = TrustedCollection()
            try collection.updateRoot(two.root)
            if remembers {
                collection.rememberTimestamp(two.timestamp)
                collection.rememberSnapshot(two.snapshot)
                // An older one does not lower it.
                collection.rememberTimestamp(one.timestamp)
                collection.rememberSnapshot(one.snapshot)
                #expect(collection.timestamp == nil && collection.snapshot == nil)
            } else {
                try two.loadBelowRoot(into: &collection)
            }
            #expect(try collection.refusal { try $0.updateTimestamp(one.timestamp) } == .rollback)
            // A newer timestamp that leads back to the old snapshot.
            let back = try await publisher.sign(
                Timestamp(version: 3, expires: Fixture.soon, snapshot: FileMetadata(of: one.snapshot)),
                as: .timestamp
            )
            try collection.updateTimestamp(back)
            #expect(try collection.refusal { try $0.updateSnapshot(one.snapshot) } == .rollback)
            // And a newer snapshot that leads back to old targets.
            let replay = try await publisher.publish(4, root: two.root, targets: one.targets)
            try collection.updateTimestamp(replay.timestamp)
            try collection.updateSnapshot(replay.snapshot)
            collection.rememberTargets(.targets, two.targets[.targets] ?? [])
            #expect(try collection.refusal { try $0.updateTargets(.targets, one.targets[.targets] ?? []) } == .rollback)
        }
    }

    @Test("an older root, or another of the same version, is refused")
    func rootRollback() async throws {
        var publisher = try Publisher()
        let one = try await publisher.root()
        publisher.rootVersion = 2
        let two = try await publisher.root()
        var collection = TrustedCollection()
        try collection.rememberRoot(two)
        #expect(try collection.refusal { try $0.updateRoot(one) } == .rollback)
        try collection.updateRoot(two)
        publisher.keys[.targets] = [TestKey()]
        #expect(try collection.refusal { try $0.updateRoot(try Self.wait(publisher)) } == .rollback)
        // The same content with a new signature is the same root.
        let again = try await Self.payloadRoot(two).signed(by: publisher.rootKeys, format: .notary).bytes
        #expect(again != two)
        try collection.updateRoot(again)
        #expect(
            try collection.refusal { try $0.updateRoot([UInt8](repeating: 0x20, count: WireFormat.rootLimit + 1)) }
                == .tooLarge
        )
    }

    private static func payloadRoot(_ bytes: [UInt8]) throws -> Root { try self.payload(bytes) }

    private static func wait(_ publisher: Publisher) throws -> [UInt8] {
        try Fixture.file(
            String(decoding: CanonicalJSON.encodeForWire(publisher.rootPayload.json(format: .notary)), as: UTF8.self),
            by: publisher.rootKeys
        )
    }

    @Test("of a known version the known content stays")
    func equalVersions() async throws {
        let publisher = try Publisher()
        let one = try await publisher.publish(1)
        let other = try await publisher.publish(
            1,
            root: one.root,
            targets: [.targets: try await publisher.sign(Fixture.targets(1, ["x"]), as: .targets)]
        )
        var collection = TrustedCollection()
        try collection.updateRoot(one.root)
        collection.rememberTimestamp(one.timestamp)
        try collection.updateTimestamp(other.timestamp)
        #expect(collection.timestamp?.bytes == one.timestamp)
        // A newer timestamp with another snapshot of the same version, and that with other targets of the same version.
        try collection.updateSnapshot(one.snapshot)
        try collection.updateTargets(.targets, one.targets[.targets] ?? [])
        let timestamp = Timestamp(version: 2, expires: Fixture.soon, snapshot: FileMetadata(of: other.snapshot))
        try collection.updateTimestamp(try await publisher.sign(timestamp, as: .timestamp))
        #expect(try collection.refusal { try $0.updateSnapshot(other.snapshot) } == .rollback)
        let next = try await publisher.publish(3, root: one.root, targets: other.targets)
        try collection.updateTimestamp(next.timestamp)
        try collection.updateSnapshot(next.snapshot)
        #expect(try collection.refusal { try $0.updateTargets(.targets, other.targets[.targets] ?? []) } == .rollback)
    }

    @Test("what others signed is not remembered, and an unreadable memory is none")
    func foreignMemory() async throws {
        let (publisher, stranger) = (try Publisher(), try Publisher())
        let one = try await publisher.publish(1)
        let foreign = try await stranger.publish(9)
        var collection = TrustedCollection()
        collection.rememberTimestamp(one.timestamp)
        try collection.updateRoot(one.root)
        for bytes in [foreign.timestamp, [], Array("{".utf8), one.snapshot] { collection.rememberTimestamp(bytes) }
        for bytes in [foreign.snapshot, [], one.timestamp] { collection.rememberSnapshot(bytes) }
        for bytes in [foreign.targets[.targets] ?? [], [], one.root] { collection.rememberTargets(.targets, bytes) }
        try one.loadBelowRoot(into: &collection)
    }

    /// Swaps one of two keys of a role in a new root, so that what both keys signed before still verifies.
    private func fastForward(_ rotated: RoleName, rememberFirst: Bool) async throws -> TUFError.Code? {
        var publisher = try Publisher()
        for role in [RoleName.targets, .snapshot, .timestamp] { publisher.keys[role] = [TestKey(), TestKey()] }
        let thief = try await publisher.publish(1 << 31)
        publisher.keys[rotated] = [publisher.keys[rotated]?[0] ?? TestKey(), TestKey()]
        publisher.rootVersion = 2
        let recovered = try await publisher.publish(2)
        var collection = TrustedCollection()
        try collection.rememberRoot(thief.root)
        if rememberFirst {
            collection.rememberTimestamp(thief.timestamp)
            collection.rememberSnapshot(thief.snapshot)
        }
        try collection.updateRoot(recovered.root)
        #expect(collection.rotatedRoles == [rotated])
        collection.rememberTimestamp(thief.timestamp)
        collection.rememberSnapshot(thief.snapshot)
        collection.rememberTargets(.targets, thief.targets[.targets] ?? [])
        do {
            try recovered.loadBelowRoot(into: &collection)
            return nil
        } catch let error as TUFError { return error.code }
    }

    @Test("a new key frees the versions that it vouches for, even when an old one stays", arguments: [true, false])
    func fastForwardRecovery(rememberFirst: Bool) async throws {
        #expect(try await self.fastForward(.snapshot, rememberFirst: rememberFirst) == nil)
        // The timestamp's key does not vouch for targets, nor do those of targets for the rest.
        #expect(try await self.fastForward(.timestamp, rememberFirst: rememberFirst) == .rollback)
        #expect(try await self.fastForward(.targets, rememberFirst: rememberFirst) == .rollback)
    }

    @Test("delegated roles are verified by the role above, by name, and only once that is trusted")
    func delegations() async throws {
        let publisher = try Publisher()
        let (a, b, stranger) = (TestKey(), TestKey(), TestKey())
        let (roleA, roleB) = (RoleName("targets/a"), RoleName("targets/a/b"))
        let top = Fixture.targets(1, [], [(a, Fixture.delegation("targets/a", to: [a], paths: ["a/"]))])
        let middle = Fixture.targets(
            1,
            ["a/1"],
            [(b, Fixture.delegation("targets/a/b", to: [b], paths: ["a/b/", "c/"]))]
        )
        let files: [RoleName: [UInt8]] = [
            .targets: try await publisher.sign(top, as: .targets),
            roleA: try await middle.signed(by: [a], format: .notary).bytes,
            roleB: try await Fixture.targets(1, ["a/b/1"]).signed(by: [b], format: .notary).bytes,
            RoleName("targets/x"): try await Fixture.targets().signed(by: [a], format: .notary).bytes,
            RoleName("targets/a/bad"): try await Fixture.targets().signed(by: [stranger], format: .notary).bytes,
        ]
        let published = try await publisher.publish(root: try await publisher.root(), targets: files)
        var collection = TrustedCollection()
        try published.load(into: &collection)
        func refusal(_ role: RoleName, _ bytes: [UInt8]? = nil) throws -> TUFError.Code? {
            try collection.refusal { try $0.updateTargets(role, bytes ?? files[role] ?? []) }
        }
        #expect(try refusal(roleB) == .notDelegated)
        #expect(try refusal(RoleName("targets/x")) == .notDelegated)
        #expect(try refusal(RoleName("targets/a")) == nil)
        #expect(try refusal(RoleName("targets/a/bad")) == .notDelegated)
        #expect(try refusal(roleB) == nil)
        #expect(try collection.delegation(of: .targets) == nil)
        #expect(try collection.delegation(of: roleA)?.paths == ["a/"])
        #expect(try collection.delegation(of: roleB)?.paths == ["a/b/"], "c/ is not its delegator's to give")
        #expect(throws: TUFError(.notDelegated, "")) { try collection.delegation(of: RoleName("targets/x")) }
        // When a role comes again, what was verified below it has to come again too.
        try collection.updateTargets(roleA, files[roleA] ?? [])
        #expect(Set(collection.targets.keys) == [.targets, roleA])
        #expect(collection.listed(.snapshot)?.length == Int64(published.snapshot.count))
        #expect(collection.listed(.timestamp) == nil)
    }

    @Test(
        "a role delegates to those directly below it alone",
        arguments: ["targets/b/c", "targets/a/b/c", "targets/a"]
    )
    func indirectDelegation(_ child: String) async throws {
        let publisher = try Publisher()
        let key = TestKey()
        let top = Fixture.targets(1, [], [(key, Fixture.delegation("targets/a", to: [key], paths: [""]))])
        let role = Fixture.targets(1, [], [(key, Fixture.delegation(child, to: [key], paths: [""]))])
        let files: [RoleName: [UInt8]] = [
            .targets: try await publisher.sign(top, as: .targets),
            RoleName("targets/a"): try await role.signed(by: [key], format: .notary).bytes,
        ]
        var collection = TrustedCollection()
        try await publisher.publish(root: try await publisher.root(), targets: files).load(into: &collection)
        #expect(
            try collection.refusal { try $0.updateTargets(RoleName("targets/a"), files[RoleName("targets/a")] ?? []) }
                == .invalid
        )
    }

    @Test("new keys of a delegation free its versions")
    func delegationFastForward() async throws {
        for rotates in [true, false] {
            let publisher = try Publisher()
            let (kept, old, new) = (TestKey(), TestKey(), TestKey())
            let role = RoleName("targets/a")
            func collection(_ version: Int64, _ keys: [TestKey], child: Int64) async throws -> Published {
                var top = Fixture.targets(
                    version,
                    [],
                    [(keys[0], Fixture.delegation("targets/a", to: keys, paths: [""]))]
                )
                for key in keys { top.delegations.keys[key.publicKey.id.text] = key.publicKey }
                let bytes = try await Fixture.targets(child).signed(by: keys, format: .notary).bytes
                return try await publisher.publish(
                    version,
                    root: rootBytes,
                    targets: [.targets: try await publisher.sign(top, as: .targets), role: bytes]
                )
            }
            let rootBytes = try await publisher.root()
            let thief = try await collection(1, [kept, old], child: 1 << 31)
            let recovered = try await collection(2, [kept, rotates ? new : old], child: 2)
            var trusted = TrustedCollection()
            try thief.load(into: &trusted)
            try trusted.updateTargets(role, thief.targets[role] ?? [])
            try recovered.loadBelowRoot(into: &trusted)
            trusted.rememberTargets(role, thief.targets[role] ?? [])
            let refusal = try trusted.refusal { try $0.updateTargets(role, recovered.targets[role] ?? []) }
            #expect(refusal == (rotates ? nil : .rollback))
        }
    }
}
