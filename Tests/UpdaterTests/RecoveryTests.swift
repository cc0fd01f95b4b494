// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import Updater

/// What happens after keys were stolen.
struct RecoveryTests {
    @Test(
        "recovers from versions that a thief ran up once any key of the role is replaced, even if old signers remain",
        arguments: [RoleName.timestamp, .snapshot],
        [true, false]
    )
    func fastForward(_ role: RoleName, _ isPartial: Bool) async throws {
        var repository = try await TestRepository()
        let (kept, stolen) = (try TestKey(), try TestKey())
        try await repository.rotate(role, to: [kept, stolen])
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        // The thief runs it up; both keys have signed.
        repository.versions[role] = 2_147_483_647
        try await repository.publish()
        _ = try await repository.updater(directory).refresh()

        repository.versions = [.snapshot: 5, .timestamp: 5]
        try await repository.publish()
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .rollback)
        try await repository.rotate(role, to: isPartial ? [kept, try TestKey()] : [try TestKey()])
        try await repository.publish()
        let recovered = try await repository.updater(directory).refresh()
        #expect(recovered.trusted.timestamp?.payload.version == 7)
        #expect(recovered.trusted.snapshot?.payload.version == 7)
    }

    @Test("a new snapshot key frees the versions of targets as well")
    func targetsFastForward() async throws {
        var repository = try await TestRepository()
        repository.targets.version = 1_000_000
        try repository.delegate(to: "gone", paths: ["*"])
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        repository.targets = Targets(version: 0, expires: repository.expires)
        repository.delegated = [:]
        try await repository.publish()
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .rollback)
        try await repository.rotate(.snapshot, to: [try TestKey()])
        try await repository.publish()
        let recovered = try await repository.updater(directory).refresh()
        #expect(recovered.trusted.targets[.targets]?.payload.version == 2)
    }

    @Test("a recovery that breaks off between the root and the rest is not forgotten")
    func interruptedRecovery() async throws {
        var repository = try await TestRepository()
        repository.versions[.timestamp] = 2_147_483_647
        repository.versions[.snapshot] = 2_147_483_647
        repository.targets.version = 2_147_483_647
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        let old = repository.keys[.snapshot] ?? []
        repository.versions = [:]
        repository.targets.version = 0
        try await repository.rotate(.snapshot, to: old + [try TestKey()])
        repository.transport[.metadata(.timestamp, version: nil)] = nil
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .noTrustData)
        try await repository.publish()
        let recovered = try await repository.updater(directory).refresh()
        #expect(recovered.trusted.targets[.targets]?.payload.version == 1)
    }

    @Test("recovers as well when the new root comes with the application")
    func shippedRecovery() async throws {
        var repository = try await TestRepository()
        repository.versions[.timestamp] = 2_147_483_647
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        let old = repository.keys[.timestamp] ?? []
        repository.versions = [.snapshot: 5, .timestamp: 5]
        try await repository.rotate(.timestamp, to: old + [try TestKey()])
        try await repository.publish()
        let updater = Updater(
            transport: repository.transport,
            directory: directory.path,
            trustedRoot: repository.transport[.metadata(.root, version: 2)],
            now: { [clock = repository.clock] in clock.now }
        )
        #expect(try await updater.refresh().trusted.timestamp?.payload.version == 6)
    }

    @Test("roots are taken one version at a time, each signed by the one before it")
    func rootChain() async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        // The next root is one that the trusted one does not vouch for.
        let old = repository.keys[.root] ?? []
        repository.keys[.root] = [try TestKey()]
        try await repository.publishRoot()
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .signature)
        #expect(directory.read("root.json") == repository.transport[.metadata(.root, version: 1)])
        // A later one in its place.
        try await repository.publishRoot(alsoBy: old)
        let third = repository.transport[.metadata(.root, version: 3)]
        repository.transport[.metadata(.root, version: 2)] = third
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .rollback)
        repository.rootVersion = 1
        try await repository.publishRoot(alsoBy: old)
        repository.rootVersion = 2
        try await repository.publishRoot()
        let current = try await repository.updater(directory).refresh()
        #expect(current.trusted.root?.payload.version == 3)
    }

    @Test("an update follows so many roots and no more, and the next goes on from there")
    func rotationLimit() async throws {
        var repository = try await TestRepository()
        for _ in 0..<(WireFormat.rotationLimit + 2) { try await repository.publishRoot() }
        try await repository.publish()
        let directory = TestDirectory()
        let first = try await repository.updater(directory).refresh()
        #expect(first.trusted.root?.payload.version == Int64(WireFormat.rotationLimit) + 1)
        let second = try await repository.updater(directory).refresh()
        #expect(second.trusted.root?.payload.version == Int64(WireFormat.rotationLimit) + 3)
    }

    @Test("endless metadata is cut off at its bound", arguments: [RoleName.root, .timestamp, .snapshot, .targets])
    func endless(_ role: RoleName) async throws {
        var repository = try await TestRepository()
        repository.listsHashes = true
        try await repository.publish()
        let directory = TestDirectory()
        let file: RepositoryFile =
            switch role {
            case .root: .metadata(.root, version: 2)
            case .timestamp: .metadata(.timestamp, version: nil)
            default: .metadata(role, version: 1)
            }
        let good = repository.transport[file]
        repository.transport[file] = (good ?? []) + [UInt8](repeating: 0x20, count: WireFormat.rootLimit + 1)
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .rollback)
        repository.transport[file] = good
        _ = try await repository.updater(directory).refresh()
    }
}
