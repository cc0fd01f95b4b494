// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import Updater

/// A refresh that finds nothing new does not read what was verified before. That may put off the moment at which something is
/// noticed, and nothing else.
struct NothingNewTests {
    /// A repository with one target, and a directory into which it was refreshed.
    private static func refreshed(
        consistent: Bool = true
    ) async throws -> (repository: TestRepository, directory: TestDirectory) {
        var repository = try await TestRepository()
        repository.isConsistent = consistent
        try await repository.publishRoot()
        try repository.add("a", "content")
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        _ = repository.transport.takeRequests()
        return (repository, directory)
    }

    /// Says of the files that are there that they were verified, as somebody would who can write into the directory.
    private static func forgeNote(
        _ repository: TestRepository,
        _ directory: TestDirectory,
        until expires: Expiry? = nil
    ) async throws {
        let root = try #require(directory.read("root.json"))
        let timestamp: Verified<Timestamp> = try UnverifiedMetadata(
            try #require(directory.read("timestamp.json")),
            format: .tuf
        ).verified(
            by: RoleKeys(role: .timestamp, keys: (repository.keys[.timestamp] ?? []).map(\.publicKey), threshold: 1)
        )
        let (snapshot, targets) = ("\(directory.path)/snapshot.json", "\(directory.path)/targets.json")
        try VerifiedFiles.note(
            "\(directory.path)/.verified",
            VerifiedState(
                snapshotPath: snapshot,
                targetsPath: targets,
                root: root,
                listing: timestamp.payload.snapshot
            ),
            try #require(try StoredFile.open(snapshot)).identity,
            try #require(try StoredFile.open(targets)).identity,
            until: expires ?? repository.expires
        )
    }

    private static func isUnread(_ repository: TrustedRepository) -> Bool {
        repository.trusted.timestamp != nil && repository.trusted.snapshot == nil
            && repository.trusted.targets[.targets] == nil
    }

    /// Whether a refresh finds nothing new.
    private static func leavesUnread(_ updater: Updater) async throws -> Bool {
        Self.isUnread(try await updater.refresh())
    }

    @Test("what was verified is not read again before something is looked up, and then verified in full")
    func deferred() async throws {
        let (repository, directory) = try await Self.refreshed()
        var again = try await repository.updater(directory).refresh()
        #expect(Self.isUnread(again))
        #expect(try await again.find("a").role == .targets)
        #expect(again.trusted.snapshot?.payload.version == 1)
        #expect(repository.transport.takeRequests().count == 2)
        // Offline as well, and for lists.
        var cached = try await repository.updater(directory).cached(maximumAge: .seconds(60))
        #expect(Self.isUnread(cached))
        #expect(try await cached.list().map(\.path.text) == ["a"])
        try await again.verify()
    }

    @Test("a new timestamp of the same snapshot is nothing new, a new snapshot is")
    func newTimestamp() async throws {
        var (repository, directory) = try await Self.refreshed()
        try await repository.publishTimestamp(FileMetadata(version: 1))
        #expect(try await Self.leavesUnread(repository.updater(directory)))
        try await repository.publish()
        #expect(try await !Self.leavesUnread(repository.updater(directory)))
        #expect(try await Self.leavesUnread(repository.updater(directory)))
    }

    @Test(
        "the same version under other hashes is looked at: other bytes are refused, these are not",
        arguments: [true, false]
    )
    func newHashes(_ areRight: Bool) async throws {
        var (repository, directory) = try await Self.refreshed()
        var listing = FileMetadata(of: areRight ? try #require(directory.read("snapshot.json")) : [1, 2, 3])
        listing.version = 1
        try await repository.publishTimestamp(listing)
        let code = try await failure {
            let isUnread = try await Self.leavesUnread(repository.updater(directory))
            #expect(!isUnread)
        }
        #expect(code == (areRight ? nil : .rollback))
    }

    @Test("a file that was touched is read", arguments: ["snapshot.json", "targets.json"], ["replaced", "in place"])
    func touched(_ name: String, _ how: String) async throws {
        let (repository, directory) = try await Self.refreshed()
        let good = try #require(directory.read(name))
        if how == "replaced" {
            try FileManager.default.removeItem(atPath: "\(directory.path)/\(name)")
            try directory.write(name, good.reversed())
        } else {
            let handle = try #require(FileHandle(forWritingAtPath: "\(directory.path)/\(name)"))
            try handle.write(contentsOf: Data([0x5B]))
            try handle.close()
        }
        let healed = try await repository.updater(directory).refresh()
        #expect(!Self.isUnread(healed))
        #expect(directory.read(name) == good)
        #expect(try await Self.leavesUnread(repository.updater(directory)))
    }

    @Test(
        "damage that goes unnoticed is found when something is looked up: healed online, refused offline",
        arguments: ["snapshot.json", "targets.json"],
        ["noise", "truncated", "foreign"]
    )
    func forged(_ name: String, _ damage: String) async throws {
        for isConsistent in [true, false] {
            let (repository, directory) = try await Self.refreshed(consistent: isConsistent)
            let good = try #require(directory.read(name))
            var foreign = try await TestRepository()
            try foreign.add("a", "evil")
            try await foreign.publish()
            let other = TestDirectory()
            _ = try await foreign.updater(other).refresh()
            let bad =
                switch damage {
                case "noise": [UInt8](repeating: 0x20, count: good.count)
                case "truncated": Array(good.dropLast())
                default: try #require(other.read(name))
                }
            try directory.write(name, bad)
            try await Self.forgeNote(repository, directory)
            var cached = try await repository.updater(directory).cached(maximumAge: .seconds(60))
            #expect(Self.isUnread(cached))
            #expect(try await failure { _ = try await cached.find("a") } == .signature)
            try await Self.forgeNote(repository, directory)
            var online = try await repository.updater(directory).refresh()
            #expect(Self.isUnread(online))
            #expect(try await online.find("a").file == TestRepository.target("content"))
            #expect(directory.read(name) == good)
            // And the next one does not rely on it.
            #expect(try await !Self.leavesUnread(repository.updater(directory)))
        }
    }

    @Test("good files of an earlier state are no way back, whatever the note says", arguments: [true, false])
    func rolledBack(_ listsHashes: Bool) async throws {
        var (repository, directory) = try await Self.refreshed()
        let old = try ["snapshot.json", "targets.json"].map { ($0, try #require(directory.read($0))) }
        repository.listsHashes = listsHashes
        try repository.add("a", "fixed content")
        try await repository.publish()
        _ = try await repository.updater(directory).refresh()
        for (name, bytes) in old { try directory.write(name, bytes) }
        try await Self.forgeNote(repository, directory)
        var cached = try await repository.updater(directory).cached(maximumAge: .seconds(60))
        #expect(try await failure { _ = try await cached.find("a") } == .rollback)
        try await Self.forgeNote(repository, directory)
        var online = try await repository.updater(directory).refresh()
        #expect(try await online.find("a").file == TestRepository.target("fixed content"))
    }

    @Test("what has expired is found at once, or with a forged note when something is looked up")
    func expired() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        repository.targets.version = 1
        repository.targets.expires = Expiry(repository.clock.now.addingTimeInterval(100))
        try await repository.publishBelowTargets()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        repository.clock.advance(99)
        #expect(try await Self.leavesUnread(repository.updater(directory)))
        repository.clock.advance(1)
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .expired)
        #expect(
            try await failure { _ = try await repository.updater(directory).cached(maximumAge: .seconds(60)) }
                == .expired
        )
        try await Self.forgeNote(repository, directory)
        var forged = try await repository.updater(directory).refresh()
        #expect(try await failure { _ = try await forged.find("a") } == .expired)
    }

