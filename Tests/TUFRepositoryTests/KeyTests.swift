// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import TUF
import Testing

@testable import TUFRepository

@Suite("Keys")
struct KeyTests {
    @Test("A reader that knows the first root alone follows a chain of rotations", arguments: RoleName.topLevel)
    func rotation(role: RoleName) async throws {
        let test = try TestRepository()
        try await test.create()
        var before = test.client()
        try before.refresh()
        for number in 1...3 {
            let key = try await test.keys.make()
            try await test.repository().stage([.keys(.init(role: role, add: [key], replacesAll: true))])
            let outcome = try await test.repository().publish()
            #expect(!outcome.hadGap)
            #expect(outcome.published.last?.role == .root)
            try await test.addAndPublish("a", "\(number)")
            #expect(try TestClient.read("a", from: test) == "\(number)")
            try before.refresh()
            #expect(try before.download("a") == "\(number)")
        }
        #expect(before.collection?.root?.payload.version == 4)
        let signers = try before.collection?.root?.payload.keys(of: role).keys.count
        #expect(signers == 1)
    }

    @Test("A root is not published without the old threshold, nor without the new")
    func rootThresholds() async throws {
        let test = try TestRepository()
        let old = try #require(try await test.create()[.root])
        let stranger = MemoryKeys()
        let key = try await stranger.make()
        try await test.repository().stage([.keys(.init(role: .root, add: [key], replacesAll: true))])
        // Only the old key is here.
        let first = try await test.repository().publish()
        #expect(first.published.isEmpty)
        let progress = try #require(first.pending.first?.progress)
        #expect(progress.map(\.isMet) == [true, false])
        #expect(progress.map(\.missing) == [[], [key.id]])
        #expect(progress.map(\.signed) == [[old.id], []])
        #expect(try LocalFiles(test.path).exists("metadata/2.root.json") == false)
        // And only the new.
        try await test.repository().reset()
        try await test.repository().stage([.keys(.init(role: .root, add: [key], replacesAll: true))])
        let second = try await test.repository(keys: stranger).publish()
        #expect(second.pending.first?.progress.map(\.isMet) == [false, true])
        #expect(try LocalFiles(test.path).exists("metadata/2.root.json") == false)
    }

    @Test("A threshold that the role's keys cannot meet is refused when it is staged", arguments: [0, 3])
    func impossibleThreshold(threshold: Int64) async throws {
        let test = try TestRepository()
        try await test.create()
        let key = try await test.keys.make()
        await #expect(throws: RepositoryError(.invalid, "")) {
            try await test.repository().stage([.keys(.init(role: .targets, add: [key], threshold: threshold))])
        }
        #expect(try test.repository().stagedChanges().isEmpty)
    }

    @Test("Online roles are signed again when they are due, and not before")
    func refresh() async throws {
        let test = try TestRepository()
        try await test.create()
        #expect(try await test.repository().refresh().published.isEmpty)
        // A day's validity, of which the last third is the margin.
        test.clock.advance(days: 0.5)
        #expect(try await test.repository().refresh().published.isEmpty)
        test.clock.advance(days: 0.2)
        #expect(try await test.repository().refresh().published.map(\.role) == [.timestamp])
        #expect(try await test.repository().refresh().published.isEmpty)
        test.clock.advance(days: 6)
        #expect(try await test.repository().refresh().published.map(\.role) == [.snapshot, .timestamp])
        _ = try await test.repository().verify()
        test.clock.advance(days: 80)
        // What is signed offline is due too, but not for this.
        #expect(try await test.repository().refresh().published.map(\.role) == [.snapshot, .timestamp])
        #expect(try await test.repository().status().roles.filter(\.isDue).map(\.role) == [.targets])
        #expect(try await test.repository().refresh(includingOthers: true).published.first?.role == .targets)
        #expect(try await test.repository().status().roles.filter(\.isDue).map(\.role).isEmpty)
    }

    @Test("A refresh leaves staged changes staged")
    func refreshKeepsStaged() async throws {
        let test = try TestRepository()
        try await test.create()
        try await test.add("a", "one")
        test.clock.advance(days: 0.9)
        _ = try await test.repository().refresh()
        #expect(try TestClient.read("a", from: test) == nil)
        #expect(try test.repository().stagedChanges().count == 1)
    }

    @Test(
        "A public key reads back from its file",
        arguments: [
            PrivateKey.Algorithm.ed25519, .p256, .p384, .rsa(bits: 2048),
        ]
    )
    func publicKeyFiles(algorithm: PrivateKey.Algorithm) async throws {
        let key = try await PrivateKey.generate(algorithm).publicKey.spelled(in: .tuf)
        let text = try PublicKeyFile.text(key)
        #expect(try PublicKeyFile.key(Array(text.utf8)).id == key.id)
        #expect(throws: KeyStoreError(.malformed, "")) {
            try PublicKeyFile.key(Array(text.replacing("PUBLIC", with: "PRIVATE").utf8))
        }
    }

    @Test("Keys of a trust directory sign, under the passphrase that opens them")
    func storedKeys() async throws {
        let test = try TestRepository()
        let store = try await KeyStore(
            trustDirectory: test.directory.path + "/trust",
            encryption: .notary(iterations: 2048)
        )
        let stored = StoredSigningKeys(store, passphrases: FixedPassphrase(Passphrase("open sesame")))
        var signers: [RoleName: Signers] = [:]
        for role in RoleName.topLevel { signers[role] = .init(keys: [try await stored.generate(.p256, for: role)]) }
        // Another process has to unlock them.
        let again = StoredSigningKeys(store, passphrases: FixedPassphrase(Passphrase("open sesame")))
        let repository = StaticRepository(directory: test.path, keys: again) { [clock = test.clock] in clock.now }
        #expect(try await repository.create(signers: signers).published.count == 4)
        let wrong = StoredSigningKeys(store, passphrases: FixedPassphrase(Passphrase("wrong wrong")))
        let locked = StaticRepository(directory: test.path, keys: wrong) { [clock = test.clock] in clock.now }
        try await test.repository().stage([.renew(.targets)])
        await #expect(throws: KeyStoreError(.attemptsExceeded, "")) { try await locked.publish() }
    }

    @Test("Keys of several roles are made all or, without a passphrase for one, not at all")
    func allOrNone() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try await KeyStore(trustDirectory: directory, encryption: .notary(iterations: 2048))
        let some = StoredSigningKeys(store, passphrases: PassphraseForSome(roles: [.root, .targets]))
        await #expect(throws: KeyStoreError.self) {
            _ = try await some.generate(.ed25519, for: [.root, .targets, .snapshot])
        }
        #expect(try await store.list().isEmpty)
        let made = try await some.generate(.ed25519, for: [.root, .targets])
        #expect(made.count == 2)
        #expect(try await store.list().count == 2)
    }
}

private struct PassphraseForSome: PassphraseSource {
    let roles: Set<RoleName>

    func passphrase(for request: PassphraseRequest) async throws -> Passphrase? {
        self.roles.contains(request.role) ? Passphrase("open sesame") : nil
    }
}
