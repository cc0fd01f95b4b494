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

/// The code of what a body throws.
func trustCode(_ body: () async throws -> Void) async -> TrustClientError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? TrustClientError)?.code
    }
}

@Suite("Trusted images, against real servers")
struct TrustedImagesTests {
    @Test(
        "what one user pushes another pulls, with a fresh directory, and learns the root key; the second time it is known"
    )
    func pushAndPull() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            let descriptor = try SampleLayout.write(alice.path("v1"), "one")
            let pushed = try await alice.push(alice.path("v1"), to: image)
            #expect(pushed.descriptor.digest == descriptor.digest)
            #expect(pushed.roles == [.targets])
            #expect(pushed.newRootKeyIDs.count == 1)

            let (trusted, pulled) = try await bob.pull(image, "v1")
            #expect(trusted.digest == descriptor.digest)
            #expect(trusted.size == descriptor.size)
            #expect(trusted.firstUse?.rootKeyIDs == pushed.newRootKeyIDs)
            #expect(trusted.firstUse?.isPinned == false)
            #expect(pulled.digest == descriptor.digest)
            #expect(try bob.layers("v1") == ["one on amd64"])
            #expect(try await bob.images().resolve(image).firstUse == nil)
        }
    }

    @Test("a second tag makes no new keys, and moves no other tag")
    func secondTag() async throws {
        try await TestServices.run { services in
            let alice = try services.user("alice")
            let first = try SampleLayout.write(alice.path("v1"), "one")
            let second = try SampleLayout.write(alice.path("v2"), "two")
            try await alice.push(alice.path("v1"), to: try services.reference("team/app:v1"))
            let pushed = try await alice.push(alice.path("v2"), to: try services.reference("team/app:v2"))
            #expect(pushed.newRootKeyIDs.isEmpty)
            let repository = try await services.user("bob").images().inspect(try services.reference("team/app"))
            #expect(repository.tags.map(\.name) == ["v1", "v2"])
            #expect(repository.tags.map(\.digest) == [first.digest, second.digest])
            let one = try await services.user("bob").images().inspect(
                try services.reference("team/app"),
                tag: try Tag("v2")
            )
            #expect(one.tags.map(\.name) == ["v2"])
            let listing = try await TrustedFiles(settings: try services.user("carol").settings()).list(
                try GUN("\(services.registry)/team/app")
            )
            #expect(listing.value.map(\.name) == ["v1", "v2"])
            #expect(listing.firstUse != nil)
        }
    }

    @Test(
        "a tag that the registry gives another image still brings the one that was signed; an unsigned tag is refused"
    )
    func forgedTag() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("good"), "good")
            try await alice.push(alice.path("good"), to: image)
            let forged = try SampleLayout.write(alice.path("forged"), "forged")
            let client = try RegistryClient(
                registry: services.registry,
                credentials: try alice.settings().registryCredentials,
                logger: silent
            )
            let source = try ImageSource(path: alice.path("forged"), temporaryDirectory: alice.directory)
            for tag in ["v1", "unsigned"] {
                _ = try await ImagePusher(client: client).push(source, forged, to: image.repository, tag: try Tag(tag))
            }
            #expect(
                try await client.getManifest(image.repository, .tag(try Tag("v1"))).descriptor.digest == forged.digest
            )
            try await client.shutdown()

            try await bob.pull(image, "pulled")
            #expect(try bob.layers("pulled") == ["good on amd64"])
            let unsigned = try services.reference("team/app:unsigned")
            #expect(await trustCode { try await bob.pull(unsigned, "nothing") } == .notSigned)
            #expect(!bob.exists("nothing"))
            let unknown = try services.reference("team/other:v1")
            #expect(await trustCode { try await bob.pull(unknown, "nothing") } == .noTrustData)
        }
    }

    @Test(
        "a layer that was changed is refused, and nothing is left at the destination",
        arguments: ImageSource.Format.allCases
    )
    func changedLayer(format: ImageSource.Format) async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("v1"), "one")
            try await alice.push(alice.path("v1"), to: image)
            let layer = Digest(hashing: Array("one on amd64".utf8))
            let file = try #require(services.stored(layer))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
            let handle = try #require(FileHandle(forWritingAtPath: file))
            try handle.write(contentsOf: Data("ONE".utf8))
            try handle.close()
            var refusal: RegistryError.Code?
            do {
                try await bob.pull(image, "out", format: format)
            } catch let error as RegistryError {
                refusal = error.code
            }
            #expect(refusal == .digestMismatch)
            #expect(try FileManager.default.contentsOfDirectory(atPath: bob.directory) == ["docker"])
        }
    }

    @Test("an older timestamp, every signature on it genuine, is refused")
    func rollback() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("old"), "old")
            try await alice.push(alice.path("old"), to: image)
            try await bob.pull(image, "old")
            try SampleLayout.write(alice.path("new"), "new")
            try await alice.push(alice.path("new"), to: image)
            try await bob.pull(image, "new")
            services.fault.set(.replaysTimestamp)
            #expect(await trustCode { try await bob.pull(image, "replayed") } == .rollback)
            #expect(!bob.exists("replayed"))
            services.fault.set(.none)
            try await bob.pull(image, "again")
            #expect(try bob.layers("again") == ["new on amd64"])
        }
    }

    @Test("an index is pushed whole, and pulled whole or for one platform")
    func platforms() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            let index = try SampleLayout.write(alice.path("v1"), "one", architectures: ["amd64", "arm64"])
            #expect(try await alice.push(alice.path("v1"), to: image).descriptor.digest == index.digest)
            let whole = try await bob.pull(image, "whole")
            #expect(whole.pulled.digest == index.digest)
            for architecture in ["amd64", "arm64"] {
                let platform = try Platform("linux/\(architecture)")
                #expect(try bob.layers("whole", platform: platform) == ["one on \(architecture)"])
                let one = try await bob.pull(image, architecture, platform: platform)
                #expect(one.trusted.digest == index.digest)
                #expect(one.pulled.mediaType == .imageManifest)
                #expect(try bob.layers(architecture) == ["one on \(architecture)"])
            }
            let other = try Platform("linux/s390x")
            var refusal: OCIError.Code?
            do { try await bob.pull(image, "none", platform: other) } catch let error as OCIError {
                refusal = error.code
            }
            #expect(refusal == .imageUnknown)
            #expect(!bob.exists("none"))
        }
    }

    @Test(
        "what is pulled as an archive can be pushed again",
        arguments: [ImageSource.Format.ociArchive, .dockerArchive]
    )
    func archives(format: ImageSource.Format) async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("v1"), "one")
            try await alice.push(alice.path("v1"), to: image)
            try await bob.pull(image, "image.tar", format: format)
            #expect(try ImageSource(path: bob.path("image.tar"), temporaryDirectory: bob.directory).format == format)
            let copy = try services.reference("bob/copy:v1")
            try await bob.push(bob.path("image.tar"), to: copy)
            try await alice.pull(copy, "plain.tar", format: .dockerArchive)
            let archive = try ImageSource(path: alice.path("plain.tar"), temporaryDirectory: alice.directory)
            #expect(archive.images.first?.names == [copy.description])
            let tar = try #require(FileManager.default.contents(atPath: alice.path("plain.tar")))
            #expect(tar.range(of: Data("one on amd64".utf8)) != nil)
        }
    }

    @Test("a layout keeps what it had when another image is pulled into it")
    func existingLayout() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            for tag in ["v1", "v2"] {
                try SampleLayout.write(alice.path(tag), tag)
                try await alice.push(alice.path(tag), to: try services.reference("team/app:\(tag)"))
                try await bob.pull(try services.reference("team/app:\(tag)"), "both")
            }
            #expect(try bob.layers("both", image: "v1") == ["v1 on amd64"])
            #expect(try bob.layers("both", image: "v2") == ["v2 on amd64"])
            // A refusal leaves it as it was.
            let unsigned = try services.reference("team/app:v3")
            #expect(await trustCode { try await bob.pull(unsigned, "both") } == .notSigned)
            #expect(try bob.layers("both", image: "v2") == ["v2 on amd64"])
        }
    }

    @Test("a push whose signing failed counts for nobody, and can be repeated")
    func interrupted() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("v1"), "one")
            services.fault.set(.refusesUploads)
            #expect(await trustCode { try await alice.push(alice.path("v1"), to: image) } == .unreachable)
            #expect(await trustCode { try await bob.pull(image, "nothing") } == .noTrustData)
            services.fault.set(.none)
            try await alice.push(alice.path("v1"), to: image)
            try await bob.pull(image, "v1")
            #expect(try bob.layers("v1") == ["one on amd64"])

            // The same for a tag of a collection that is there.
            try SampleLayout.write(alice.path("v2"), "two")
            services.fault.set(.refusesUploads)
            #expect(await trustCode { try await alice.push(alice.path("v2"), to: image) } == .unreachable)
            try await bob.pull(image, "still")
            #expect(try bob.layers("still") == ["one on amd64"])
            services.fault.set(.none)
            try await alice.push(alice.path("v2"), to: image)
            try await bob.pull(image, "v2")
            #expect(try bob.layers("v2") == ["two on amd64"])
        }
    }

    @Test("a delegate's push signs the delegation, and who has no key of any is refused")
    func delegation() async throws {
        try await TestServices.run { services in
            let (alice, jane) = (try services.user("alice"), try services.user("jane"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("v1"), "by alice")
            try await alice.push(alice.path("v1"), to: image)

            let passphrases = FixedPassphrase(Passphrase("correct horse"))
            let key = try await PrivateKey.generate(.p256)
            let store = try await KeyStore(trustDirectory: jane.trustDirectory)
            _ = try await store.add(key, role: RoleName("jane"), passphrases: passphrases)
            let gun = try GUN(image.gun)
            let owner = StoredKeys(
                try await KeyStore(trustDirectory: alice.trustDirectory),
                passphrases: passphrases
            )
            try await NotaryTransport.with(try alice.settings().trustServer(for: gun)) { transport in
                let client = CollectionClient(
                    gun: gun,
                    transport: transport,
                    cache: MetadataCache(directory: alice.trustDirectory)
                )
                let roles = [RoleName("targets/jane"), .releases]
                _ = try await CollectionPublisher(client, keys: owner).publish(
                    roles.flatMap { [.addKeys([key.publicKey], to: $0), .addPaths([""], to: $0)] }
                )
            }

            let second = try services.reference("team/app:v2")
            try SampleLayout.write(jane.path("v2"), "by jane")
            let pushed = try await jane.push(jane.path("v2"), to: second)
            #expect(Set(pushed.roles) == [RoleName("targets/jane"), .releases])
            let trusted = try await services.user("bob").pull(second, "v2").trusted
            #expect(trusted.role == .releases)
            let repository = try await services.user("bob").images().inspect(image)
            #expect(repository.tags.map(\.signers) == [[], ["jane"]])
            #expect(repository.signers.map(\.name) == ["jane"])

            let stranger = try services.user("stranger")
            #expect(await trustCode { try await stranger.push(jane.path("v2"), to: second) } == .noSigningKey)
        }
    }

    @Test("without the trust server, what is known counts while it is in force, with a warning")
    func offline() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            try SampleLayout.write(alice.path("v1"), "one")
            try await alice.push(alice.path("v1"), to: image)
            try await bob.pull(image, "v1")
            let nowhere = "https://127.0.0.1:1"
            let trusted = try await bob.images(server: nowhere).resolve(image)
            #expect(trusted.freshness?.isFromServer == false)
            let warnings = trusted.warnings.map(\.description)
            #expect(warnings.count == 1)
            #expect(warnings.first?.contains("using what is cached") == true)
            let stranger = try services.user("stranger").images(server: nowhere)
            #expect(await trustCode { _ = try await stranger.resolve(image) } == .unreachable)
            let later = try bob.images(server: nowhere) { Date(timeIntervalSinceNow: 30 * 86400) }
            #expect(await trustCode { _ = try await later.resolve(image) } == .expired)
        }
    }

    @Test("by digest an image is pulled if a signed tag means it; a digest that none means any more is refused")
    func byDigest() async throws {
        try await TestServices.run { services in
            let (alice, bob) = (try services.user("alice"), try services.user("bob"))
            let image = try services.reference("team/app:v1")
            let old = try SampleLayout.write(alice.path("old"), "old")
            let new = try SampleLayout.write(alice.path("new"), "new")
            try await alice.push(alice.path("old"), to: image)
            try await alice.push(alice.path("new"), to: image)
            try await alice.push(alice.path("new"), to: try services.reference("team/app:v2"))
            let repository = try ImageReference("\(image.gun)@\(new.digest)")
            let (trusted, pulled) = try await bob.pull(repository, "new")
            #expect(trusted.tags.map(\.description) == ["v1", "v2"])
            #expect(pulled.digest == new.digest)
            #expect(try await bob.images().resolve(image.with(digest: new.digest)).tags.map(\.description) == ["v1"])
            #expect(try await bob.images().inspect(image, digest: new.digest).tags.map(\.name) == ["v1", "v2"])
            for refused in [try ImageReference("\(image.gun)@\(old.digest)"), image.with(digest: old.digest)] {
                #expect(await trustCode { try await bob.pull(refused, "nothing") } == .notSigned)
            }
            #expect(!bob.exists("nothing"))
        }
    }
}
