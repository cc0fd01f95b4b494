// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import KeyStore
import NotaryAPI
import TUF
import Testing
import TrustClient

@Suite("Collections of any files, against a real server")
struct ManagedCollectionTests {
    private let gun = "example.com/tools/app"

    private func collection(
        _ user: TestUser,
        _ name: String? = nil,
        server: String? = nil,
        passphrases: any PassphraseSource = FixedPassphrase(Passphrase("correct horse"))
    ) throws -> ManagedCollection {
        ManagedCollection(
            try GUN(name ?? self.gun),
            settings: try user.settings(server: server),
            passphrases: passphrases
        )
    }

    private func keys(_ user: TestUser) async throws -> [RoleName] {
        try await KeyStore(trustDirectory: user.trustDirectory).list().map(\.role).sorted()
    }

    private func file(_ text: String) -> TargetFile {
        TargetFile(length: Int64(text.utf8.count), hashes: Hashes(of: Array(text.utf8)))
    }

    @Test("what one user stages and publishes another looks up and verifies; staging asks nobody")
    func publishing() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let collection = try self.collection(alice)
            let root = try await collection.initialize()
            #expect(try await collection.status().known?.wasRead == false)
            try await self.collection(alice, server: "https://127.0.0.1:1").stage([.add("v1", self.file("one"))])
            #expect(try await collection.status().staged.map(\.path) == ["v1"])
            let publication = try await collection.publishInitialized()
            #expect(publication.isFirst)
            #expect(publication.roles == [.root, .targets, .snapshot])
            #expect(publication.newRootKeyIDs.isEmpty)
            #expect(try await collection.status().staged.isEmpty)

