// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient

@Suite("Publishing a collection")
struct PublishingTests {
    @Test(
        "a first publish sends root 1 and targets 2, and a snapshot 2 where its key is here",
        arguments: [true, false]
    )
    func firstPublish(serverManagesSnapshot: Bool) async throws {
        try await Scenario.with(serverManagesSnapshot: serverManagesSnapshot) { scenario in
            let upload = try #require(scenario.server.state.withLock { $0.uploads.first })
            let versions = try upload.map { upload in
                let version = try UnverifiedMetadata(upload.bytes, format: .notary).claimedVersion
                return "\(upload.role) \(try #require(version))"
            }
            #expect(versions == ["root 1", "targets 2"] + (serverManagesSnapshot ? [] : ["snapshot 2"]))
            let roles = try await scenario.keys.available().map(\.role.text).sorted()
            #expect(roles == (serverManagesSnapshot ? ["root", "targets"] : ["root", "snapshot", "targets"]))
        }
    }

    @Test("initialising writes what notary would find there, and publishes nothing")
    func initialise() async throws {
        try await Scenario.with(published: false) { scenario in
            _ = try await scenario.publisher.initialize(serverManagesSnapshot: false)
            #expect(scenario.kept("publisher").keys.sorted() == ["root.json", "snapshot.json", "targets.json"])
            #expect(scenario.server.current(.root) == nil)
            #expect(await refusal { _ = try await scenario.client("publisher").update() }?.code == .noTrustData)
            let again = await refusal { _ = try await scenario.publisher.initialize(serverManagesSnapshot: true) }
            #expect(again?.code == .invalid)
        }
    }

    @Test("a collection that is on the server cannot be initialised from another machine")
    func initialiseExisting() async throws {
        try await Scenario.with { scenario in
            let other = CollectionPublisher(scenario.client("other"), keys: MemoryKeys())
            #expect(await refusal { _ = try await other.initialize(serverManagesSnapshot: true) }?.code == .invalid)
            let made = try await other.keys.available()
            #expect(made == [])
        }
    }

    @Test("staged changes are published in order and then gone; nothing staged publishes nothing")
    func staged() async throws {
        try await Scenario.with { scenario in
            let list = scenario.publisher.client.changelist
            try await list.append(.add("a", .content("first")), at: scenario.clock.now)
            try await list.append(.add("a", .content("second")), at: scenario.clock.now)
            try await list.append(.remove("v1"), at: scenario.clock.now)
            #expect(try await scenario.publisher.publish().roles == [.targets])
            #expect(try await list.entries() == [])
            var view = try await scenario.client().update()
            #expect(try await view.list().map(\.file) == [.content("second")])
            #expect(try await scenario.publisher.publish().roles == [])
        }
    }

    @Test("a publisher who was overtaken makes the changes to what the other has published")
    func race() async throws {
        try await Scenario.with { scenario in
            let other = CollectionPublisher(scenario.client("other"), keys: scenario.keys)
            scenario.server.state.withLock { state in
                state.beforeUpload = { _ = try await other.publish([.add("theirs", .content("t"))]) }
            }
            _ = try await scenario.publisher.publish([.add("ours", .content("o"))])
            var view = try await scenario.client().update()
            #expect(try await view.list().map(\.name) == ["ours", "theirs", "v1"])
        }
    }

