// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import TUF
import Testing

@testable import TUFRepository

@Suite("Delegations")
struct DelegationTests {
    private let alice = RoleName("alice")

    @Test("A delegated role holds what its paths cover, below another role as well")
    func delegate() async throws {
        let test = try TestRepository()
        try await test.create()
        let keys = [try await test.keys.make(), try await test.keys.make()]
        let bob = RoleName("bob")
        try await test.repository().stage([
            .delegate(.init(role: self.alice, addKeys: keys, threshold: 2, addPaths: ["a/*"], isTerminating: true)),
            .delegate(.init(role: bob, delegator: self.alice, addKeys: [keys[0]], addPaths: ["a/b*"])),
        ])
        try await test.add("a/x", "alice", role: self.alice)
        try await test.add("a/b1", "bob", role: bob)
        try await test.add("other", "alice", role: self.alice)
        _ = try await test.repository().publish()
        #expect(try TestClient.read("a/x", from: test) == "alice")
        #expect(try TestClient.read("a/b1", from: test) == "bob")
        #expect(try TestClient.read("other", from: test) == nil)
        #expect(try await test.repository().list().map(\.path) == ["a/b1", "a/x"])
        #expect(try await test.repository().delegations().map(\.delegation.role.name) == [self.alice, bob])
        #expect(try await test.repository().verify(checksContent: true).roles == 6)
    }

    @Test("A path is found in the role that readers find it in; a key is purged from all delegations that have it")
    func findAndPurge() async throws {
        let test = try TestRepository()
        try await test.create()
        let (key, other) = (try await test.keys.make(), try await test.keys.make())
        let bob = RoleName("bob")
        try await test.repository().stage([
            .delegate(.init(role: self.alice, addKeys: [key, other], addPaths: ["a/*"])),
            .delegate(.init(role: bob, delegator: self.alice, addKeys: [key], addPaths: ["a/b*"])),
        ])
        try await test.add("a/b1", "bob", role: bob)
        try await test.add("other", "alice", role: self.alice)
        _ = try await test.repository().publish()
        #expect(try await test.repository().find("a/b1").role == bob)
        for path in ["other", "a/none"] {
            await #expect(throws: RepositoryError(.notSigned, "")) { try await test.repository().find(path) }
        }
        let edits = try await test.repository().edits(purging: [key.id])
        #expect(edits.map(\.role) == [self.alice, bob])
        #expect(edits.map(\.removeKeys) == [[key.id], [key.id]])
        #expect(try await test.repository().edits(purging: [other.id]).map(\.role) == [self.alice])
        #expect(try await test.repository().edits(purging: [KeyID("none")]).isEmpty)
    }

    @Test("New keys of a delegation sign what it has; those that are gone do not count any more")
    func rotate() async throws {
        let test = try TestRepository()
        try await test.create()
        let key = try await test.keys.make()
        try await test.repository().stage([.delegate(.init(role: self.alice, addKeys: [key], addPaths: ["*"]))])
        try await test.add("x", "one", role: self.alice)
        _ = try await test.repository().publish()
        test.keys.forget(key)
        let new = try await test.keys.make()
        try await test.repository().stage([.keys(.init(role: self.alice, add: [new], replacesAll: true))])
        #expect(
            try await test.repository().publish().published.map(\.role) == [
                self.alice, .targets, .snapshot, .timestamp,
            ]
        )
        #expect(try TestClient.read("x", from: test) == "one")
        let listed = try await test.repository().delegations().first
        #expect(listed?.keys == [new.id])
    }

    @Test("A delegation goes, and may come back under later versions")
    func remove() async throws {
        let test = try TestRepository()
        try await test.create()
        let key = try await test.keys.make()
        let add = StagedChange.delegate(.init(role: self.alice, addKeys: [key], addPaths: ["*"]))
        try await test.repository().stage([add])
        try await test.add("x", "one", role: self.alice)
        _ = try await test.repository().publish()
        var reader = test.client()
        try reader.refresh()
        try await test.repository().stage([.removeDelegation(self.alice)])
        _ = try await test.repository().publish()
        try reader.refresh()
        #expect(try reader.download("x") == nil)
        try await test.repository().stage([add])
        try await test.add("x", "two", role: self.alice)
        _ = try await test.repository().publish()
        try reader.refresh()
        #expect(try reader.download("x") == "two")
        #expect(reader.collection?.listed(self.alice)?.version == 2)
    }

    @Test("Bins take over what is there and what comes", arguments: [false, true], [2, 16, 32])
    func bins(isSuccinct: Bool, count: Int) async throws {
        let test = try TestRepository()
        try await test.create()
        for number in 0..<20 { try await test.add("early-\(number)", "e\(number)") }
        _ = try await test.repository().publish()
        let key = try await test.keys.make()
        try await test.repository().stage([.bins(.init(count: count, keys: [key], isSuccinct: isSuccinct))])
        #expect(try await test.repository().publish().published.count == count + 3)
        for number in 0..<20 { try await test.add("late-\(number)", "l\(number)") }
        _ = try await test.repository().publish()
        var client = test.client()
        try client.refresh()
        for number in 0..<20 {
            #expect(try client.download("early-\(number)") == "e\(number)")
            #expect(try client.download("late-\(number)") == "l\(number)")
        }
        #expect(client.collection?.targets[.targets]?.payload.targets.isEmpty == true)
        #expect(try await test.repository().status().binCount == count)
        // One more target is one more bin, not all of them.
        try await test.add("one more", "x")
        #expect(try await test.repository().publish().published.count == 3)
        _ = try await test.repository().verify()
    }

    @Test("Bins are signed again when they are due, and get new keys together", arguments: [false, true])
    func binKeys(isSuccinct: Bool) async throws {
        let test = try TestRepository()
        try await test.create()
        let key = try await test.keys.make()
        try await test.repository().stage([.bins(.init(count: 4, keys: [key], isSuccinct: isSuccinct))])
        _ = try await test.repository().publish()
        test.clock.advance(days: 70)
        #expect(try await test.repository().refresh().published.count == 6)
        let new = try await test.keys.make()
        try await test.repository().stage([.keys(.init(role: RoleName("bin"), add: [new], replacesAll: true))])
        test.keys.forget(key)
        #expect(try await test.repository().publish().published.count == 7)
        _ = try await test.repository().verify()
    }

    @Test(
        "Names that would be no file, or another role's file, are refused",
        arguments: [
            "a/b", "../x", "", ".hidden", "2.targets", "root", "timestamp", "-x", "a?b", "mirrors",
        ]
    )
    func names(name: String) async throws {
        let test = try TestRepository()
        try await test.create()
        let key = try await test.keys.make()
        await #expect(throws: RepositoryError(.invalid, "")) {
            try await test.repository().stage([.delegate(.init(role: RoleName(name), addKeys: [key], addPaths: ["*"]))])
        }
    }

    @Test("A delegation whose holder has not signed yet is not published before he has")
    func foreignHolder() async throws {
        let test = try TestRepository()
        try await test.create()
        let holder = MemoryKeys()
        let key = try await holder.make()
        try await test.repository().stage([.delegate(.init(role: self.alice, addKeys: [key], addPaths: ["*"]))])
        #expect(try await test.repository().publish().pending.map(\.role) == [self.alice])
        #expect(try await test.repository().delegations().isEmpty)
        // He signs in a copy of the directory.
        #expect(try await test.repository(keys: holder).publish().pending.isEmpty == false)
        #expect(try await test.repository().publish().published.first?.role == self.alice)
        #expect(try await test.repository().delegations().count == 1)
    }
}