            let files = TrustedFiles(settings: try bob.settings())
            let answer = try await files.lookup(try GUN(self.gun), "v1")
            #expect(answer.value.file == self.file("one"))
            #expect(answer.firstUse?.rootKeyIDs == [root])
            try FileManager.default.createDirectory(atPath: bob.directory, withIntermediateDirectories: true)
            try "one".write(toFile: bob.path("one"), atomically: true, encoding: .utf8)
            _ = try await files.verify(try GUN(self.gun), "v1", .file(bob.path("one")), to: .file(bob.path("out")))
            #expect(bob.exists("out"))
            let missing = await trustCode { _ = try await files.lookup(try GUN(self.gun), "v2") }
            #expect(missing == .notSigned)
        }
    }

    @Test("a collection that nobody knows is made by the first publish of something, and by no publish of nothing")
    func firstPublish() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let collection = try self.collection(alice)
            #expect(await trustCode { _ = try await collection.publish() } == .noTrustData)
            #expect(try await self.keys(alice).isEmpty)
            // One that cannot be published leaves nothing either.
            let nobody = RoleName("targets/nobody")
            #expect(
                await trustCode { _ = try await collection.publish([.add("v1", self.file("1"), to: nobody)]) }
                    == .invalid
            )
            #expect(try await self.keys(alice).isEmpty)
            #expect(try await collection.status().known == nil)
            #expect(try await collection.status().staged.isEmpty)
            let publication = try await collection.publish([.add("v1", self.file("1"))])
            #expect(publication.newRootKeyIDs.count == 1)
            #expect(try await self.keys(alice) == [.root, .snapshot, .targets])
        }
    }

    @Test("a change that is published at once is taken back when that fails; what was staged before stays")
    func takenBack() async throws {
        try await TestServices.run { services in
            let collection = try self.collection(try services.user("alice"))
            _ = try await collection.publish([.add("v1", self.file("1"))])
            try await collection.stage([.add("before", self.file("2"))])
            services.fault.set(.refusesUploads)
            #expect(await trustCode { _ = try await collection.publish([.add("v3", self.file("3"))]) } == .unreachable)
            #expect(try await collection.status().staged.map(\.path) == ["before"])
            services.fault.set(.none)
            #expect(try await collection.publish().roles == [.targets, .snapshot])
            #expect(try await collection.status().staged.isEmpty)
        }
    }

    @Test("a collection whose keys cannot all be stored, or that exists, is not begun: no key is left")
    func failedInitialization() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let one = try self.collection(alice, passphrases: RootOnly())
            await #expect(throws: KeyStoreError.self) { _ = try await one.initialize() }
            #expect(try await self.keys(alice).isEmpty)
            #expect(try await one.status().known == nil)
            _ = try await self.collection(alice).initialize()
            _ = try await self.collection(alice).publishInitialized()
            let again = await trustCode { _ = try await self.collection(alice).initialize() }
            #expect(again == .invalid)
            let others = await trustCode { _ = try await self.collection(bob).initialize() }
            #expect(others == .invalid)
            #expect(try await self.keys(bob).isEmpty)
        }
    }

    @Test("a collection that the server does not answer for stays initialised, and the next publish brings it there")
    func unansweredFirstPublish() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let collection = try self.collection(alice)
            services.fault.set(.refusesUploads)
            #expect(await trustCode { _ = try await collection.publish([.add("v1", self.file("1"))]) } == .unreachable)
            #expect(try await self.keys(alice) == [.root, .snapshot, .targets])
            services.fault.set(.none)
            #expect(try await collection.publish().isFirst)
        }
    }

    @Test("keys rotate, to imported ones too; a rotation that is refused leaves no key behind")
    func rotation() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let collection = try self.collection(alice)
            _ = try await collection.initialize()
            // One that is only initialised is published first.
            let targets = try await collection.rotateKey(of: .targets, serverManaged: false)
            #expect(targets.keyIDs.count == 1)
            #expect(try await collection.rotateKey(of: .snapshot, serverManaged: true).keyIDs.isEmpty)
            #expect(try await self.keys(alice) == [.root, .targets])

            let key = try await PrivateKey.generate(.p256)
            let pem = try PrivateKeyPEM(key, attributes: KeyAttributes(role: RoleName("")), passphrase: Passphrase(""))
            let path = alice.path("key.pem")
            try pem.serialized().write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.createDirectory(atPath: bob.directory, withIntermediateDirectories: true)
            let refused = await trustCode {
                _ = try await self.collection(bob).rotateKey(of: .targets, serverManaged: false, keyFiles: [path])
            }
            #expect(refused == .noSigningKey)
            #expect(try await self.keys(bob).isEmpty)
            let rotation = try await collection.rotateKey(of: .targets, serverManaged: false, keyFiles: [path])
            #expect(rotation.keyIDs == [key.publicKey.id])
            #expect(try await self.keys(alice) == [.root, .targets])
            _ = try await collection.publish([.add("v1", self.file("1"))])

            for (role, isServers) in [(RoleName.targets, true), (.timestamp, false), (RoleName("targets/a"), false)] {
                let code = await trustCode { _ = try await collection.rotateKey(of: role, serverManaged: isServers) }
                #expect(code == .invalid)
            }
        }
    }

    @Test(
        "what no publish could make is not staged",
        arguments: [
            Change.add("", TargetFile(length: 0, hashes: Hashes(of: []))), .remove("v1", from: .snapshot),
            .add("v1", TargetFile(length: .max, hashes: Hashes(of: []))), .witness(.root),
            .remove("v1", from: RoleName("targets/UPPER")), Change(action: .create, role: .root, subject: .role),
        ]
    )
    func invalidChanges(change: Change) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "managed-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let user = TestUser(directory: directory, docker: "\(directory)/docker", server: "https://127.0.0.1:1")
        let collection = try self.collection(user)
        #expect(await trustCode { try await collection.stage([.witness(.targets), change]) } == .invalid)
        #expect(try await collection.status().staged.isEmpty)
    }

    @Test("an image with its tag is not taken for a collection")
    func imageName() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "managed-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let user = TestUser(directory: directory, docker: "\(directory)/docker", server: "https://127.0.0.1:1")
        for name in ["example.com/tools/app:v1", "127.0.0.1:5000/app@sha256:00"] {
            let error = await #expect(throws: ContentTrustError.self) {
                try await self.collection(user, name).stage([.witness(.targets)])
            }
            #expect(error?.code == .reference)
        }
        try await self.collection(user, "127.0.0.1:5000/app").stage([.witness(.targets)])
    }

    @Test("deletion forgets it here, or everywhere, and never the keys")
    func deletion() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let collection = try self.collection(alice)
            _ = try await collection.publish([.add("v1", self.file("1"))])
            try await collection.stage([.remove("v1")])
            try await collection.delete(remotely: false)
            #expect(try await collection.status().known == nil)
            #expect(try await collection.status().staged.isEmpty)
            _ = try await TrustedFiles(settings: try bob.settings()).lookup(try GUN(self.gun), "v1")
            try await collection.delete(remotely: true)
            let files = TrustedFiles(settings: try services.user("carol").settings())
            #expect(await trustCode { _ = try await files.list(try GUN(self.gun)) } == .noTrustData)
            #expect(try await self.keys(alice) == [.root, .snapshot, .targets])
        }
    }
}

/// Has a passphrase for root keys alone.
private struct RootOnly: PassphraseSource {
    func passphrase(for request: PassphraseRequest) -> Passphrase? {
        request.role == .root ? Passphrase("correct horse") : nil
    }
}
