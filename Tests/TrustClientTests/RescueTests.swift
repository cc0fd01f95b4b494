// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient

@Suite("Rescue")
struct RescueTests {
    /// What expires, and when it does.
    struct Lapse: Sendable, CustomTestStringConvertible {
        let name: String
        let days: Double
        let serverManagesSnapshot: Bool
        let roles: [RoleName]
        var testDescription: String { self.name }

        static let all = [
            Lapse(name: "targets", days: 1096, serverManagesSnapshot: true, roles: [.targets]),
            Lapse(
                name: "a snapshot of the publisher's",
                days: 1096,
                serverManagesSnapshot: false,
                roles: [.targets, .snapshot]
            ),
            Lapse(
                name: "everything, the root certificate included",
                days: 3651,
                serverManagesSnapshot: false,
                roles: [.root, .targets, .snapshot]
            ),
        ]
    }

    @Test("what has expired is refused before and read after, by who knew it and by who did not", arguments: Lapse.all)
    func isReadAgain(lapse: Lapse) async throws {
        try await Scenario.with(serverManagesSnapshot: lapse.serverManagesSnapshot) { scenario in
            _ = try await scenario.client().update()
            scenario.clock.advance(days: lapse.days)
            for name in ["reader", "fresh"] {
                let error = await refusal { _ = try await scenario.client(name).update() }
                #expect(error?.code == .expired || error?.code == .signature)
            }
            let before = try lapse.roles.map { try scenario.content($0) }

            let rescue = try await CollectionRescue(scenario.publisher)
            #expect(rescue.plan.obstacles.isEmpty)
            #expect(Set(rescue.plan.signed) == Set(lapse.roles))
            #expect(try await rescue.perform().roles == lapse.roles)

            for name in ["reader", "fresh"] {
                var view = try await scenario.client(name).update()
                #expect(try await view.list().map(\.name) == ["v1"])
            }
            for (role, before) in zip(lapse.roles, before) where role == .targets {
                #expect(try scenario.content(role) == before)
            }
        }
    }

