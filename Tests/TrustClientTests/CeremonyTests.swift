// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import NotaryAPI
import TUF
import Testing
import TrustClient

@Suite("Ceremonies of a collection")
struct CollectionCeremonyTests {
    @Test("root and targets of two of three: nothing is sent until two have signed, and readers take it then")
    func twoOfThree() async throws {
        try await CeremonyScenario.with { scenario in
            let made = try await scenario.ann.publisher.initialize(
                signers: [
                    .root: .init(keys: scenario.all.map(\.root), threshold: 2),
                    .targets: .init(keys: scenario.all.map(\.targets), threshold: 2),
                ],
                serverManagesSnapshot: true
            )
            #expect(made.rootKeyIDs == scenario.all.map(\.root.id))
            #expect(made.pending.map(\.role) == [.root, .targets])
            let first = try await scenario.ann.publisher.publish()
            #expect(first.roles == [])
            #expect(first.pending.map { $0.progress.map(\.signed.count) } == [[1], [1]])
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .noTrustData)
            try await scenario.ben.sign(for: scenario.ann)
            let outcome = try await scenario.ann.publisher.publish()
            #expect(outcome.isFirst && outcome.roles == [.root, .targets] && outcome.pending.isEmpty)
            #expect(try await scenario.client().update().trusted.root?.payload.roles[.root]?.threshold == 2)

            let list = scenario.ann.client.changelist
            try await list.append(.add("v1", .content("one")), at: Date())
            #expect(try await scenario.ann.publisher.publish().pending.map(\.role) == [.targets])
            #expect(try await scenario.names() == [])
            // What is staged meanwhile for the same role waits for the one after.
            try await list.append(.add("v2", .content("two")), at: Date())
            #expect(try await scenario.ceremonyChanges() == 1)
            #expect(try await scenario.ann.publisher.publish().roles == [])
            _ = try await scenario.cid.client.update()
            try await scenario.cid.sign(for: scenario.ann)
            let next = try await scenario.ann.publisher.publish()
            #expect(next.roles == [.targets])
            #expect(next.pending.map(\.metadata.version) == [3])
            #expect(try await scenario.names() == ["v1"])
            #expect(try await list.entries().map(\.change.path) == ["v2"])
            _ = try await scenario.cid.client.update()
            try await scenario.cid.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().roles == [.targets])
            #expect(try await scenario.names() == ["v1", "v2"])
            #expect(try await list.entries().isEmpty)
        }
    }

    @Test("who takes one signature and has no key makes a mistake, unless it is meant")
    func policy() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create(targets: 1)
            let keys = MemoryKeys()
            let stranger = CollectionPublisher(try scenario.client("stranger"), keys: keys)
            let error = await refusal { _ = try await stranger.publish([.add("v1", .content("one"))]) }
            #expect(error?.code == .noSigningKey)
            let outcome = try await stranger.publish([.add("v1", .content("one"))], .always)
            #expect(outcome.pending.map(\.role) == [.targets])
            // Of what takes two, it is a mistake where it is said to be.
            let change = CollectionPublisher.KeysEdit(threshold: 3)
            let never = await refusal { _ = try await scenario.ann.publisher.changeKeys(of: .root, change, .never) }
            #expect(never?.code == .noSigningKey)
        }
    }

    @Test("foreign, repeated and wrong signatures, and other content, are refused when they are made")
    func refusals() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            _ = try await scenario.ann.publisher.publish([.add("v1", .content("one"))])
            let waiting = try #require(try await scenario.ann.ceremonies.all().first)
            let metadata = waiting.metadata
            let ceremonies = scenario.ben.ceremonies
            var copy = try await ceremonies.ceremony(of: metadata, role: .targets).ceremony
            let stranger = try await PrivateKey.generate(.p256)
            await #expect(throws: CeremonyError(.foreignKey, "")) { try await copy.sign(with: [stranger]) }
            // A root key signs no targets.
            let root = try await scenario.ben.keys.key(try scenario.ben.root.canonicalID)
            await #expect(throws: CeremonyError(.foreignKey, "")) { try await copy.sign(with: [root]) }
            await #expect(throws: CeremonyError(.alreadySigned, "")) {
                try await copy.sign(with: try await scenario.ann.signing(copy))
            }
            var forged = metadata
            var signature = try #require(forged.signatures.first)
            signature.keyID = scenario.cid.targets.id
            forged.add(signature)
            await #expect(throws: CeremonyError(.wrongSignature, "")) {
                _ = try await ceremonies.ceremony(of: forged, role: .targets)
            }
            // What is older than what is known follows nothing.
            let old = try #require(try await scenario.ben.client.cache.read(.targets, of: scenario.gun))
            await #expect(throws: CeremonyError(.invalid, "")) {
                _ = try await ceremonies.ceremony(of: try PendingMetadata(old, format: .notary), role: .targets)
            }
            // And so it is when it has come into the file by another way.
            try Data(forged.bytes).write(to: URL(fileURLWithPath: scenario.ann.ceremonies.path(of: waiting)))
            await #expect(throws: CeremonyError(.wrongSignature, "")) { _ = try await scenario.ann.publisher.publish() }
        }
    }

    @Test("holders see what changes against what they trust themselves")
    func changes() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            _ = try await scenario.ann.publisher.publish([.add("v1", .content("one"))])
            let waiting = try #require(try await scenario.ann.ceremonies.all().first)
            let (_, trusted) = try await scenario.ben.ceremonies.ceremony(of: waiting.metadata, role: .targets)
            let lines = try MetadataChanges.lines(of: waiting.metadata, after: trusted)
            #expect(lines.first == "version 1 -> 2")
            #expect(lines.last?.hasPrefix("+ target v1 (3 bytes, sha256 ") == true)
        }
    }

    @Test("a root that replaces a holder needs two of the old and two of the new")
    func rotation() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            _ = try await scenario.client().update()
            let dan = try await Holder(scenario.client("dan"))
            let edit = CollectionPublisher.KeysEdit(add: [dan.root], remove: [try scenario.cid.root.canonicalID])
            let outcome = try await scenario.ann.publisher.changeKeys(of: .root, edit)
            #expect(outcome.pending.map { $0.progress.map(\.isMet) } == [[false, false]])
            // Dan makes two of the new. Of the old there is one.
            _ = try await dan.client.update()
            try await dan.sign(for: scenario.ann)
            let second = try await scenario.ann.publisher.publish()
            #expect(second.pending.first?.progress.map(\.authority) == ["root 1", "root 2"])
            #expect(second.pending.first?.progress.map(\.isMet) == [false, true])
            // The server would not have it either.
            let bytes = try #require(second.pending.first?.metadata.bytes)
            let rejected = await refusal {
                try await scenario.transport.upload([MetadataUpload(role: .root, bytes: bytes)], to: scenario.gun)
            }
            #expect(rejected?.code == .rejected)
            try await scenario.ben.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().roles == [.root])
            for name in ["reader", "fresh"] {
                let root = try await scenario.client(name).update().trusted.root
                #expect(root?.payload.version == 2)
                #expect(root?.payload.roles[.root]?.keyIDs.contains(dan.root.id) == true)
            }
            // A certificate in another's name signs nothing that counts.
            let key = try await PrivateKey.generate(.p256)
            let foreign = try PublicKey.rootCertificate(for: "example.com/x", signedBy: key.certificateKey, at: Date())
            let error = await refusal {
                _ = try await scenario.ann.publisher.changeKeys(of: .root, .init(add: [foreign]))
            }
            #expect(error?.code == .invalid)
        }
    }

    @Test("new keys and a new threshold of targets sign targets with the root that names them")
    func targetsThreshold() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            _ = try await scenario.client().update()
            let impossible = await refusal {
                _ = try await scenario.ann.publisher.changeKeys(of: .targets, .init(threshold: 4))
            }
            #expect(impossible?.code == .invalid)
            let outcome = try await scenario.ann.publisher.changeKeys(of: .targets, .init(threshold: 3))
            #expect(outcome.pending.map(\.role) == [.root, .targets])
            try await scenario.ben.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().pending.map(\.role) == [.targets])
            try await scenario.cid.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().roles == [.root, .targets])
            #expect(try await scenario.client().update().trusted.targets[.targets]?.signatures.count == 3)
        }
    }

    @Test("a delegation of two of two waits by itself")
    func delegation() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create(targets: 1)
            let keys = [scenario.ann.targets, scenario.ben.targets]
            _ = try await scenario.ann.publisher.publish([
                .addKeys(keys, to: .releases, threshold: 2), .addPaths([""], to: .releases),
            ])
            let outcome = try await scenario.ann.publisher.publish([.add("v1", .content("one"), to: .releases)])
            #expect(outcome.pending.map(\.role) == [.releases])
            let path = try #require(outcome.pending.map { scenario.ann.ceremonies.path(of: $0) }.first)
            #expect(path.hasSuffix("/tuf/\(scenario.gun)/pending/1.targets%2Freleases.json"))
            // Targets is nobody else's to wait for.
            #expect(try await scenario.ann.publisher.publish([.add("v2", .content("two"))]).roles == [.targets])
            _ = try await scenario.ben.client.update()
            try await scenario.ben.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().roles == [.releases])
            #expect(try await scenario.names().sorted() == ["v1", "v2"])
        }
    }

    @Test("while a root waits, what touches none of it is published")
    func meanwhile() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create(targets: 1)
            _ = try await scenario.ann.publisher.changeKeys(of: .root, .init(threshold: 3))
            try await scenario.ann.client.changelist.append(.add("v1", .content("one")), at: Date())
            let outcome = try await scenario.ann.publisher.publish()
            #expect(outcome.roles == [.targets] && outcome.pending.map(\.role) == [.root])
            #expect(try await scenario.names() == ["v1"])
            // No second change of the root beside it.
            let error = await refusal {
                _ = try await scenario.ann.publisher.changeKeys(of: .root, .init(threshold: 1))
            }
            #expect(error?.code == .invalid)
            for holder in [scenario.ben, scenario.cid] {
                _ = try await holder.client.update()
                try await holder.sign(for: scenario.ann)
            }
            #expect(try await scenario.ann.publisher.publish().roles == [.root])
            #expect(try await scenario.client().update().trusted.root?.payload.roles[.root]?.threshold == 3)
        }
    }

    @Test("what somebody else has overtaken is stale, says what to do, and is made again from what is staged")
    func stale() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            let list = scenario.ann.client.changelist
            try await list.append(.add("ours", .content("o")), at: Date())
            _ = try await scenario.ann.publisher.publish()
            _ = try await scenario.everybody().publish([.add("theirs", .content("t"))])
            try await scenario.ben.sign(for: scenario.ann)
            let error = await refusal { _ = try await scenario.ann.publisher.publish() }
            #expect(error?.code == .conflict)
            // Reading has told this machine: its status can say so without the server.
            #expect(try await scenario.ann.ceremonies.all().isEmpty)
            #expect(try await scenario.ann.ceremonies.overtaken() == [VersionedName(.targets, version: 2)])
            #expect(error?.message.contains("version 2 of targets") == true)
            #expect(try await list.entries().count == 1)
            try await scenario.ann.ceremonies.drop()
            let again = try await scenario.ann.publisher.publish()
            #expect(again.pending.map(\.metadata.version) == [3])
            _ = try await scenario.ben.client.update()
            try await scenario.ben.sign(for: scenario.ann)
            _ = try await scenario.ann.publisher.publish()
            #expect(try await scenario.names() == ["ours", "theirs"])
        }
    }

    @Test("when the line breaks after the server has it, the next publish finds it published and clears up")
    func brokenLine() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            let list = scenario.ann.client.changelist
            try await list.append(.add("v1", .content("one")), at: Date())
            _ = try await scenario.ann.publisher.publish()
            try await scenario.ben.sign(for: scenario.ann)
            let transport = TamperingTransport(base: scenario.transport, failsAfterUpload: true)
            let client = try scenario.client("ann", over: transport)
            let error = await refusal { _ = try await CollectionPublisher(client, keys: scenario.ann.keys).publish() }
            #expect(error?.code == .unreachable)
            #expect(try await scenario.ann.ceremonies.areGoingOn())
            #expect(try await list.entries().count == 1)
            // Somebody publishes on top of it before that.
            _ = try await scenario.everybody().publish([.add("v2", .content("two"))])
            let outcome = try await scenario.ann.publisher.publish()
            #expect(outcome.roles == [.targets] && outcome.pending.isEmpty)
            #expect(try await list.entries().isEmpty)
            #expect(try await !scenario.ann.ceremonies.areGoingOn())
            #expect(try await scenario.names() == ["v1", "v2"])
        }
    }

    @Test("who makes a collection does not trust another root that the server has meanwhile; its own it goes on from")
    func begun() async throws {
        try await CeremonyScenario.with { scenario in
            let signers: [RoleName: Signers] = [
                .root: .init(keys: scenario.all.map(\.root), threshold: 2)
            ]
            _ = try await scenario.ann.publisher.initialize(signers: signers, serverManagesSnapshot: true)
            // Once more it waits already.
            let again = await refusal {
                _ = try await scenario.ann.publisher.initialize(signers: signers, serverManagesSnapshot: true)
            }
            #expect(again?.code == .invalid)
            try await scenario.ben.sign(for: scenario.ann)
            let other = CollectionPublisher(try scenario.client("other"), keys: MemoryKeys())
            _ = try await other.initialize(serverManagesSnapshot: true)
            _ = try await other.publish()
            #expect(await refusal { _ = try await scenario.ann.publisher.publish() }?.code == .conflict)
            #expect(try await scenario.ann.client.cache.read(.root, of: scenario.gun) == nil)

            try await scenario.transport.delete(scenario.gun)
            let cut = TamperingTransport(base: scenario.transport, failsAfterUpload: true)
            let client = try scenario.client("ann", over: cut)
            let error = await refusal { _ = try await CollectionPublisher(client, keys: scenario.ann.keys).publish() }
            #expect(error?.code == .rejected || error?.code == .unreachable)
            _ = try await scenario.ann.publisher.publish()
            #expect(try await !scenario.ann.ceremonies.areGoingOn())
            #expect(try await scenario.client("late").update().keyIDs(of: .root) == scenario.all.map(\.root.id))
        }
    }

    @Test("a snapshot whose key is here lists what is signed in the end; one of two keys waits as well")
    func snapshot() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create(serverManagesSnapshot: false)
            _ = try await scenario.client().update()
            _ = try await scenario.ann.publisher.publish([.add("v1", .content("one"))])
            try await scenario.ben.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().roles == [.targets, .snapshot])
            #expect(try await scenario.names() == ["v1"])

            let other = try await scenario.ben.keys.make(.snapshot).publicKey
            let edit = CollectionPublisher.KeysEdit(add: [other], threshold: 2)
            #expect(try await scenario.ann.publisher.changeKeys(of: .snapshot, edit).pending.map(\.role) == [.root])
            try await scenario.ben.sign(for: scenario.ann)
            // The root is signed: now there is a snapshot to sign over it.
            #expect(try await scenario.ann.publisher.publish().pending.map(\.role) == [.snapshot])
            try await scenario.ben.sign(for: scenario.ann)
            #expect(try await scenario.ann.publisher.publish().roles == [.root, .snapshot])
            #expect(try await scenario.client().update().trusted.snapshot?.signatures.count == 2)
            #expect(try await scenario.names("fresh") == ["v1"])
        }
    }

    @Test("readers refuse what a mirror has taken one of two signatures off", arguments: [RoleName.root, .targets])
    func strippedSignature(role: RoleName) async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            let mirror = TamperingTransport(
                base: scenario.transport,
                change: { served, bytes in
                    guard served == role else { return bytes }
                    let metadata = try PendingMetadata(bytes, format: .notary)
                    var stripped = try JSONParser.parse(bytes).object ?? [:]
                    stripped["signatures"] = .array(Array((stripped["signatures"]?.array ?? []).prefix(1)))
                    #expect(metadata.signatures.count == 2)
                    return CanonicalJSON.encodeForWire(.object(stripped))
                }
            )
            let error = await refusal { _ = try await scenario.client("mirrored", over: mirror).update() }
            // Of targets the snapshot's hash says so first.
            #expect(error?.code == (role == .root ? .signature : .rollback))
        }
    }

    @Test("forgetting the collection drops what waits")
    func dropping() async throws {
        try await CeremonyScenario.with { scenario in
            try await scenario.create()
            _ = try await scenario.ann.publisher.publish([.add("v1", .content("one"))])
            try await scenario.ann.client.deleteLocal()
            #expect(try await !scenario.ann.ceremonies.areGoingOn())
            let directory = scenario.ann.ceremonies.directory
            #expect(!FileManager.default.fileExists(atPath: directory))
        }
    }
}

extension CeremonyScenario {
    func ceremonyChanges() async throws -> Int { try await self.ann.ceremonies.changes().count }
}
