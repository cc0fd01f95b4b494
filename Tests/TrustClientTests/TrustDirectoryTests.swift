// SPDX-License-Identifier: Apache-2.0

import Foundation
import NotaryAPI
import TUF
import Testing
import TrustClient

@Suite("The trust directory")
struct TrustDirectoryTests {
    private func path(_ scenario: Scenario, _ name: String) -> String {
        "\(scenario.directory)/reader/tuf/\(scenario.gun)/metadata/\(name)"
    }

    @Test("left-over temporary files are ignored")
    func temporaryFiles() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            for name in [".root.json.123.tmp", ".timestamp.json.9.tmp"] {
                try Data("{\"half".utf8).write(to: URL(fileURLWithPath: self.path(scenario, name)))
            }
            var view = try await scenario.client().update()
            #expect(try await view.lookup("v1") != nil)
        }
    }

    @Test("a damaged file is fetched again", arguments: ["timestamp.json", "snapshot.json", "targets.json"])
    func damaged(name: String) async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let good = scenario.kept()
            try Data("{\"signed\":{".utf8).write(to: URL(fileURLWithPath: self.path(scenario, name)))
            var view = try await scenario.client().update()
            #expect(try await view.lookup("v1") != nil)
            #expect(scenario.kept() == good)
        }
    }

    @Test("a damaged root is never replaced behind the user's back")
    func damagedRoot() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let path = self.path(scenario, "root.json")
            try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
            let error = await refusal { _ = try await scenario.client().update() }
            #expect(error?.code == .storage)
            #expect(error?.message.contains(path) == true)
            try FileManager.default.removeItem(atPath: path)
            #expect(try await scenario.client().update().firstUse != nil)
        }
    }

    @Test("names that lead out of it, or into another collection's files, are refused")
    func names() async throws {
        for text in ["", "/a", "a/", "a//b", "a/../../b", "..", "a/./b", "a\0b", String(repeating: "a", count: 256)] {
            #expect(throws: TUFError.self, "\(text)") { _ = try GUN(text) }
        }
        try await Scenario.with { scenario in
            let cache = scenario.client().cache
            for text in ["a/metadata/targets", "a/Metadata/TARGETS/b", "a\\..\\b"] {
                let gun = try GUN(text)
                #expect(await refusal { _ = try await cache.read(.root, of: gun) }?.code == .invalid)
            }
            for role in ["targets/../../x", "../root", "targets/", "x"] {
                #expect(await refusal { _ = try await cache.read(RoleName(role), of: scenario.gun) }?.code == .invalid)
            }
            #expect(try await cache.read(.root, of: try GUN("a/metadata")) == nil)
        }
    }

    @Test("a slower process does not put older files in the place of newer ones")
    func olderNeverReplacesNewer() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            // While the slow reader has the old timestamp in hand, another one sees the next publish.
            let slow = CollectionClient(
                gun: scenario.gun,
                transport: OvertakenTransport(base: scenario.server) {
                    _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
                    _ = try await scenario.client().update()
                },
                cache: scenario.client().cache,
                now: { scenario.clock.now }
            )
            #expect(try await slow.update().freshness?.version == 1)
            let kept = scenario.kept()
            for role in RoleName.topLevel { #expect(kept["\(role).json"] == scenario.server.current(role)) }
        }
    }

    @Test("of two first uses at once, the one that ends later does not put its root in the place of the other's")
    func racingFirstUse() async throws {
        try await Scenario.with { scenario in
            try await Scenario.with { attacker in
                let forged = [RoleName.root, .timestamp, .snapshot, .targets].map { attacker.server.current($0) }
                _ = try await scenario.client().update()
                let good = scenario.kept()
                let path = "\(scenario.directory)/reader/tuf/\(scenario.gun)/metadata/root.json"
                try FileManager.default.removeItem(atPath: path)
                // The honest update ends while the other one is being lied to.
                scenario.server.intercept { role, _ in
                    if role == .targets { try Data(good["root.json"] ?? []).write(to: URL(fileURLWithPath: path)) }
                    return forged[[RoleName.root, .timestamp, .snapshot, .targets].firstIndex(of: role) ?? 0]
                }
                #expect(await refusal { _ = try await scenario.client().update() }?.code == .storage)
                #expect(scenario.kept()["root.json"] == good["root.json"])
                scenario.server.behave()
                #expect(try await scenario.client().update().trusted.root?.bytes == good["root.json"])
            }
        }
    }

    @Test("many readers of one directory at once all get through, and leave it whole")
    func concurrent() async throws {
        try await Scenario.with { scenario in
            try await withThrowingTaskGroup(of: Int64?.self) { group in
                for _ in 0..<16 { group.addTask { try await scenario.client().update().freshness?.version } }
                for try await version in group { #expect(version == 1) }
            }
            let kept = scenario.kept()
            for role in RoleName.topLevel { #expect(kept["\(role).json"] == scenario.server.current(role)) }
            let names = try FileManager.default.contentsOfDirectory(atPath: self.path(scenario, ""))
            #expect(names.filter { !$0.hasSuffix(".json") }.isEmpty)
        }
    }

    @Test("deleting forgets a collection and its changes, and nothing of those below its name")
    func delete() async throws {
        try await Scenario.with { scenario in
            let client = scenario.client()
            _ = try await client.update()
            try await client.changelist.append(.remove("v1"), at: scenario.clock.now)
            let below = try GUN("\(scenario.gun)/metadata")
            let other = CollectionClient(gun: below, transport: scenario.server, cache: client.cache)
            try await other.changelist.append(.remove("x"), at: scenario.clock.now)
            #expect(try await client.cache.collections() == [scenario.gun])
            try await client.deleteLocal()
            #expect(scenario.kept().isEmpty)
            #expect(try await client.changelist.entries() == [])
            #expect(try await other.changelist.entries().count == 1)
            #expect(scenario.server.current(.root) != nil)
            try await client.deleteRemote()
            #expect(scenario.server.current(.root) == nil)
        }
    }
}

/// A server whose answer for the timestamp is on its way while something else happens.
final class OvertakenTransport: TrustTransport {
    let base: MemoryServer
    let meanwhile: @Sendable () async throws -> Void

    init(base: MemoryServer, _ meanwhile: @escaping @Sendable () async throws -> Void) {
        self.base = base
        self.meanwhile = meanwhile
    }

    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8] {
        let bytes = try await self.base.fetch(role, reference, of: gun, limit: limit)
        if role == .timestamp { try await self.meanwhile() }
        return bytes
    }

    func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws {
        try await self.base.upload(metadata, to: gun)
    }

    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.serverKey(for: role, of: gun)
    }

    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.rotateServerKey(for: role, of: gun)
    }

    func delete(_ gun: GUN) async throws { try await self.base.delete(gun) }
    func ping() async throws {}
}