    @Test("overtaken twice, it is a conflict, and the changes stay staged")
    func conflict() async throws {
        try await Scenario.with { scenario in
            let list = scenario.publisher.client.changelist
            try await list.append(.add("ours", .content("o")), at: scenario.clock.now)
            let refusing = RefusingTransport(
                base: scenario.server,
                error: TrustClientError(.conflict, "VERSION", serverCode: "VERSION")
            )
            let client = CollectionClient(
                gun: scenario.gun,
                transport: refusing,
                cache: scenario.publisher.client.cache,
                now: { scenario.clock.now }
            )
            let publisher = CollectionPublisher(client, keys: scenario.keys)
            #expect(await refusal { _ = try await publisher.publish() }?.code == .conflict)
            #expect(refusing.uploads.withLock { $0 } == 2)
            #expect(try await list.entries().count == 1)
            let rejecting = RefusingTransport(base: scenario.server, error: TrustClientError(.rejected, "no"))
            let once = CollectionPublisher(
                CollectionClient(gun: scenario.gun, transport: rejecting, cache: client.cache, now: client.now),
                keys: scenario.keys
            )
            #expect(await refusal { _ = try await once.publish() }?.code == .rejected)
            #expect(rejecting.uploads.withLock { $0 } == 1)
        }
    }

    @Test("without the key of a role nothing is sent, and the error names the key")
    func missingKey() async throws {
        try await Scenario.with { scenario in
            let stranger = CollectionPublisher(scenario.client("other"), keys: MemoryKeys())
            let error = await refusal { _ = try await stranger.publish([.add("x", .content("x"))]) }
            #expect(error?.code == .noSigningKey)
            let key = try #require(try await scenario.keys.available().first { $0.role == .targets })
            #expect(error?.message.contains(key.id.text) == true)
        }
    }

