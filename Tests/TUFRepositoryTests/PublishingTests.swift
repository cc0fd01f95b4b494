// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import TUF
import Testing

@testable import TUFRepository

@Suite("Publishing")
struct PublishingTests {
    @Test(
        "What was published is what a client reads, with keys of every scheme",
        arguments: [
            PrivateKey.Algorithm.ed25519, .p256, .p384, .rsa(bits: 2048),
        ]
    )
    func schemes(algorithm: PrivateKey.Algorithm) async throws {
        let test = try TestRepository()
        try await test.create(algorithm)
        try await test.add("a/b.txt", "one")
        let outcome = try await test.repository().publish()
        #expect(outcome.published.map(\.role) == [.targets, .snapshot, .timestamp])
        #expect(outcome.published.map(\.version) == [2, 2, 2])
        #expect(try TestClient.read("a/b.txt", from: test) == "one")
        #expect(try TestClient.read("a/c.txt", from: test) == nil)
    }

    @Test("Nothing staged, nothing due: nothing is written")
    func nothing() async throws {
        let test = try TestRepository()
        try await test.create()
        #expect(try await test.repository().publish().published.isEmpty)
        try await test.addAndPublish("a", "one")
        // The same again changes nothing.
        try await test.add("a", "one")
        #expect(try await test.repository().publish().published.isEmpty)
        #expect(try test.repository().stagedChanges().isEmpty)
    }

    @Test("A target is replaced and removed; a reader of before goes on with it")
    func replaceAndRemove() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        var before = test.client()
        try before.refresh()
        try await test.addAndPublish("a", "two")
        #expect(try before.download("a") == "one")
        #expect(try TestClient.read("a", from: test) == "two")
        try await test.repository().stage([.removeTarget("a", role: nil)])
        _ = try await test.repository().publish()
        #expect(try TestClient.read("a", from: test) == nil)
        try before.refresh()
        #expect(try before.download("a") == nil)
    }

    @Test("Without consistent snapshots, names carry neither versions nor hashes")
    func inconsistent() async throws {
        let test = try TestRepository()
        try await test.create(isConsistent: false)
        try await test.addAndPublish("a", "one")
        try await test.addAndPublish("a", "two")
        #expect(try TestClient.read("a", from: test) == "two")
        let names = Set(try LocalFiles(test.path).list("metadata"))
        #expect(names.isSuperset(of: ["1.root.json", "targets.json", "snapshot.json", "timestamp.json"]))
        _ = try await test.repository().verify()
        #expect(try LocalFiles(test.path).list("targets") == ["a"])
    }

    @Test(
        "Paths that would leave the directory, or be no file name everywhere, are refused when they are staged",
        arguments: [
            "../a", "a/../b", "/a", "a//b", ".", "", "a/", "a\\b", "a\u{0}b", "a\nb",
        ]
    )
    func hostilePaths(path: String) async throws {
        let test = try TestRepository()
        try await test.create()
        await #expect(throws: RepositoryError(.invalid, "")) { try await test.add(path, "x") }
        #expect(try test.repository().stagedChanges().isEmpty)
    }

    @Test("Two publishers at once: nothing of either is lost")
    func twoPublishers() async throws {
        let test = try TestRepository()
        try await test.create()
        let source = try test.directory.file("source", "x")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    try await test.repository().add("file-\(number)", file: source)
                    _ = try await test.repository().publish()
                }
            }
            try await group.waitForAll()
        }
        var client = test.client()
        try client.refresh()
        for number in 0..<8 { #expect(try client.download("file-\(number)") == "x") }
    }

    @Test("Reset drops what is staged and its content")
    func reset() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.add("a", "one")
        try await test.repository().reset()
        #expect(try await test.repository().publish().published.isEmpty)
        #expect(try LocalFiles(test.path).list("staged/content").isEmpty)
    }

    @Test("A second repository is not made over the first")
    func exists() async throws {
        let test = try TestRepository()
        try await test.create()
        await #expect(throws: RepositoryError(.exists, "")) { try await test.create() }
    }

    @Test("What clients would refuse is not published: nothing is written")
    func refused() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        try await test.add("a", "two")
        // The root ends, and nobody has renewed it.
        test.clock.advance(days: 366)
        let before = try Set(LocalFiles(test.path).list("metadata"))
        await #expect(throws: TUFError(.expired, "")) { try await test.repository().publish() }
        #expect(try Set(LocalFiles(test.path).list("metadata")) == before)
        try await test.repository().stage([.renew(.root)])
        _ = try await test.repository().publish()
        #expect(try TestClient.read("a", from: test) == "two")
    }

    @Test("A repository that somebody changed is not published from", arguments: ["2.snapshot.json", "2.targets.json"])
    func tampered(name: String) async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        let path = "\(test.path)/metadata/\(name)"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacing("\"version\":2", with: "\"version\":3").write(
            toFile: path,
            atomically: false,
            encoding: .utf8
        )
        try await test.add("b", "two")
        await #expect(throws: TUFError(.mismatch, "")) { try await test.repository().publish() }
    }

    @Test("Verify finds content that is not what is listed, and says what is not there")
    func content() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.addAndPublish("a", "one")
        let elsewhere = TargetFile(length: 3, hashes: Hashes(of: Array("xyz".utf8)))
        try await test.repository().stage([.addTarget("elsewhere", elsewhere, role: nil)])
        _ = try await test.repository().publish()
        let result = try await test.repository().verify()
        #expect(result.absent == ["elsewhere"])
        #expect(result.files == 2)
        let name = try #require(try LocalFiles(test.path).list("targets").first)
        try "two".write(toFile: "\(test.path)/targets/\(name)", atomically: false, encoding: .utf8)
        await #expect(throws: TUFError(.mismatch, "")) { try await test.repository().verify() }
    }

    @Test("Every kind of change reads back from its file")
    func changes() async throws {
        let key = try await MemoryKeys().make(.p256)
        var file = TargetFile(length: 3, hashes: Hashes(of: [1, 2, 3]))
        file.custom = ["note": "a \"quoted\"\nline"]
        let role = RoleName("role")
        let changes: [StagedChange] = [
            .addTarget("a/\u{e9} b", file, role: nil), .addTarget("a", file, role: role),
            .removeTarget("a", role: nil), .removeTarget("a", role: role), .removeDelegation(role), .renew(role),
            .delegate(
                .init(
                    role: role,
                    delegator: .targets,
                    addKeys: [key],
                    removeKeys: [KeyID("x")],
                    threshold: 2,
                    addPaths: ["a"],
                    removePaths: ["b"],
                    isByHash: true,
                    isTerminating: false
                )
            ),
            .delegate(.init(role: role)),
            .bins(.init(count: 4, keys: [key], threshold: 1, prefix: "p", isSuccinct: true)),
            .keys(.init(role: .root, add: [key], remove: [KeyID("x")], replacesAll: true, threshold: 3)),
        ]
        for change in changes { #expect(try StagedChange(change.bytes) == change) }
        #expect(throws: RepositoryError(.malformed, "")) { try StagedChange(Array("{\"change\":\"other\"}".utf8)) }
        #expect(throws: RepositoryError(.malformed, "")) { try StagedChange(Array("[".utf8)) }
    }
}
