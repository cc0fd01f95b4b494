// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import TUF
import Testing

@testable import TUFRepository

@Suite("A crash between any two changes of files")
struct CrashTests {
    /// Runs a publish again and again, each time letting it die one change later, from the same beginning.
    /// - Parameters:
    ///   - stage: stages what is published.
    ///   - before: what the path `a` names before.
    ///   - after: and after.
    ///   - allowsRefusal: whether readers may be refused, but get nothing wrong.
    private func crashEverywhere(
        _ test: TestRepository,
        before: String,
        after: String,
        allowsRefusal: Bool = false
    ) async throws {
        var reader = test.client()
        try reader.refresh()
        #expect(try reader.download("a") == before)
        let backup = test.directory.path + "/backup"
        try FileManager.default.copyItem(atPath: test.path, toPath: backup)
        var crashes = 0
        while true {
            try FileManager.default.removeItem(atPath: test.path)
            try FileManager.default.copyItem(atPath: backup, toPath: test.path)
            let isDone = try await self.publish(test, dyingAfter: crashes)
            for var client in [reader.moved(to: LocalFiles(test.path)), test.client()] {
                do {
                    try client.refresh()
                    let found = try client.download("a")
                    #expect(found == before || found == after)
                } catch {
                    #expect(allowsRefusal, "after \(crashes) changes: \(error)")
                }
            }
            // The next publish goes on, and whoever has read before or never gets the new.
            _ = try await test.repository().publish()
            for var client in [reader.moved(to: LocalFiles(test.path)), test.client()] {
                try client.refresh()
                #expect(try client.download("a") == after, "after \(crashes) changes")
            }
            #expect(try test.repository().stagedChanges().isEmpty)
            #expect(try test.repository().pending.names().isEmpty)
            _ = try await test.repository().verify()
            if isDone { break }
            crashes += 1
        }
        #expect(crashes >= 4)
    }

    private func publish(_ test: TestRepository, dyingAfter changes: Int) async throws -> Bool {
        do {
            _ = try await test.repository(FailingFiles(test.path, after: changes)).publish()
            return true
        } catch is FailingFiles.Crash {
            return false
        }
    }

    @Test("Targets: readers get the repository before or after, and the next publish goes on")
    func targets() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        try await test.add("a", "two")
        try await self.crashEverywhere(test, before: "one", after: "two")
    }

    @Test("All keys at once, with the old ones at hand: no reader is refused at any moment")
    func rotation() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        try await test.add("a", "two")
        for role in RoleName.topLevel {
            let key = try await test.keys.make(.p256)
            try await test.repository().stage([.keys(.init(role: role, add: [key], replacesAll: true))])
        }
        try await self.crashEverywhere(test, before: "one", after: "two")
    }

    @Test("Lost online keys: readers may be refused until the next publish, which goes on")
    func lostKeys() async throws {
        let test = try TestRepository()
        let keys = try await test.create()
        try await test.addAndPublish("a", "one")
        try await test.add("a", "two")
        for role in [RoleName.timestamp, .snapshot] {
            if let key = keys[role] { test.keys.forget(key) }
            let key = try await test.keys.make()
            try await test.repository().stage([.keys(.init(role: role, add: [key], replacesAll: true))])
        }
        try await self.crashEverywhere(test, before: "one", after: "two", allowsRefusal: true)
    }

    @Test("A new delegation with its first target")
    func delegation() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        let key = try await test.keys.make()
        try await test.repository().stage([
            .delegate(.init(role: RoleName("alice"), addKeys: [key], addPaths: ["*"])),
            .removeTarget("a", role: .targets),
        ])
        try await test.add("a", "two", role: RoleName("alice"))
        try await self.crashEverywhere(test, before: "one", after: "two")
    }

    @Test("Metadata that waited for signatures")
    func pending() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        try await test.add("a", "two")
        let other = MemoryKeys()
        let key = try await other.make()
        try await test.repository().stage([.keys(.init(role: .targets, add: [key], threshold: 2))])
        #expect(try await test.repository().publish().pending.map(\.role) == [.targets])
        let signed = try await test.repository().ceremonies().first { $0.role == .targets }
        var ceremony = try #require(signed)
        try await ceremony.sign(with: try await other.signingKeys(among: [key], for: .targets))
        _ = try await test.repository().merge(ceremony.metadata, role: .targets)
        try await self.crashEverywhere(test, before: "one", after: "two")
    }

    @Test("Files that are replaced in place: readers may be refused until the next publish, but get nothing wrong")
    func inconsistent() async throws {
        let test = try TestRepository()
        try await test.create(isConsistent: false)
        try await test.addAndPublish("a", "one")
        try await test.add("a", "two")
        try await self.crashEverywhere(test, before: "one", after: "two", allowsRefusal: true)
    }

    @Test("Setting up: the same again makes the repository")
    func beginning() async throws {
        for crashes in 0... {
            let test = try TestRepository()
            var signers: [RoleName: Signers] = [:]
            for role in RoleName.topLevel { signers[role] = .init(keys: [try await test.keys.make()]) }
            do {
                _ = try await test.repository(FailingFiles(test.path, after: crashes)).create(signers: signers)
                #expect(crashes > 6)
                break
            } catch is FailingFiles.Crash {}
            // Made so far that it can go on, or not at all.
            do {
                _ = try await test.repository().publish()
            } catch let error as RepositoryError where error.code == .noRepository {
                _ = try await test.repository().create(signers: signers)
            }
            try await test.addAndPublish("a", "one")
            #expect(try TestClient.read("a", from: test) == "one")
            _ = try await test.repository().verify()
        }
    }

    @Test("Putting metadata where it waits for signatures: all of it waits, or none")
    func waiting() async throws {
        for crashes in 0... {
            let test = try TestRepository()
            try await test.create()
            let holder = MemoryKeys()
            let key = try await holder.make()
            let alice = RoleName("alice")
            try await test.repository().stage([.delegate(.init(role: alice, addKeys: [key], addPaths: ["*"]))])
            try await test.add("a", "one", role: alice)
            var isDone = false
            do {
                _ = try await test.repository(FailingFiles(test.path, after: crashes)).publish()
                isDone = true
            } catch is FailingFiles.Crash {}
            _ = try await test.repository().publish()
            _ = try await test.repository(keys: holder).publish()
            _ = try await test.repository().publish()
            #expect(try TestClient.read("a", from: test) == "one", "after \(crashes) changes")
            #expect(try test.repository().stagedChanges().isEmpty)
            if isDone { break }
        }
    }
}
