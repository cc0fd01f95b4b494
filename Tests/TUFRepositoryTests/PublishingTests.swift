// SPDX-License-Identifier: Apache-2.0

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
}
