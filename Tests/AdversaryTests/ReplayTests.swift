// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import TUF
import Testing

/// What was good once and is shown again, and what was never good together.
@Suite("Replay")
struct ReplayTests {
    @Test("an older timestamp is a rollback", arguments: bothFormats)
    func timestamp(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let old = try await scenario.repository.current(.timestamp)
            try await scenario.publishSecond()
            _ = try await scenario.reader.update()
            scenario.attacker.serve([.timestamp: old])
            try await scenario.expectRefusal(.rollback)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("an older snapshot below a newer timestamp is a rollback", arguments: bothFormats)
    func snapshot(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let old = try await scenario.repository.current(.snapshot)
            try await scenario.publishSecond()
            _ = try await scenario.reader.update()
            // It takes the timestamp's key to list it.
            let timestamp = try await scenario.repository.timestamp(
                of: old,
                by: scenario.repository.keys[.timestamp] ?? []
            )
            scenario.attacker.serve([.timestamp: timestamp, .snapshot: old])
            try await scenario.expectRefusal(.rollback)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("older targets below a newer snapshot are a rollback", arguments: bothFormats)
    func targets(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let old = try await scenario.repository.current(.targets)
            try await scenario.publishSecond()
            _ = try await scenario.reader.update()
            // It takes the keys of timestamp and snapshot to list them.
            let world = try await scenario.repository.worldOfThief(with: [.targets: old])
            scenario.attacker.serve(world)
            try await scenario.expectRefusal(.rollback, moving: world.filter { $0.key == .timestamp })
            try await scenario.repository.rotate([.timestamp, .snapshot])
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("an older root, with all that belonged to it, is refused", arguments: bothFormats)
    func root(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            var old: [RoleName: [UInt8]] = [:]
            for role in RoleName.topLevel { old[role] = try await scenario.repository.current(role) }
            try await scenario.repository.rotate([.timestamp])
            try await scenario.publishSecond()
            _ = try await scenario.reader.update()
            scenario.attacker.serve(old)
            // TUF's client asks for the next root, and gets an older one. Notary's asks only when what it gets is not signed.
            try await scenario.expectRefusal(format == .tuf ? .rollback : .signature)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test(
        "metadata of another moment than the one above it lists is refused",
        arguments: bothFormats,
        [RoleName.snapshot, .targets]
    )
    func mixAndMatch(_ format: WireFormat, _ role: RoleName) async throws {
        try await Scenario.with(format) { scenario in
            let old = try await scenario.repository.current(role)
            try await scenario.publishSecond()
            scenario.attacker.serve([role: old])
            let moving = try await scenario.newest(before: role)
            try await scenario.expectRefusal(.rollback, moving: moving)
            try await scenario.expectRefusal(.rollback, of: try scenario.readyNewcomer(), moving: moving)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test(
        "a version alone tells metadata of another moment, where no hash is listed",
        arguments: [RoleName.snapshot, .targets]
    )
    func mixAndMatchWithoutHashes(_ role: RoleName) async throws {
        try await Scenario.with(.tuf, listsHashes: false) { scenario in
            let old = try await scenario.repository.current(role)
            try await scenario.publishSecond()
            let moving = try await scenario.newest(before: role)
            scenario.attacker.serve([role: old])
            try await scenario.expectRefusal(.rollback, moving: moving)
            scenario.attacker.serve([role: try await scenario.repository.current(.timestamp)])
            try await scenario.expectRefusal(.signature)
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test(
        "a repository that is kept from going on works as long as its timestamp says, and no longer",
        arguments: bothFormats
    )
    func freeze(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            scenario.attacker.serve([.timestamp: try await scenario.repository.current(.timestamp)])
            try await scenario.publishSecond()
            scenario.clock.advance(days: 13)
            var view = try await scenario.reader.update()
            #expect(try await view.find("app")?.file == .content("app 1"))
            scenario.clock.advance(days: 2)
            try await scenario.expectRefusal(.expired)
            try await scenario.repository.renew()
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("a root that is kept from being followed works as long as it says, and no longer", arguments: bothFormats)
    func frozenRoot(_ format: WireFormat) async throws {
        try await Scenario.with(format, rootDays: 30) { scenario in
            scenario.repository.rootDays = 3650
            try await scenario.repository.rotate([.root])
            scenario.attacker.answer(.root, .status(.notFound))
            scenario.clock.advance(days: 31)
            try await scenario.repository.renew()
            try await scenario.expectRefusal(.expired)
            try await scenario.expectRecovery()
        }
    }

    @Test(
        "versions that thieves run up lock clients out until the keys are replaced, and not for longer",
        arguments: bothFormats,
        [[RoleName.timestamp], [.snapshot, .timestamp]]
    )
    func fastForward(_ format: WireFormat, _ stolen: [RoleName]) async throws {
        try await Scenario.with(format) { scenario in
            let repository = scenario.repository
            var world = try await repository.worldOfThief(version: 1_000_000)
            if !stolen.contains(.snapshot) {
                world = [
                    .timestamp: try await repository.timestamp(
                        of: try await repository.current(.snapshot),
                        version: 1_000_000,
                        by: repository.keys[.timestamp] ?? []
                    )
                ]
            }
            scenario.attacker.serve(world)
            let view = try await scenario.reader.update()
            #expect(view.metadata.timestamp?.payload.version == 1_000_000)
            scenario.stopAttack()
            try await scenario.expectRefusal(.rollback)
            try await repository.rotate(stolen)
            try await scenario.publishSecond()
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }
}

extension Scenario {
    /// The second version of `app`.
    func publishSecond() async throws {
        try self.repository.set("app", "app 2")
        try await self.repository.publish()
    }
}