@Suite("The changelist")
struct ChangelistTests {
    @Test("changes are written as notary writes them")
    func form() {
        func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }
        let file = TargetFile(length: 11, hashes: Hashes(["sha256": [1, 2, 3]]), custom: ["z": 1])
        let change = Change.add("v1", file)
        let data = "{\"length\":11,\"hashes\":{\"sha256\":\"AQID\"},\"custom\":{\"z\":1}}"
        #expect(text(change.data) == data)
        let whole =
            "{\"action\":\"create\",\"role\":\"targets\",\"type\":\"target\",\"path\":\"v1\",\"data\":\""
            + Base64.encode(Array(data.utf8)) + "\"}"
        #expect(String(decoding: change.bytes, as: UTF8.self) == whole)
        #expect(
            String(decoding: Change.remove("v1").bytes, as: UTF8.self)
                == "{\"action\":\"delete\",\"role\":\"targets\",\"type\":\"target\",\"path\":\"v1\",\"data\":null}"
        )
        #expect(text(Change.purgeKeys([KeyID("ab")]).data) == "{\"remove_keys\":[\"ab\"]}")
        let keys = Change.addKeys([PublicKey(type: .ecdsa, bytes: [1])], to: .releases)
        #expect(
            text(keys.data)
                == "{\"threshold\":1,\"add_keys\":[{\"keytype\":\"ecdsa\",\"keyval\":{\"private\":null,\"public\":\"AQ==\"}}]}"
        )
    }

    @Test(
        "every kind of change survives its file",
        arguments: [
            Change.add("v1", .content("x")), .remove("v1", from: .releases), .witness(.targets),
            .addKeys([PublicKey(type: .rsa, bytes: [9])], to: .releases), .addPaths(["", "a/"], to: .releases),
            .removePaths(nil, from: .releases), .removePaths(["a"], from: .releases), .removeDelegation(.releases),
        ]
    )
    func roundTrip(change: Change) throws {
        let read = try Change(change.bytes)
        #expect(read == change)
        if change.subject == .target, change.action == .create { #expect(try read.target() == .content("x")) }
    }

    @Test("changes of one moment, and of a clock that was set back, keep their order")
    func order() async throws {
        try await Scenario.with(published: false) { scenario in
            let list = scenario.client().changelist
            try await list.append((0..<5).map { .remove("\($0)") }, at: scenario.clock.now)
            scenario.clock.advance(days: -10)
            try await list.append(.remove("5"), at: scenario.clock.now)
            let entries = try await list.entries()
            #expect(entries.map(\.change.path) == ["0", "1", "2", "3", "4", "5"])
            for entry in entries {
                #expect(entry.name.wholeMatch(of: /[0-9]{20}_[0-9a-f-]{36}\.change/) != nil)
            }
            try await list.remove(at: [1, 3])
            #expect(try await list.entries().map(\.change.path) == ["0", "2", "4", "5"])
            #expect(await refusal { try await list.remove(at: [0, 9]) }?.code == .invalid)
            #expect(try await list.entries().count == 4)
        }
    }

    @Test("a file that is no change is named, and a reset removes it")
    func broken() async throws {
        try await Scenario.with(published: false) { scenario in
            let list = scenario.client().changelist
            try await list.append(.remove("a"), at: scenario.clock.now)
            let directory = "\(scenario.directory)/reader/tuf/\(scenario.gun)/changelist"
            try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(directory)/99_x.change"))
            let error = await refusal { _ = try await list.entries() }
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("99_x.change") == true)
            try await list.removeAll()
            #expect(try await list.entries() == [])
        }
    }
}
