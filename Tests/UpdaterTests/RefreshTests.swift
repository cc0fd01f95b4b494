// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import Updater

struct RefreshTests {
    @Test("a fresh refresh asks for what it needs, another for what may be new", arguments: [true, false])
    func requests(_ isConsistent: Bool) async throws {
        var repository = try await TestRepository()
        repository.isConsistent = isConsistent
        try await repository.publishRoot(alsoBy: [])
        try repository.add("a", "content")
        try await repository.publish()
        let directory = TestDirectory()
        let updater = repository.updater(directory)
        _ = try await updater.refresh()
        let version: Int64? = isConsistent ? 1 : nil
        #expect(
            repository.transport.takeRequests() == [
                .metadata(.root, version: 2), .metadata(.root, version: 3), .metadata(.timestamp, version: nil),
                .metadata(.snapshot, version: version), .metadata(.targets, version: version),
            ]
        )
        #expect(directory.names() == ["root.json", "root_history", "snapshot.json", "targets.json", "timestamp.json"])
        #expect(directory.read("targets.json") == repository.transport[.metadata(.targets, version: version)])
        // More than once in a process, with the same updater.
        _ = try await updater.refresh()
        #expect(
            repository.transport.takeRequests() == [
                .metadata(.root, version: 3), .metadata(.timestamp, version: nil),
            ]
        )
        try await repository.publish()
        let newest = try await updater.refresh()
        #expect(newest.trusted.targets[.targets]?.payload.version == 2)
        #expect(repository.transport.takeRequests().count == 4)
    }

    @Test(
        "without consistent snapshots, a file that is newer than what lists it is refused, and taken when it is listed"
    )
    func inconsistent() async throws {
        var repository = try await TestRepository()
        repository.isConsistent = false
        try await repository.publishRoot()
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        let (snapshot, timestamp) = (
            repository.transport[.metadata(.snapshot, version: nil)],
            repository.transport[.metadata(.timestamp, version: nil)]
        )
        try await repository.publish()
        let newest = repository.transport[.metadata(.timestamp, version: nil)]
        repository.transport[.metadata(.timestamp, version: nil)] = timestamp
        // A mirror half way through: what is on disk still goes with the old timestamp.
        _ = try await repository.updater(directory).refresh()
        repository.transport[.metadata(.timestamp, version: nil)] = newest
        let current = repository.transport[.metadata(.snapshot, version: nil)]
        repository.transport[.metadata(.snapshot, version: nil)] = snapshot
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .rollback)
        repository.transport[.metadata(.snapshot, version: nil)] = current
        _ = try await repository.updater(directory).refresh()
    }

    @Test(
        "a refusal leaves what was trusted, and the next refresh goes on",
        arguments: [
            (RoleName.timestamp, UpdaterError.Code.rollback), (.snapshot, .rollback), (.targets, .rollback),
        ]
    )
    func rollback(_ role: RoleName, _ code: UpdaterError.Code) async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        let before = directory.read("\(role).json")
        switch role {
        case .timestamp:
            repository.versions[.timestamp] = 0
            try await repository.publishTimestamp(FileMetadata(version: 2))
        case .snapshot:
            repository.versions[.snapshot] = 0
            try await repository.publishBelowTargets()
        default:
            repository.targets.version = 1
            try await repository.publishBelowTargets()
        }
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == code)
        #expect(directory.read("\(role).json") == before)
        repository.versions = [.snapshot: 10, .timestamp: 10]
        repository.targets.version = 10
        try await repository.publish()
        _ = try await repository.updater(directory).refresh()
    }

    @Test("metadata expires at the very moment of its expiry")
    func expiry() async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let directory = TestDirectory()
        repository.clock.advance(repository.lifetime - 1)
        _ = try await repository.updater(directory).refresh()
        repository.clock.advance(1)
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .expired)
    }

    // MARK: Offline

    @Test("offline asks for nothing, and only uses what was refreshed lately and is in force")
    func offline() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        try await repository.publish()
        let directory = TestDirectory()
        let updater = repository.updater(directory)
        #expect(try await failure { _ = try await updater.cached(maximumAge: .seconds(60)) } == .noTrustData)
        _ = try await updater.refresh()
        _ = repository.transport.takeRequests()
        repository.clock.advance(3600)
        var cached = try await updater.cached(maximumAge: .seconds(3600))
        let target = try await cached.find("a")
        #expect(!cached.isFromRepository)
        // Nothing is fetched, not even what is known to be right.
        #expect(try await failure { try await cached.download(target, to: "\(directory.path)/a") } == .unreachable)
        try directory.write("a", Array("content".utf8))
        try await cached.download(target, to: "\(directory.path)/a")
        #expect(repository.transport.takeRequests().isEmpty)
        #expect(try await failure { _ = try await updater.cached(maximumAge: .seconds(3599)) } == .expired)
        repository.clock.advance(-7200)
        #expect(try await failure { _ = try await updater.cached(maximumAge: .seconds(3600)) } == .expired)
        repository.clock.advance(7200 + repository.lifetime)
        #expect(try await failure { _ = try await updater.cached(maximumAge: .seconds(1 << 40)) } == .expired)
    }

    // MARK: What is on disk

    @Test(
        "a file on disk that is damaged or another repository's is ignored, and healed",
        arguments: ["root.json", "timestamp.json", "snapshot.json", "targets.json", "a%2Fb.json"],
        ["truncated", "empty", "foreign", "directory", "noise"]
    )
    func heals(_ name: String, _ damage: String) async throws {
        var repository = try await TestRepository()
        try repository.delegate(to: "a/b", paths: ["*"], targets: ["x": "content"])
        try await repository.publish()
        let directory = TestDirectory()
        var before = try await repository.updater(directory).refresh()
        _ = try await before.find("x")
        let good = try #require(directory.read(name))
        let other = TestDirectory()
        var foreign = try await TestRepository()
        try foreign.delegate(to: "a/b", paths: ["*"], targets: ["x": "other"])
        for _ in 0..<3 { try await foreign.publish() }
        for _ in 0..<3 { try await foreign.publishRoot(alsoBy: foreign.keys[.root] ?? []) }
        var theirs = try await foreign.updater(other).refresh()
        _ = try await theirs.find("x")
        switch damage {
        case "truncated": try directory.write(name, Array(good.dropLast(good.count / 2)))
        case "empty": try directory.write(name, [])
        case "foreign": try directory.write(name, try #require(other.read(name)))
        case "directory":
            try FileManager.default.removeItem(atPath: "\(directory.path)/\(name)")
            try FileManager.default.createDirectory(
                atPath: "\(directory.path)/\(name)",
                withIntermediateDirectories: false
            )
        default: try directory.write(name, [0xFF, 0x00, 0x7B])
        }
        let code = try await failure {
            var healed = try await repository.updater(directory).refresh()
            _ = try await healed.find("x")
        }
        if damage == "directory" {
            // Not ours to remove, but it is said.
            #expect(code == .storage)
        } else {
            #expect(code == nil)
            #expect(directory.read(name) == good)
        }
    }

    @Test("a root of a chain that was tampered with on disk is fetched again")
    func healsHistory() async throws {
        var repository = try await TestRepository()
        try await repository.rotate(.timestamp, to: [try TestKey()])
        try await repository.rotate(.targets, to: [try TestKey()])
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        try directory.write("root_history/2.root.json", Array("{}".utf8))
        let after = try await repository.updater(directory).refresh()
        #expect(after.trusted.root?.payload.version == 3)
        #expect(directory.read("root_history/2.root.json") == repository.transport[.metadata(.root, version: 2)])
    }

    @Test("without a shipped root, trust begins with the one on disk, and with nothing if there is none")
    func noShippedRoot() async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let directory = TestDirectory()
        let updater = Updater(
            transport: repository.transport,
            directory: directory.path,
            trustedRoot: nil,
            now: { [clock = repository.clock] in clock.now }
        )
        #expect(try await failure { _ = try await updater.refresh() } == .noTrustData)
        #expect(repository.transport.takeRequests().isEmpty)
        let root = try #require(repository.transport[.metadata(.root, version: 1)])
        #expect(try await failure { try await updater.trust(root: Array(root.dropLast(300))) } == .signature)
        try await updater.trust(root: root)
        _ = try await updater.refresh()
    }

    @Test("a file that another process has brought further is not taken back")
    func keepsNewer() async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let (directory, other) = (TestDirectory(), TestDirectory())
        let behind = try await repository.updater(directory).refresh()
        try await repository.publish()
        _ = try await repository.updater(other).refresh()
        let newest = try #require(other.read("timestamp.json"))
        try directory.write("timestamp.json", newest)
        // The process that is behind writes what it has verified a moment ago.
        let old = try #require(behind.trusted.timestamp)
        let keys = try behind.trusted.keys(of: .timestamp)
        try await repository.updater(directory).keep(.timestamp, old.bytes, verifiedBy: keys, root: 1)
        #expect(directory.read("timestamp.json") == newest)
        // But what only claims to be newer is replaced.
        try directory.write(
            "timestamp.json",
            Array(String(decoding: newest, as: UTF8.self).replacing("\"version\":2", with: "\"version\":9").utf8)
        )
        try await repository.updater(directory).keep(.timestamp, old.bytes, verifiedBy: keys, root: 1)
        #expect(directory.read("timestamp.json") == old.bytes)
    }

    @Test("who has not seen the newest root takes nothing back that another process found under it")
    func keepsWhatANewerRootVouchesFor() async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let directory = TestDirectory()
        let behind = try await repository.updater(directory).refresh()
        try await repository.rotate(.timestamp, to: [try TestKey()])
        try await repository.publish()
        _ = try await repository.updater(directory).refresh()
        let newest = directory.read("timestamp.json")
        let old = try #require(behind.trusted.timestamp)
        let keys = try behind.trusted.keys(of: .timestamp)
        try await repository.updater(directory).keep(.timestamp, old.bytes, verifiedBy: keys, root: 1)
        #expect(directory.read("timestamp.json") == newest)
        // Nor does who has only just seen that root remove what was found under it.
        let root = try #require(repository.transport[.metadata(.root, version: 2)])
        try await repository.updater(directory).keep(root: root, version: 2, removing: [.timestamp])
        #expect(directory.read("timestamp.json") == newest)
        try FileManager.default.removeItem(atPath: "\(directory.path)/timestamp.json")
        try await repository.updater(directory).keep(.timestamp, old.bytes, verifiedBy: keys, root: 1)
        #expect(directory.read("timestamp.json") == nil)
    }

    @Test("many at once on one directory leave it good and current")
    func together() async throws {
        var repository = try await TestRepository()
        try repository.delegate(to: "r", paths: ["*"], targets: ["x": "content"])
        try await repository.publish()
        let directory = TestDirectory()
        for _ in 0..<4 {
            try await repository.rotate(.snapshot, to: [try TestKey()])
            try await repository.publish()
            let updater = repository.updater(directory)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var current = try await updater.refresh()
                        let target = try await current.find("x")
                        try await current.download(target, to: "\(directory.path)/x")
                    }
                }
                try await group.waitForAll()
            }
            #expect(directory.read("timestamp.json") == repository.transport[.metadata(.timestamp, version: nil)])
            #expect(directory.read("x") == Array("content".utf8))
        }
        var cached = try await repository.updater(directory).cached(maximumAge: .seconds(60))
        try await cached.verify()
        #expect(cached.trusted.targets[.targets]?.payload.version == repository.targets.version)
    }

    @Test(
        "a role's file cannot be another's, whatever its name",
        arguments: ["ROOT", "Timestamp", "../root", "root.json", "..", "%52oot", "a?b#c", "a\\b"]
    )
    func hostileRoleNames(_ name: String) async throws {
        var repository = try await TestRepository()
        try repository.delegate(to: name, paths: ["*"], targets: ["x": "content"])
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        _ = try await current.find("x")
        let names = directory.names()
        #expect(Set(names.map { $0.lowercased() }).count == names.count)
        #expect(names.count == 6)
    }
}
