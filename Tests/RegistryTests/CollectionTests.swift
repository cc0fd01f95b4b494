// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import Logging
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import Registry

@Suite("Collection", .onEveryDatabase)
struct CollectionTests {
    private static let day: TimeInterval = 86_400

    /// Collects, with the policy changed.
    @discardableResult
    private func collect(
        _ fixture: RegistryFixture,
        _ mode: Collector.Mode = .collect,
        items: Items = Items(),
        change: (inout CollectionPolicy) -> Void = { _ in }
    ) async throws -> CollectionSummary {
        var policy = fixture.registry.collector.policy
        change(&policy)
        let original = fixture.registry.collector
        let collector = Collector(
            original.contents,
            policy: policy,
            clock: original.clock,
            logger: original.logger
        )
        var observer = ChoreObserver()
        observer.item = { items.add($0) }
        return try #require(try await collector.run(mode, walksStorage: true, observer: observer))
    }

    final class Items: Sendable {
        private let items = LockedItems()
        func add(_ item: CollectedItem) { self.items.value.withLock { $0.append(item) } }
        var all: [CollectedItem] { self.items.value.withLock { $0 } }
        func digests(_ kind: CollectedItem.Kind) -> Set<String> {
            Set(self.all.filter { $0.kind == kind }.compactMap(\.digest))
        }
    }

    private func status(_ fixture: RegistryFixture, _ path: String) async throws -> Int {
        try await fixture.send(.HEAD, "/v2/\(path)").status
    }

    private static func untagged(_ policy: inout CollectionPolicy) { policy.untagged = .remove(after: 60) }