    @Test(
        "new keys or thresholds in a root have everything verified",
        arguments: [RoleName.snapshot, .targets],
        [1, 2]
    )
    func rotated(_ role: RoleName, _ threshold: Int64) async throws {
        var (repository, directory) = try await Self.refreshed()
        let old = repository.keys[role] ?? []
        repository.threshold[role] = threshold
        // With a threshold of 2, the key that has signed stays and is no longer enough.
        try await repository.rotate(role, to: threshold == 2 ? old + [try TestKey()] : [try TestKey()])
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .signature)
        // Whoever keeps the new root from us cannot keep it from what is shipped with the application.
        let updater = Updater(
            transport: repository.transport,
            directory: directory.path,
            trustedRoot: repository.transport[.metadata(.root, version: repository.rootVersion)],
            now: { [clock = repository.clock] in clock.now }
        )
        #expect(try await failure { _ = try await updater.refresh() } == .signature)
        try await repository.publish()
        _ = try await repository.updater(directory).refresh()
    }

    @Test("what another process finds meanwhile neither changes what was refreshed nor is taken back")
    func overtaken() async throws {
        for isConsistent in [true, false] {
            var (repository, directory) = try await Self.refreshed(consistent: isConsistent)
            var behind = try await repository.updater(directory).refresh()
            #expect(Self.isUnread(behind))
            try repository.add("a", "newer content")
            try await repository.publish()
            _ = try await repository.updater(directory).refresh()
            let newest = ["timestamp.json", "snapshot.json", "targets.json"].map { directory.read($0) }
            _ = repository.transport.takeRequests()
            #expect(try await behind.find("a").file == TestRepository.target("content"))
            #expect(repository.transport.takeRequests().isEmpty)
            #expect(["timestamp.json", "snapshot.json", "targets.json"].map { directory.read($0) } == newest)
            #expect(try await Self.leavesUnread(repository.updater(directory)))
        }
    }

    @Test("a look-up that cannot reach the repository to heal what is damaged can be made again")
    func again() async throws {
        let (repository, directory) = try await Self.refreshed()
        try directory.write("targets.json", [1])
        try await Self.forgeNote(repository, directory)
        var current = try await repository.updater(directory).refresh()
        let file = RepositoryFile.metadata(.targets, version: 1)
        let good = repository.transport[file]
        repository.transport[file] = nil
        #expect(try await failure { _ = try await current.find("a") } == .noTrustData)
        repository.transport[file] = good
        #expect(try await current.find("a").file == TestRepository.target("content"))
    }

    @Test(
        "a note that is none is as good as none",
        arguments: ["", "\n", "2040-01-01T00:00:00Z", "2040-01-01T00:00:00Z\n", String(repeating: "9", count: 10_000)]
    )
    func unreadableNote(_ note: String) async throws {
        let (repository, directory) = try await Self.refreshed()
        try directory.write(".verified", Array(note.utf8))
        #expect(try await !Self.leavesUnread(repository.updater(directory)))
        #expect(try await Self.leavesUnread(repository.updater(directory)))
    }

    @Test("the note of another directory is none: a copy is verified")
    func copied() async throws {
        let (repository, directory) = try await Self.refreshed()
        let copy = TestDirectory()
        for name in [".verified", ".refreshed", "root.json", "timestamp.json", "snapshot.json", "targets.json"] {
            try copy.write(name, try #require(directory.read(name)))
        }
        #expect(try await !Self.leavesUnread(repository.updater(copy)))
    }
}
