// SPDX-License-Identifier: Apache-2.0

import KeyStore
import TUF
import Testing

/// What a thief of each key can do, what not, and how clients come out of it by themselves.
@Suite("Stolen keys")
struct KeyCompromiseTests {
    @Test(
        "a thief of the timestamp's key can stop time, and bring nothing that others have not signed",
        arguments: bothFormats
    )
    func timestamp(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let repository = scenario.repository
            let stolen = repository.keys[.timestamp] ?? []
            let old = try await repository.current(.snapshot)
            let frozen = try await repository.timestamp(of: old, days: 365, by: stolen)
            try await scenario.publishSecond()
            scenario.attacker.serve([.timestamp: frozen, .snapshot: old])
            scenario.clock.advance(days: 30)
            var view = try await scenario.reader.update()
            #expect(try await view.find("app")?.file == .content("app 1"))

            try await repository.renew()
            let world = try await repository.world(version: 90, snapshotKeys: stolen, timestampKeys: stolen)
            scenario.attacker.serve(world)
            try await scenario.expectRefusal(.signature, moving: world.filter { $0.key == .timestamp })

            try await repository.rotate([.timestamp])
            // A client of TUF's format looks for a new root each time. One of Notary's does so when it is refused something, and
            // what the thief shows it is good for as long as its root is.
            if format == .tuf {
                #expect(try await Refusal.of { _ = try await scenario.reader.update() } == .signature)
            } else {
                scenario.attacker.serve([.timestamp: frozen, .snapshot: old])
                #expect(try await scenario.reader.update().metadata.root?.payload.version == 1)
            }
            try await scenario.expectRecovery(["app": "app 2"])
            scenario.attacker.serve(world)
            try await scenario.expectRefusal(.signature)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test(
        "a thief of the snapshot's key alone can do nothing: no timestamp lists what they sign",
        arguments: bothFormats
    )
    func snapshot(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let repository = scenario.repository
            let stolen = repository.keys[.snapshot] ?? []
            let old = try await repository.current(.targets)
            try await scenario.publishSecond()
            let current: Snapshot = try await repository.payload(.snapshot)
            let forged = try await repository.snapshot(listing: [.targets: old], version: current.version, by: stolen)
            scenario.attacker.serve([.snapshot: forged, .targets: old])
            let moving = try await scenario.newest(before: .snapshot)
            try await scenario.expectRefusal(.rollback, moving: moving)
            try await scenario.expectRefusal(.rollback, of: try scenario.readyNewcomer(), moving: moving)
            let timestamp = try await repository.timestamp(of: forged, by: stolen)
            scenario.attacker.serve([.timestamp: timestamp, .snapshot: forged, .targets: old])
            try await scenario.expectRefusal(.signature)
            try await repository.rotate([.snapshot])
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("without hashes in the timestamp a thief of the snapshot's key can hide what is new from who has not seen it")
    func snapshotWithoutHashes() async throws {
        try await Scenario.with(.tuf, listsHashes: false) { scenario in
            let repository = scenario.repository
            let stolen = repository.keys[.snapshot] ?? []
            let old = try await repository.current(.targets)
            try await scenario.publishSecond()
            let current: Snapshot = try await repository.payload(.snapshot)
            let forged = try await repository.snapshot(listing: [.targets: old], version: current.version, by: stolen)
            scenario.attacker.serve([.snapshot: forged, .targets: old])
            let newcomer = try scenario.newcomer()
            var view = try await newcomer.update()
            #expect(try await view.find("app")?.file == .content("app 1"))

            // Nobody can be made to take what the targets' key has not signed, nor to go back.
            let added = try await repository.withAddedTarget("malware")
            let listing = try await repository.snapshot(
                listing: [.targets: added],
                version: current.version,
                by: stolen
            )
            scenario.attacker.serve([.snapshot: listing, .targets: added])
            var moving = try await scenario.newest(before: .snapshot)
            moving[.snapshot] = listing
            try await scenario.expectRefusal(.signature, of: try scenario.readyNewcomer(), moving: moving)
            scenario.stopAttack()
            _ = try await scenario.reader.update()
            try repository.set("app", "app 3")
            try await repository.publish()
            let next: Snapshot = try await repository.payload(.snapshot)
            let back = try await repository.snapshot(listing: [.targets: old], version: next.version, by: stolen)
            scenario.attacker.serve([.snapshot: back, .targets: old])
            try await scenario.expectRefusal(.rollback, moving: try await scenario.newest(before: .snapshot))

            try await repository.rotate([.snapshot])
            try await scenario.expectRecovery(["app": "app 3"])
            try await scenario.expectRecovery(of: newcomer, ["app": "app 3"])
        }
    }

    @Test(
        "thieves of both online keys can hide what is new from who has not seen it, and bring nothing that others have not signed",
        arguments: bothFormats
    )
    func bothOnline(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let repository = scenario.repository
            let old = try await repository.current(.targets)
            try await scenario.publishSecond()
            let hidden = try await repository.worldOfThief(with: [.targets: old])
            scenario.attacker.serve(hidden)
            let newcomer = try scenario.newcomer()
            var view = try await newcomer.update()
            #expect(try await view.find("app")?.file == .content("app 1"))

            var evil = repository.targets
            evil.version += 1
            evil.targets["app"] = .content("malware")
            let signers: [[any SigningKey]] = [
                repository.keys[.snapshot] ?? [], [try await PrivateKey.generate(.p256)],
            ]
            for keys in signers {
                let targets = try await repository.sign(evil, with: keys)
                let world = try await repository.worldOfThief(with: [.targets: targets], version: evil.version + 50)
                scenario.attacker.serve(world)
                try await scenario.expectRefusal(
                    .signature,
                    of: try scenario.readyNewcomer(),
                    moving: world.filter { $0.key != .targets }
                )
            }
            try await repository.rotate([.timestamp, .snapshot])
            try await scenario.expectRecovery(["app": "app 2"])
            try await scenario.expectRecovery(of: newcomer, ["app": "app 2"])
        }
    }

    @Test(
        "a thief of a delegated role's key can write what that role may, until its delegator names another",
        arguments: bothFormats
    )
    func delegation(_ format: WireFormat) async throws {
        try await Scenario.with(format) { repository in
            let docs = repository.role("docs")
            try repository.delegate("docs/", to: docs, keys: [try await repository.makeKey(for: docs)])
            try repository.set("docs/a", "a 1", in: docs)
        } _: { scenario in
            let repository = scenario.repository
            let docs = repository.role("docs")
            let stolen = repository.delegated[docs]?.keys ?? []
            // The thief publishes as the holder would.
            try repository.set("docs/a", "malware", in: docs)
            try repository.set("app", "malware", in: docs)
            try repository.set("bin/tool", "malware", in: docs)
            try await repository.publish()
            var view = try await scenario.reader.update()
            #expect(try await view.find("docs/a")?.file == .content("malware"))
            #expect(try await view.find("app")?.file == .content("app 1"))
            #expect(try await view.find("bin/tool") == nil)
            let thiefs = try await repository.current(docs)

            try repository.delegate("docs/", to: docs, keys: [try await repository.makeKey(for: docs)])
            try repository.set("docs/a", "a 2", in: docs)
            try await repository.publish()
            _ = try await scenario.reader.update()
            scenario.attacker.serve([docs: thiefs])
            try await scenario.expectRefusal(.rollback) { _ = try await $0.find("docs/a") }
            try await scenario.expectRecovery(["docs/a": "a 2"])
            // Not even with the online keys is the old key worth anything now.
            try await scenario.expectForgeryIsRefused(of: docs, by: stolen, path: "docs/a")
            try await repository.rotate([.timestamp, .snapshot])
            try await scenario.expectRecovery(["docs/a": "a 2"])
        }
    }

    @Test("one of two keys that targets need is not enough, whatever else is stolen", arguments: bothFormats)
    func oneOfTwoTargets(_ format: WireFormat) async throws {
        try await Scenario.with(format, thresholds: [.targets: 2]) { scenario in
            let repository = scenario.repository
            let keys = repository.keys[.targets] ?? []
            #expect(keys.count == 2)
            let (stolen, other) = (keys[0], keys[1])
            var evil = repository.targets
            evil.version += 1
            evil.targets["app"] = .content("malware")
            let own = try await PrivateKey.generate(.p256)
            var version = evil.version
            let online = repository.keys[.snapshot] ?? []
            let attempts: [[any SigningKey]] = [[stolen], [stolen, own], [stolen] + online]
            for signers in attempts {
                version += 1
                let targets = try await repository.sign(evil, with: signers)
                let world = try await repository.worldOfThief(with: [.targets: targets], version: version)
                scenario.attacker.serve(world)
                try await scenario.expectRefusal(.signature, moving: world.filter { $0.key != .targets })
            }
            // The other holder goes on with a new colleague.
            try await repository.rotate(
                [.targets, .timestamp, .snapshot],
                to: [other, try await repository.makeKey(for: .targets)]
            )
            try await scenario.publishSecond()
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("one of two keys that a root needs is not enough, whatever else is stolen", arguments: bothFormats)
    func oneOfTwoRoots(_ format: WireFormat) async throws {
        try await Scenario.with(format, thresholds: [.root: 2]) { scenario in
            let repository = scenario.repository
            let keys = repository.keys[.root] ?? []
            #expect(keys.count == 2)
            let (stolen, other) = (keys[0], keys[1])
            try await scenario.expectRootsOfThief(stolen)
            // The other holder goes on with a new colleague.
            try await repository.rotate([.root], to: [other, try await repository.makeKey(for: .root)])
            try await scenario.publishSecond()
            try await scenario.expectRecovery(["app": "app 2"])
            try await scenario.expectRootsOfThief(stolen)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }
}

extension Scenario {
    /// A thief of one root key makes the next root, and a world below it, with keys of their own.
    fileprivate func expectRootsOfThief(_ stolen: any SigningKey) async throws {
        let own = try await self.repository.makeKey(for: .root)
        let online = try await PrivateKey.generate(.p256)
        var named = self.repository.keys
        for role in [RoleName.targets, .snapshot, .timestamp] { named[role] = [online] }
        var evil = self.repository.targets
        evil.version += 1
        evil.targets["app"] = .content("malware")
        // First a root of the same root keys, signed by one of them; then one that vouches for itself.
        let attempts: [(keys: [any SigningKey], signers: [any SigningKey])] = [
            (named[.root] ?? [], [stolen]), ([stolen, own], [stolen, own]),
        ]
        for (keys, signers) in attempts {
            named[.root] = keys
            var root = try self.repository.rootPayload(named)
            root.version += 1
            let rootFile = try await self.repository.sign(root, with: signers)
            let targets = try await self.repository.sign(evil, with: [online])
            var files = [RoleName.targets: targets]
            if self.format == .notary { files[.root] = rootFile }
            var world = try await self.repository.world(
                with: files,
                snapshotKeys: [online],
                timestampKeys: [online]
            )
            world[.root] = rootFile
            self.attacker.serve(world)
            try await self.expectRefusal(.signature)
        }
    }
}