    @Test("takes a blob that no manifest uses, with its bytes, when nobody has asked for it within the grace time")
    func unusedBlob() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushBlob([1, 2, 3], to: "a")
            try await fixture.pushImage("used", to: "a", as: "latest")
            fixture.clock.advance(by: Self.day - 10)
            #expect(try await self.status(fixture, "a/blobs/\(digest)") == 200)
            fixture.clock.advance(by: Self.day - 10)
            #expect(try await self.collect(fixture).blobs == 0)
            fixture.clock.advance(by: 20)
            let summary = try await self.collect(fixture)
            #expect(summary.blobs == 1)
            #expect(summary.bytes == 3)
            #expect(try await self.status(fixture, "a/blobs/\(digest)") == 404)
            #expect(try fixture.files("blobs").count == 2)
            #expect(try await self.status(fixture, "a/manifests/latest") == 200)
        }
    }

    @Test("keeps every untagged manifest unless it is told otherwise")
    func keepsUntagged() async throws {
        try await RegistryFixture.run { fixture in
            let old = try await fixture.pushImage("old", to: "a", as: "latest")
            try await fixture.pushImage("new", to: "a", as: "latest")
            fixture.clock.advance(by: 400 * Self.day)
            #expect(try await self.collect(fixture) == CollectionSummary())
            #expect(try await self.status(fixture, "a/manifests/\(old)") == 200)
        }
    }

    @Test("counts the age of an untagged manifest from when its tag went")
    func untaggedSince() async throws {
        try await RegistryFixture.run { fixture in
            let old = try await fixture.pushImage("old", to: "a", as: "latest")
            fixture.clock.advance(by: 100 * Self.day)
            try await fixture.pushImage("new", to: "a", as: "latest")
            #expect(try await self.collect(fixture, change: Self.untagged).manifests == 0)
            fixture.clock.advance(by: Self.day + 1)
            let items = Items()
            try await self.collect(fixture, items: items, change: Self.untagged)
            #expect(items.digests(.manifest) == [old.description])
            #expect(items.digests(.blob).count == 2)
        }
    }

    @Test("keeps what an index with a tag lists, and what is about it, however it is nested")
    func held() async throws {
        try await RegistryFixture.run { fixture in
            let child = try await fixture.imageContent("child", to: "a")
            let inner = Samples.index([child])
            let outer = Samples.index([inner], of: Samples.indexType)
            _ = try await fixture.putManifest(child, to: "a", as: Digest(hashing: child).description)
            let innerDigest = Digest(hashing: inner)
            _ = try await fixture.putManifest(inner, to: "a", as: "\(innerDigest)", type: Samples.indexType)
            _ = try await fixture.putManifest(outer, to: "a", as: "all", type: Samples.indexType)
            // About the child, which has no tag itself; and about that.
            let subject = ",\"subject\":\(Samples.descriptor(Samples.imageType, child))"
            let signature = try await fixture.imageContent("signature", to: "a", more: subject)
            _ = try await fixture.putManifest(signature, to: "a", as: Digest(hashing: signature).description)
            let more = ",\"subject\":\(Samples.descriptor(Samples.imageType, signature))"
            let countersignature = try await fixture.imageContent("countersignature", to: "a", more: more)
            _ = try await fixture.putManifest(
                countersignature,
                to: "a",
                as: Digest(hashing: countersignature).description
            )
            fixture.clock.advance(by: 10 * Self.day)
            #expect(try await self.collect(fixture, change: Self.untagged) == CollectionSummary())

            // All of it goes with the tag, at once.
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/all").status == 202)
            fixture.clock.advance(by: 2 * Self.day)
            let items = Items()
            try await self.collect(fixture, .dryRun, items: items, change: Self.untagged)
            let summary = try await self.collect(fixture, change: Self.untagged)
            #expect(summary.manifests == 5)
            #expect(summary.blobs == 6)
            #expect(summary.repositories == 1)
            #expect(items.digests(.manifest).count == 5)
            #expect(items.digests(.blob).count == 6)
            #expect(try fixture.files("blobs") == [])
        }
    }

    @Test("keeps what is held by an untagged index that is too young to go")
    func youngIndex() async throws {
        try await RegistryFixture.run { fixture in
            let child = try await fixture.imageContent("child", to: "a")
            let digest = Digest(hashing: child)
            _ = try await fixture.putManifest(child, to: "a", as: "\(digest)")
            let subject = ",\"subject\":\(Samples.descriptor(Samples.imageType, child))"
            let signature = try await fixture.imageContent("signature", to: "a", more: subject)
            _ = try await fixture.putManifest(signature, to: "a", as: Digest(hashing: signature).description)
            fixture.clock.advance(by: 5 * Self.day)
            let index = Samples.index([child])
            _ = try await fixture.putManifest(index, to: "a", as: "\(Digest(hashing: index))", type: Samples.indexType)
            #expect(try await self.collect(fixture, change: Self.untagged).manifests == 0)
            fixture.clock.advance(by: 2 * Self.day)
            #expect(try await self.collect(fixture, change: Self.untagged).manifests == 3)
        }
    }

    @Test("takes manifests that hold each other in a circle: an index about what it lists")
    func circle() async throws {
        try await RegistryFixture.run { fixture in
            let child = try await fixture.imageContent("child", to: "a")
            _ = try await fixture.putManifest(child, to: "a", as: "\(Digest(hashing: child))")
            var index = String(decoding: Samples.index([child]), as: UTF8.self)
            index.removeLast()
            index += ",\"subject\":\(Samples.descriptor(Samples.imageType, child))}"
            let bytes = Array(index.utf8)
            let reply = try await fixture.putManifest(
                bytes,
                to: "a",
                as: "\(Digest(hashing: bytes))",
                type: Samples.indexType
            )
            #expect(reply.status == 201)
            fixture.clock.advance(by: 2 * Self.day)
            #expect(try await self.collect(fixture, change: Self.untagged).manifests == 2)
        }
    }

    @Test("takes attached tags with their subject, and only with it", arguments: ["", ".sig", ".att", ".sbom"])
    func attachedTags(suffix: String) async throws {
        try await RegistryFixture.run { fixture in
            let image = try await fixture.pushImage("image", to: "a", as: "latest")
            let tag = "sha256-\(image.encoded)\(suffix)"
            try await fixture.pushImage("signature", to: "a", as: tag)
            // Of an image that is elsewhere.
            let foreign = "sha256-\(String(repeating: "0", count: 64))\(suffix)"
            try await fixture.pushImage("elsewhere", to: "a", as: foreign)
            fixture.clock.advance(by: 9 * Self.day)
            #expect(try await self.collect(fixture, change: Self.untagged) == CollectionSummary())
            try await fixture.pushImage("newer", to: "a", as: "latest")
            fixture.clock.advance(by: 2 * Self.day)
            let items = Items()
            try await self.collect(fixture, items: items, change: Self.untagged)
            #expect(items.all.compactMap(\.tag) == [tag])
            #expect(items.digests(.manifest).count == 2)
            #expect(try await self.status(fixture, "a/manifests/\(foreign)") == 200)
            // Unless what has no subject shall go.
            fixture.clock.advance(by: 2 * Self.day)
            let tags = try await self.collect(fixture) { $0.removesOrphanedReferrers = true }.tags
            #expect(tags == 1)
            #expect(try await self.status(fixture, "a/manifests/\(foreign)") == 404)
        }
    }

    @Test("takes referrers whose subject a client deleted where that is wanted, and no others")
    func orphanedReferrers() async throws {
        try await RegistryFixture.run { fixture in
            let image = try await fixture.imageContent("image", to: "a")
            let digest = Digest(hashing: image)
            _ = try await fixture.putManifest(image, to: "a", as: "latest")
            let subject = ",\"subject\":\(Samples.descriptor(Samples.imageType, image))"
            let signature = try await fixture.imageContent("signature", to: "a", more: subject)
            _ = try await fixture.putManifest(signature, to: "a", as: "\(Digest(hashing: signature))")
            let plain = try await fixture.pushImage("untagged", to: "a")
            fixture.clock.advance(by: 2 * Self.day)
            #expect(try await self.collect(fixture) { $0.removesOrphanedReferrers = true }.manifests == 0)
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(digest)").status == 202)
            #expect(try await self.collect(fixture).manifests == 0)
            #expect(try await self.collect(fixture) { $0.removesOrphanedReferrers = true }.manifests == 1)
            #expect(try await self.status(fixture, "a/manifests/\(plain)") == 200)
        }
    }

    @Test("takes the tags that no rule keeps, which a ready reply does not outlive")
    func retention() async throws {
        try await RegistryFixture.run { fixture in
            for number in 1...4 {
                try await fixture.pushImage("\(number)", to: "team/app", as: "v\(number)")
                fixture.clock.advance(by: 10)
            }
            #expect(try await self.status(fixture, "team/app/manifests/v1") == 200)
            let rule = RetentionRules.Rule(
                repositories: [try NamePattern("team/**")],
                keep: RetentionRules.Keep(newest: 2),
                untagged: .remove(after: 1)
            )
            let items = Items()
            try await self.collect(fixture, .dryRun, items: items) { $0.retention = RetentionRules(rules: [rule]) }
            #expect(items.all.compactMap(\.tag).sorted() == ["v1", "v2"])
            #expect(try await self.status(fixture, "team/app/manifests/v1") == 200)
            let summary = try await self.collect(fixture) { $0.retention = RetentionRules(rules: [rule]) }
            #expect(summary.tags == 2)
            // The images were seen just now.
            #expect(summary.manifests == 0)
            #expect(try await self.status(fixture, "team/app/manifests/v1") == 404)
            fixture.clock.advance(by: 2 * Self.day)
            #expect(try await self.collect(fixture) { $0.retention = RetentionRules(rules: [rule]) }.manifests == 2)
            #expect(try await self.status(fixture, "team/app/manifests/v4") == 200)
        }
    }

    @Test("takes the link of a repository to a blob that only others use")
    func links() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushImage("shared", to: "a", as: "latest")
            let layer = try await fixture.pushBlob(Array("layer of shared".utf8), to: "b")
            fixture.clock.advance(by: 2 * Self.day)
            let summary = try await self.collect(fixture)
            #expect(summary.links == 1)
            #expect(summary.blobs == 0)
            #expect(try await self.status(fixture, "b/blobs/\(layer)") == 404)
            #expect(try await self.status(fixture, "a/blobs/\(layer)") == 200)
        }
    }

    @Test("leaves bytes alone that it cannot remove, and tries again")
    func trash() async throws {
        try await RegistryFixture.run { fixture in
            let path = try await fixture.path(of: fixture.pushBlob([7], to: "a"))
            fixture.clock.advance(by: 2 * Self.day)
            // Not a file any more: it cannot be unlinked.
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let summary = try await self.collect(fixture)
            #expect(summary.blobs == 1)
            #expect(summary.failures == 1)
            try FileManager.default.removeItem(atPath: path)
            try Data([7]).write(to: URL(fileURLWithPath: path))
            #expect(try await self.collect(fixture).failures == 0)
            #expect(try fixture.files("blobs") == [])
        }
    }

    @Test("is done by one process at a time, until that dies or does not come back")
    func lease() async throws {
        try await RegistryFixture.run { fixture in
            let store = fixture.registry.collector.store
            let now = Int64(fixture.clock.now.timeIntervalSince1970)
            let other = ChoreLease(chore: .collection, holder: "elsewhere 1 x")
            var isTaken = try await store.take(other, at: now)
            #expect(isTaken)
            var summary = try await fixture.registry.collector.run(.collect, walksStorage: false)
            #expect(summary == nil)
            fixture.clock.advance(by: TimeInterval(ChoreLease.duration))
            summary = try await fixture.registry.collector.run(.collect, walksStorage: false)
            #expect(summary != nil)
            // What the other one goes on with comes to nothing.
            let database = fixture.database
            await #expect(throws: ChoreLeaseLost.self) {
                try await database.write { try RegistryStore.renew(other, at: now, on: $0) }
            }
            // A process of this machine that is no more; its number is larger than any.
            let holder = ChoreHolder.new().text.split(separator: " ")
            let dead = ChoreLease(chore: .collection, holder: "\(holder[0]) 2000000000 x")
            isTaken = try await store.take(dead, at: now + 1_000)
            #expect(isTaken)
            fixture.clock.advance(by: 1_000 - TimeInterval(ChoreLease.duration))
            summary = try await fixture.registry.collector.run(.collect, walksStorage: false)
            #expect(summary != nil)
        }
    }

    @Test("a lease that a wrong clock has given for ever is taken")
    func leaseFromTheFuture() async throws {
        try await RegistryFixture.run { fixture in
            let store = fixture.registry.collector.store
            let now = Int64(fixture.clock.now.timeIntervalSince1970)
            let wrong = ChoreLease(chore: .collection, holder: "elsewhere 1 x")
            let isTaken = try await store.take(wrong, at: now + 365 * 86_400)
            #expect(isTaken)
            #expect(try await fixture.registry.collector.run(.collect, walksStorage: false) != nil)
        }
    }

    @Test("a scrub reads what a wrong clock has marked as verified, and does not go on with what it began")
    func scrubFromTheFuture() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushBlob(Array("right".utf8), to: "a")
            let contents = fixture.registry.collector.contents
            // A year ahead, a scrub verified it and was ended.
            fixture.clock.advance(by: 365 * 86_400)
            let nothing = try await self.scrub(fixture)
            #expect(nothing.isEmpty)
            try await fixture.database.write {
                try $0.execute("UPDATE chores SET started_at = finished_at, finished_at = NULL WHERE name = 'scrub'")
            }
            fixture.clock.advance(by: -365 * 86_400)
            try Data("wrong".utf8).write(to: URL(fileURLWithPath: await fixture.path(of: digest)))
            let summary = try await Scrubber(contents, clock: { fixture.clock.now }, logger: Logger(label: "test"))
                .run(Scrubber.Options())
            #expect(summary?.resumed == false)
            #expect(summary?.problems == 1)
        }
    }

    @Test("a row that no registry wrote is told, and everything else is looked at all the same")
    func scrubInvalidRows() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushBlob(Array("right".utf8), to: "a")
            try await fixture.pushImage("image", to: "a", as: "latest")
            try Data("wrong".utf8).write(to: URL(fileURLWithPath: await fixture.path(of: digest)))
            try await fixture.database.write { connection in
                for digest in ["0", "sha256:short"] {
                    try connection.execute(
                        "INSERT INTO blobs (digest, size, location, created_at, seen_at) VALUES (?, 1, ?, 0, 0)",
                        .text(digest),
                        .text("../\(digest)")
                    )
                }
                try connection.execute(
                    """
                    INSERT INTO manifests (repository, digest, media_type, size, pushed_at, content)
                    VALUES ('A//b', 'none', 'x', 1, 0, ?)
                    """,
                    .blob(Data([1]))
                )
            }
            let problems = try await self.scrub(fixture)
            let expected = ["damagedBlob \(digest)", "invalidRow 0", "invalidRow none", "invalidRow sha256:short"]
            #expect(problems.keys.sorted() == expected)
        }
    }

    @Test("scrubbing finds wrong bytes, missing ones and wrong manifests, says who suffers, and a push repairs it")
    func scrub() async throws {
        try await RegistryFixture.run { fixture in
            let image = try await fixture.pushImage("one", to: "a", as: "latest")
            let other = try await fixture.pushImage("two", to: "b", as: "v2")
            let layer = Digest(hashing: Array("layer of one".utf8))
            let config = Digest(hashing: Array(#"{"created":"two"}"#.utf8))
            let nothing = try await self.scrub(fixture)
            #expect(nothing.isEmpty)
            try Data("layer of 0ne".utf8).write(to: URL(fileURLWithPath: await fixture.path(of: layer)))
            try await FileManager.default.removeItem(atPath: fixture.path(of: config))
            try await fixture.database.write {
                try $0.execute("UPDATE manifests SET content = ? WHERE repository = 'b'", .blob(Data("{}".utf8)))
            }
            #expect(try await self.status(fixture, "a/blobs/\(layer)") == 200)
            let problems = try await self.scrub(fixture)
            #expect(problems["damagedBlob \(layer)"] == ["a@\(image): latest"])
            #expect(problems["missingBytes \(config)"] == ["b@\(other): v2"])
            #expect(problems["damagedManifest \(other)"] == ["b@\(other): v2"])
            #expect(try await self.status(fixture, "a/blobs/\(layer)") == 404)
            #expect(try await self.status(fixture, "b/manifests/v2") == 404)
            let later = try await self.scrub(fixture)
            #expect(later["missingManifest \(other)"] == ["b@\(other): v2"])
            // Nothing of it is collected meanwhile.
            fixture.clock.advance(by: 5 * Self.day)
            #expect(try await self.collect(fixture, change: Self.untagged) == CollectionSummary())
            try await fixture.pushImage("one", to: "a", as: "latest")
            try await fixture.pushImage("two", to: "b", as: "v2")
            let repaired = try await self.scrub(fixture)
            #expect(repaired.isEmpty)
            #expect(try await fixture.send(.GET, "/v2/a/blobs/\(layer)").text == "layer of one")
        }
    }

    /// What is wrong, with who suffers.
    private func scrub(_ fixture: RegistryFixture) async throws -> [String: [String]] {
        let collector = fixture.registry.collector
        let scrubber = Scrubber(
            collector.contents,
            clock: collector.clock,
            logger: collector.logger
        )
        let found = LockedProblems()
        var observer = ScrubObserver()
        observer.problem = { problem in
            let places = problem.affected.map { "\($0.repository)@\($0.manifest): \($0.tags.joined(separator: " "))" }
            found.value.withLock { $0["\(problem.kind.rawValue) \(problem.digest)"] = places }
        }
        let summary = try #require(try await scrubber.run(Scrubber.Options(), observer: observer))
        let problems = found.value.withLock { $0 }
        #expect(summary.problems == Int64(problems.count))
        return problems
    }
}

private final class LockedItems: Sendable {
    let value = Mutex<[CollectedItem]>([])
}

private final class LockedProblems: Sendable {
    let value = Mutex<[String: [String]]>([:])
}