    @Test("a root certificate gets a successor of the same key before it ends, and nothing else of the root changes")
    func renewsCertificateAhead() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            scenario.clock.advance(days: 3600)
            var options = CollectionRescue.Options()
            options.days = 100
            options.roles = [.root]
            let old = try scenario.root()
            let rescue = try await CollectionRescue(scenario.publisher, options)
            #expect(rescue.plan.roles.first?.certificates.map(\.isReplaced) == [true])
            #expect(!rescue.plan.hasExpiredCertificate)
            #expect(rescue.plan.roles.first { $0.role == .targets }?.step == RescuePlan.Step.none)
            _ = try await rescue.perform()
            let new = try scenario.root()
            #expect(new.version == old.version + 1)
            #expect(
                try new.keys(of: .root).keys.map { try $0.canonicalID }
                    == old.keys(of: .root).keys.map { try $0.canonicalID }
            )
            #expect(try new.keys(of: .root).keys != old.keys(of: .root).keys)
            for role in [RoleName.targets, .snapshot, .timestamp] { #expect(new.roles[role] == old.roles[role]) }
        }
    }

    @Test("an expired delegation is signed again by its own key, and left alone by who has only that of targets")
    func rescuesDelegation() async throws {
        try await Scenario.with { scenario in
            let jane = MemoryKeys()
            let key = try await jane.make(RoleName("jane"))
            let role = RoleName("targets/releases")
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: role), .addPaths([""], to: role),
            ])
            let janes = CollectionPublisher(scenario.client("jane"), keys: jane)
            _ = try await janes.publish([.add("v2", .content("two"), to: role)])
            scenario.clock.advance(days: 1096)

            let owner = try await CollectionRescue(scenario.publisher)
            #expect(owner.plan.roles.first { $0.role == role }?.step == .leave)
            #expect(try await owner.perform().roles == [.targets])
            var view = try await scenario.client().update()
            #expect(try await view.list().map(\.name) == ["v1"])

            // With nothing else to do, that its key is missing is an error.
            #expect(try await CollectionRescue(scenario.publisher).plan.obstacles.count == 1)
            let content = try scenario.content(role)
            let rescue = try await CollectionRescue(janes)
            #expect(try await rescue.perform().roles == [role])
            #expect(try scenario.content(role) == content)
            view = try await scenario.client().update()
            #expect(try await view.list().map(\.name) == ["v1", "v2"])
        }
    }

    @Test("missing keys are named, and nothing is sent")
    func namesMissingKeys() async throws {
        try await Scenario.with { scenario in
            scenario.clock.advance(days: 1096)
            let nobody = CollectionPublisher(scenario.client("nobody"), keys: MemoryKeys())
            let uploads = scenario.server.state.withLock { $0.uploads.count }
            let rescue = try await CollectionRescue(nobody)
            let error = await refusal { _ = try await rescue.perform() }
            #expect(error?.code == .noSigningKey)
            let id = try #require(try scenario.root().keys(of: .targets).keys.first?.canonicalID)
            #expect(error?.message.contains(id.text) == true)
            #expect(scenario.server.state.withLock { $0.uploads.count } == uploads)
        }
    }

    @Test("what is staged stays staged")
    func signsNothingStaged() async throws {
        try await Scenario.with { scenario in
            let client = scenario.client("publisher")
            _ = try await client.changelist.append([.add("evil", .content("evil"))], at: scenario.clock.now)
            scenario.clock.advance(days: 1096)
            _ = try await CollectionRescue(scenario.publisher).perform()
            #expect(try await client.changelist.entries().count == 1)
            var view = try await scenario.client().update()
            #expect(try await view.list().map(\.name) == ["v1"])
        }
    }

    @Test("a delegation that its keys did not sign is not signed either, and said")
    func signsNothingUnsigned() async throws {
        try await Scenario.with { scenario in
            let (jane, john) = (MemoryKeys(), MemoryKeys())
            let role = RoleName("targets/releases")
            let old = try await jane.make(RoleName("jane")).publicKey
            _ = try await scenario.publisher.publish([.addKeys([old], to: role), .addPaths([""], to: role)])
            let janes = CollectionPublisher(scenario.client("jane"), keys: jane)
            _ = try await janes.publish([.add("v2", .content("two"), to: role)])
            // Jane's key gives way to John's: what she has signed counts no longer.
            let new = try await john.make(RoleName("john")).publicKey
            _ = try await scenario.publisher.publish([.addKeys([new], to: role), .removeKeys([old.id], from: role)])
            scenario.clock.advance(days: 1096)
            let rescue = try await CollectionRescue(CollectionPublisher(scenario.client("john"), keys: john))
            #expect(!rescue.plan.roles.contains { $0.role == role })
            #expect(rescue.plan.warnings.contains { if case .delegationSkipped(role, _) = $0 { true } else { false } })
        }
    }

    @Test("a server that has gone back behind what is known here is refused")
    func refusesRollback() async throws {
        try await Scenario.with { scenario in
            let old = try #require(scenario.server.current(.timestamp))
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            _ = try await scenario.client("publisher").update()
            scenario.clock.advance(days: 1096)
            scenario.server.intercept { role, reference in role == .timestamp && reference == .current ? old : nil }
            let error = await refusal { _ = try await CollectionRescue(scenario.publisher) }
            #expect(error?.code == .rollback)
        }
    }

    @Test("signatures are checked although nothing is current")
    func refusesForgery() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client("publisher").update()
            scenario.clock.advance(days: 1096)
            let forger = try await PrivateKey.generate(.p256)
            let snapshot = try #require(scenario.server.current(.snapshot))
            let forged = try await scenario.server.timestamp(9, of: snapshot, by: forger)
            scenario.server.intercept { role, reference in role == .timestamp && reference == .current ? forged : nil }
            let error = await refusal { _ = try await CollectionRescue(scenario.publisher) }
            #expect(error?.code == .signature)
        }
    }

    @Test("whoever publishes meanwhile is not overwritten")
    func losesRaces() async throws {
        try await Scenario.with { scenario in
            scenario.clock.advance(days: 1096)
            let first = try await CollectionRescue(scenario.publisher)
            let second = try await CollectionRescue(scenario.publisher)
            _ = try await first.perform()
            let error = await refusal { _ = try await second.perform() }
            #expect(error?.code == .conflict)
        }
    }

    @Test("where the server gives no timestamp any more, the newest that it has by number is taken")
    func findsNewestTimestamp() async throws {
        try await Scenario.with { scenario in
            for _ in 0..<5 { try await scenario.server.refreshTimestamp() }
            scenario.clock.advance(days: 1096)
            scenario.server.intercept { role, reference in
                guard role == .timestamp, reference == .current else { return nil }
                throw TrustClientError(.unreachable, "500", serverCode: "UNKNOWN")
            }
            let rescue = try await CollectionRescue(scenario.publisher)
            let newest = try #require(scenario.server.current(.timestamp))
            let version = try UnverifiedMetadata(newest, format: .notary).claimedVersion
            #expect(rescue.plan.roles.first { $0.role == .timestamp }?.version == version)
            scenario.server.behave()
            _ = try await rescue.perform()
            _ = try await scenario.client().update()
        }
    }

    @Test("reading for a rescue leaves the trust directory as it was")
    func keepsNothing() async throws {
        try await Scenario.with { scenario in
            scenario.clock.advance(days: 3651)
            _ = try await CollectionRescue(CollectionPublisher(scenario.client("other"), keys: scenario.keys))
            #expect(scenario.kept("other").isEmpty)
        }
    }

    @Test("where two have to sign, the second one's signature completes it")
    func holdsCeremony() async throws {
        try await Scenario.with(published: false) { scenario in
            let ann = try await Holder(scenario.client("ann"))
            let ben = try await Holder(scenario.client("ben"))
            _ = try await ann.publisher.initialize(
                signers: [
                    .root: .init(keys: [ann.root, ben.root], threshold: 2),
                    .targets: .init(keys: [ann.targets, ben.targets], threshold: 2),
                ],
                serverManagesSnapshot: true
            )
            try await ben.sign(for: ann)
            _ = try await ann.publisher.publish()
            _ = try await ben.client.update()
            scenario.clock.advance(days: 1096)

            let rescue = try await CollectionRescue(ann.publisher)
            #expect(rescue.plan.roles.first { $0.role == .targets }?.step == .wait)
            #expect(try await rescue.perform().pending.map(\.role) == [.targets])
            #expect(await refusal { _ = try await scenario.client().update() }?.code == .expired)
            try await ben.sign(for: ann)
            #expect(try await CollectionRescue.resume(ann.publisher)?.roles == [.targets])
            _ = try await scenario.client().update()
            #expect(try await CollectionRescue.resume(ann.publisher) == nil)
        }
    }

    @Test("a certificate of another key takes no place")
    func refusesOtherKeys() async throws {
        try await Scenario.with { scenario in
            scenario.clock.advance(days: 3651)
            let other = try await PrivateKey.generate(.p256)
            var options = CollectionRescue.Options()
            options.certificates = [
                try .rootCertificate(for: scenario.gun.text, signedBy: other.certificateKey, at: scenario.clock.now)
            ]
            let error = await refusal { [options] in _ = try await CollectionRescue(scenario.publisher, options) }
            #expect(error?.code == .invalid)
        }
    }
}

extension Scenario {
    fileprivate func root() throws -> Root {
        let bytes = try #require(self.server.current(.root))
        return try Root(try JSONParser.parse(bytes)["signed"] ?? .null, format: .notary)
    }

    /// What the server has of a role, without version and expiry.
    fileprivate func content(_ role: RoleName) throws -> [UInt8] {
        let bytes = try #require(self.server.current(role))
        var members = try #require(try JSONParser.parse(bytes)["signed"]?.object)
        members["version"] = nil
        members["expires"] = nil
        return CanonicalJSON.encode(.object(members))
    }
}
