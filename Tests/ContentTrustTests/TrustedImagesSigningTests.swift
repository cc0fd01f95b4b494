// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import KeyStore
import NotaryAPI
import OCI
import RegistryClient
import TUF
import Testing
import TrustClient

private func refusal(_ body: () async throws -> Void) async -> ContentTrustError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ContentTrustError)?.code
    }
}

extension TestServices {
    /// Puts an image into the registry, as somebody does who signs nothing.
    @discardableResult
    fileprivate func pushUnsigned(_ text: String, _ names: String...) async throws -> Descriptor {
        let user = try self.user("builder")
        let path = user.path(UUID().uuidString)
        let descriptor = try SampleLayout.write(path, text)
        let client = try RegistryClient(
            registry: self.registry,
            credentials: try user.settings().registryCredentials,
            logger: silent
        )
        let source = try ImageSource(path: path, temporaryDirectory: user.directory)
        for name in names {
            let reference = try self.reference(name)
            _ = try await ImagePusher(client: client).push(
                source,
                descriptor,
                to: reference.repository,
                tag: reference.tag
            )
        }
        try await client.shutdown()
        return descriptor
    }

    fileprivate func references(_ names: String...) throws -> [ImageReference] {
        try names.map { try self.reference($0) }
    }
}

@Suite("Signing what is in a registry, against real servers")
struct TrustedImagesSigningTests {
    @Test("many tags of several repositories are signed by one publish for each collection")
    func manyTags() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let one = try await services.pushUnsigned("one", "team/app:v1", "team/app:latest", "team/other:v1")
            let two = try await services.pushUnsigned("two", "team/app:v2")
            let names = try services.references("team/app:v1", "team/app:latest", "team/other:v1", "team/app:v2")
            _ = services.fault.takePublishes()
            let signed = try await alice.images().sign(names)
            #expect(services.fault.takePublishes() == 2)
            #expect(signed.map(\.gun) == ["\(services.registry)/team/app", "\(services.registry)/team/other"])
            #expect(signed.map(\.newRootKeyIDs.count) == [1, 1])
            #expect(signed[0].images.map(\.target.digest) == [one.digest, one.digest, two.digest])
            #expect(signed[0].images.map(\.target.size) == [one.size, one.size, two.size])
            let bob = try services.user("bob")
            for (name, text) in [("team/app:v1", "one"), ("team/app:latest", "one"), ("team/app:v2", "two")] {
                try await bob.pull(try services.reference(name), text + name.suffix(2))
                #expect(try bob.layers(text + name.suffix(2)) == ["\(text) on amd64"])
            }
        }
    }

    @Test("an alias is for reading: what is signed, revoked or given a signer is what was named")
    func aliases() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let one = try await services.pushUnsigned("one", "team/app:v1")
            _ = try await services.pushUnsigned("two", "team/other:v1")
            let app = try services.reference("team/app:v1")
            let other = try services.reference("team/other:v1")
            try await alice.images().sign([other])
            let file = alice.path("client.yaml")
            try Data(
                "aliases: {'\(app.gun)': {content: '\(other.gun)', gun: '\(other.gun)'}}\n".utf8
            ).write(to: URL(fileURLWithPath: file))
            let images = TrustedImages(
                settings: try ClientSettings(
                    configurationFile: file,
                    environment: [
                        "DOCKER_CONFIG": alice.docker, "DOCKER_CONTENT_TRUST_SERVER": alice.server,
                        "HALLMARK_KEY_ITERATIONS": "10000",
                    ]
                ),
                passphrases: FixedPassphrase(Passphrase("correct horse")),
                logger: silent
            )
            let before = try await alice.images().resolve(other).digest
            #expect(try await images.resolve(app).digest == before)
            #expect(try await images.sign([app]).map(\.gun) == [app.gun])
            #expect(try await alice.images().resolve(app).digest == one.digest)
            let key = try await PrivateKey.generate(.p256).publicKey
            try await images.addSigner("bob", keys: [key], to: app)
            #expect(try await alice.images().inspect(other).signers.map(\.name).contains("bob") == false)
            #expect(try await alice.images().inspect(app).signers.map(\.name).contains("bob"))
            try await images.removeSigner("bob", from: app, force: true)
            _ = try await images.revoke(app, tag: nil)
            #expect(try await alice.images().resolve(other).digest == before)
            #expect(await trustCode { _ = try await alice.images().resolve(app) } != nil)
        }
    }

    @Test("a tag that has moved is not signed when its digest was named, and one with a digest is signed as that")
    func guardedByDigest() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let reference = try services.reference("team/app:v1")
            let seen = try await services.pushUnsigned("seen", "team/app:v1")
            let moved = try await services.pushUnsigned("moved", "team/app:v1")
            var options = TrustedImages.SigningOptions()
            options.expectedDigest = seen.digest
            #expect(await refusal { try await alice.images().sign([reference], options) } == .tagMoved)
            #expect(await trustCode { _ = try await alice.images().resolve(reference) } == .noTrustData)
            options.expectedDigest = moved.digest
            try await alice.images().sign([reference], options)
            #expect(try await alice.images().resolve(reference).digest == moved.digest)
            try await alice.images().sign([reference.with(digest: seen.digest)])
            #expect(try await alice.images().resolve(reference).digest == seen.digest)
            let missing = Digest(hashing: Array("nothing".utf8))
            var code: RegistryError.Code?
            do {
                try await alice.images().sign([reference.with(digest: missing)])
            } catch let error as RegistryError {
                code = error.code
            }
            #expect(code == .notFound)
        }
    }

    @Test("as docker trust sign: a new collection gets its signer, and a signed tag is signed again as what it was")
    func asDockerSigns() async throws {
        try await TestServices.run { services in
            let (alice, jane) = (try services.user("alice"), try services.user("jane"))
            let reference = try services.reference("team/app:v1")
            let first = try await services.pushUnsigned("first", "team/app:v1")
            var options = TrustedImages.SigningOptions()
            options.newSigner = "alice"
            options.keepsSignedDigests = true
            _ = services.fault.takePublishes()
            let signed = try await alice.images().sign([reference], options)
            #expect(services.fault.takePublishes() == 1)
            #expect(signed.first?.newSigner == "alice")
            #expect(signed.first?.images.first?.roles == [RoleName("targets/alice"), .releases])
            var repository = try await alice.images().inspect(reference)
            #expect(repository.tags.map(\.signers) == [["alice"]])
            #expect(repository.signers.map(\.name) == ["alice"])

            // The key of a signer who is added signs too; the tag has moved meanwhile, and that is not what she signs.
            let passphrases = FixedPassphrase(Passphrase("correct horse"))
            let key = try await PrivateKey.generate(.p256)
            let store = try await KeyStore(trustDirectory: jane.trustDirectory)
            _ = try await store.add(key, role: RoleName("jane"), passphrases: passphrases)
            let added = try await alice.images().addSigner("jane", keys: [key.publicKey], to: reference)
            #expect(added.newRootKeyIDs.isEmpty)
            try await services.pushUnsigned("moved", "team/app:v1")
            options.newSigner = "jane"
            try await jane.images().sign([reference], options)
            repository = try await jane.images().inspect(reference)
            #expect(repository.tags.map(\.digest) == [first.digest])
            #expect(repository.tags.map(\.signers) == [["alice", "jane"]])
        }
    }

    @Test("what is staged stays staged when tags are signed and revoked")
    func stagedChangesStay() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let reference = try services.reference("team/app:v1")
            try await services.pushUnsigned("one", "team/app:v1")
            try await alice.images().sign([reference])
            let managed = ManagedCollection(
                try GUN(reference.gun),
                settings: try alice.settings(),
                passphrases: FixedPassphrase(Passphrase("correct horse"))
            )
            try await managed.stage([.remove("elsewhere")])
            try await alice.images().sign([reference])
            _ = try await alice.images().revoke(reference, tag: reference.tag)
            #expect(try await managed.status().staged == [.remove("elsewhere")])
        }
    }

    @Test("a revoked tag counts for nobody; all tags go at once; what nobody signed cannot be revoked")
    func revocation() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            try await services.pushUnsigned("one", "team/app:v1", "team/app:v2", "team/app:v3")
            let names = try services.references("team/app:v1", "team/app:v2", "team/app:v3")
            var options = TrustedImages.SigningOptions()
            options.newSigner = "alice"
            try await alice.images().sign(names, options)
            let one = try await alice.images().revoke(names[0], tag: names[0].tag)
            #expect(one.tags.map(\.name) == ["v1"])
            #expect(Set(one.tags[0].roles) == [RoleName("targets/alice"), .releases])
            #expect(one.stillReleased.isEmpty)
            #expect(await trustCode { _ = try await bob.images().resolve(names[0]) } == .notSigned)
            #expect(await trustCode { _ = try await alice.images().revoke(names[0], tag: names[0].tag) } == .notSigned)
            #expect(await trustCode { _ = try await bob.images().revoke(names[1], tag: nil) } == .noSigningKey)
            _ = services.fault.takePublishes()
            #expect(try await alice.images().revoke(names[0], tag: nil).tags.map(\.name) == ["v2", "v3"])
            #expect(services.fault.takePublishes() == 1)
            #expect(try await bob.images().inspect(names[0]).tags.isEmpty)
            #expect(await trustCode { _ = try await alice.images().revoke(names[0], tag: nil) } == .notSigned)
        }
    }

    @Test("a tag that another role still lists is said to count still")
    func partialRevocation() async throws {
        try await TestServices.run { services in
            let (alice, jane) = (try services.user("alice"), try services.user("jane"))
            let reference = try services.reference("team/app:v1")
            try await services.pushUnsigned("one", "team/app:v1")
            // In targets, before there are signers.
            try await alice.images().sign([reference])
            let key = try await PrivateKey.generate(.p256)
            let store = try await KeyStore(trustDirectory: jane.trustDirectory)
            _ = try await store.add(
                key,
                role: RoleName("jane"),
                passphrases: FixedPassphrase(Passphrase("correct horse"))
            )
            try await alice.images().addSigner("jane", keys: [key.publicKey], to: reference)
            try await jane.images().sign([reference])
            let revoked = try await jane.images().revoke(reference, tag: reference.tag)
            #expect(Set(revoked.tags[0].roles) == [RoleName("targets/jane"), .releases])
            #expect(revoked.stillReleased.map(\.otherRoles) == [[.targets]])
            #expect(try await alice.images().revoke(reference, tag: reference.tag).stillReleased.isEmpty)
        }
    }

    @Test("a signer goes without taking the others' tags along, and the last one only by force")
    func signersGo() async throws {
        try await TestServices.run { services in
            let (alice, jane, bob) = (
                try services.user("alice"), try services.user("jane"), try services.user("bob")
            )
            let reference = try services.reference("team/app:v1")
            try await services.pushUnsigned("one", "team/app:v1")
            let passphrases = FixedPassphrase(Passphrase("correct horse"))
            let key = try await PrivateKey.generate(.p256)
            let store = try await KeyStore(trustDirectory: jane.trustDirectory)
            _ = try await store.add(key, role: RoleName("jane"), passphrases: passphrases)
            // A repository that does not exist yet.
            let added = try await alice.images().addSigner("jane", keys: [key.publicKey], to: reference)
            #expect(added.newRootKeyIDs.count == 1)
            try await jane.images().sign([reference])

            // She is the only one.
            #expect(
                await refusal { try await alice.images().removeSigner("jane", from: reference) } == .lastSigner
            )
            #expect(try await bob.images().resolve(reference).role == .releases)

            // Another whose key is here: what she released is signed again.
            let own = try await PrivateKey.generate(.p256)
            let owners = try await KeyStore(trustDirectory: alice.trustDirectory)
            _ = try await owners.add(own, role: RoleName("alice"), passphrases: passphrases)
            try await alice.images().addSigner("alice", keys: [own.publicKey], to: reference)
            try await alice.images().removeSigner("jane", from: reference)
            #expect(try await bob.images().resolve(reference).role == .releases)
            let left = try await bob.images().inspect(reference)
            #expect(left.signers.map(\.name) == ["alice"])
            #expect(left.warnings.isEmpty)
            #expect(await trustCode { try await jane.images().sign([reference]) } == .noSigningKey)

            // By force: no delegation without keys is left, and the owner signs alone again.
            try await alice.images().removeSigner("alice", from: reference, force: true)
            let none = try await bob.images().inspect(reference)
            #expect(none.signers.isEmpty && none.tags.isEmpty && none.warnings.isEmpty)
            let again = try await alice.images().sign([reference])
            #expect(again.first?.images.first?.roles == [.targets])
            #expect(await trustCode { try await alice.images().removeSigner("jane", from: reference) } == .invalid)
        }
    }

    @Test(
        "names that no signer can have are refused before anything is made",
        arguments: ["", "Jane", "-jane", "a/b", "releases"]
    )
    func signerNames(name: String) async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let reference = try services.reference("team/app:v1")
            try await services.pushUnsigned("one", "team/app:v1")
            let key = try await PrivateKey.generate(.p256)
            #expect(
                await refusal { try await alice.images().addSigner(name, keys: [key.publicKey], to: reference) }
                    == .signer
            )
            #expect(!FileManager.default.fileExists(atPath: alice.trustDirectory + "/private"))
        }
    }
}