    @Test("what is only cached is never published over")
    func offline() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.publisher.client.update()
            scenario.server.intercept { _, _ in throw TrustClientError(.unreachable, "down") }
            #expect(await refusal { _ = try await scenario.publisher.publish([.remove("v1")]) }?.code == .unreachable)
            scenario.server.behave()
            try await scenario.server.delete(scenario.gun)
            #expect(await refusal { _ = try await scenario.publisher.publish([.remove("v1")]) }?.code == .noTrustData)
        }
    }

    @Test("a delegation's holder publishes with that key alone, within its paths")
    func delegation() async throws {
        try await Scenario.with { scenario in
            let jane = RoleName("targets/jane")
            let theirs = MemoryKeys()
            let key = try await theirs.make(RoleName("jane"))
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: jane), .addPaths(["jane/"], to: jane),
            ])
            let publisher = CollectionPublisher(scenario.client("jane"), keys: theirs)
            #expect(try await publisher.publish([.add("jane/1", .content("1"), to: jane)]).roles == [jane])
            let refused = await refusal { _ = try await publisher.publish([.add("other", .content("1"), to: jane)]) }
            #expect(refused?.code == .invalid)
            var view = try await scenario.client().update()
            #expect(try await view.lookup("jane/1")?.role == jane)
            #expect(try await view.signableRoles(for: "jane/2", with: theirs) == [jane])
            let none = view
            #expect(
                await refusal { _ = try await none.signableRoles(for: "other", with: theirs) }?.code == .noSigningKey
            )
            #expect(try await view.revocableRoles(for: "jane/1", with: theirs) == [jane])

            // The key is taken back: what it signed no longer counts.
            _ = try await scenario.publisher.publish([.purgeKeys([key.publicKey.id])])
            var after = try await scenario.client().update()
            #expect(try await after.lookup("jane/1") == nil)
            #expect(after.warnings.count == 1)
        }
    }

    @Test("a delegation that is removed and made again starts empty, above the versions of its first life")
    func recreatedDelegation() async throws {
        try await Scenario.with { scenario in
            let jane = RoleName("targets/jane")
            let key = try await scenario.keys.make(RoleName("jane"))
            let make: [Change] = [.addKeys([key.publicKey], to: jane), .addPaths([""], to: jane)]
            _ = try await scenario.publisher.publish(make + [.add("old", .content("old"), to: jane)])
            _ = try await scenario.publisher.publish([.removeDelegation(jane)])
            _ = try await scenario.publisher.publish(make + [.add("new", .content("new"), to: jane)])
            var view = try await scenario.client().update()
            #expect(try await view.lookup("new")?.role == jane)
            #expect(try await view.lookup("old") == nil)
            #expect(view.trusted.targets[jane]?.payload.version == 2)
        }
    }

    @Test("rotating the targets key replaces it in the root and signs targets anew; the old key is removed")
    func rotateTargets() async throws {
        try await Scenario.with { scenario in
            let old = try await scenario.keys.available().first { $0.role == .targets }
            _ = try await scenario.client().update()
            try await scenario.publisher.rotateKey(of: .targets, to: .local([]))
            var view = try await scenario.client().update()
            #expect(view.trusted.root?.payload.version == 2)
            #expect(try await view.lookup("v1") != nil)
            let now = try await scenario.keys.available().filter { $0.role == .targets }
            #expect(now.count == 1)
            #expect(now.first?.id != old?.id)
        }
    }

    @Test("the snapshot key goes to the server and comes back")
    func rotateSnapshot() async throws {
        try await Scenario.with { scenario in
            try await scenario.publisher.rotateKey(of: .snapshot, to: .local([]))
            var view = try await scenario.client().update()
            #expect(try await view.lookup("v1") != nil)
            #expect(try await scenario.keys.available().map(\.role).contains(.snapshot) == true)
            try await scenario.publisher.rotateKey(of: .snapshot, to: .server)
            _ = try await scenario.client().update()
            #expect(try await scenario.keys.available().map(\.role).contains(.snapshot) == false)
        }
    }

    @Test("a rotated root is signed by the old key and the new one")
    func rotateRoot() async throws {
        try await Scenario.with { scenario in
            let old = try await scenario.client().update().keyIDs(of: .root)
            try await scenario.rotateRoot()
            let bytes = try #require(scenario.server.current(.root))
            let signers = Set(try UnverifiedMetadata(bytes, format: .notary).signatures.map(\.keyID))
            let new = try await scenario.client("other").update().keyIDs(of: .root)
            #expect(signers == Set(old + new))
            #expect(new != old)
        }
    }

    @Test("keys that a failed rotation has made are removed again")
    func failedRotation() async throws {
        try await Scenario.with { scenario in
            let before = try await scenario.keys.available()
            let transport = RefusingTransport(base: scenario.server, error: TrustClientError(.rejected, "no"))
            let client = CollectionClient(
                gun: scenario.gun,
                transport: transport,
                cache: scenario.client().cache,
                now: { scenario.clock.now }
            )
            let publisher = CollectionPublisher(client, keys: scenario.keys)
            let error = await refusal { try await publisher.rotateKey(of: .targets, to: .local([])) }
            #expect(error?.code == .rejected)
            #expect(try await scenario.keys.available() == before)
        }
    }

    @Test(
        "a role's key goes only to who may hold it",
        arguments: [
            (RoleName.timestamp, CollectionPublisher.KeyHolder.local([])), (.root, .server), (.targets, .server),
            (.releases, .local([])),
        ]
    )
    func holders(role: RoleName, holder: CollectionPublisher.KeyHolder) async throws {
        try await Scenario.with { scenario in
            let error = await refusal { try await scenario.publisher.rotateKey(of: role, to: holder) }
            #expect(error?.code == .invalid)
        }
    }
}

/// A server that reads as another does, and refuses every upload.
final class RefusingTransport: TrustTransport {
    let base: MemoryServer
    let error: TrustClientError
    let uploads = Mutex(0)

    init(base: MemoryServer, error: TrustClientError) {
        self.base = base
        self.error = error
    }

    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8] {
        try await self.base.fetch(role, reference, of: gun, limit: limit)
    }

    func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws {
        self.uploads.withLock { $0 += 1 }
        throw self.error
    }

    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.serverKey(for: role, of: gun)
    }

    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.base.rotateServerKey(for: role, of: gun)
    }

    func delete(_ gun: GUN) async throws { throw self.error }
    func ping() async throws {}
}
