// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NotaryAPI
import TUF
import Testing
import TrustClient

@Suite("Pins of roots")
struct RootPinTests {
    private func pin(_ ids: [KeyID], isBinding: Bool = true) -> RootPin {
        RootPin(.keyIDs(Set(ids)), origin: "client.yaml:3", isBinding: isBinding)
    }

    private func client(_ scenario: Scenario, _ name: String, _ pins: [RootPin]) -> CollectionClient {
        CollectionClient(
            gun: scenario.gun,
            transport: scenario.server,
            cache: MetadataCache(directory: "\(scenario.directory)/\(name)"),
            anchor: .knownOnly,
            pins: pins,
            now: { scenario.clock.now }
        )
    }

    private func rootKeys(_ scenario: Scenario) throws -> [KeyID] {
        let bytes = try #require(scenario.server.current(.root))
        return try UnverifiedMetadata(bytes, format: .notary).claimedRootKeys().map(\.id)
    }

    @Test("lets a fresh client in through every rotation since the pinned root, and keeps only the newest")
    func rotations() async throws {
        try await Scenario.with { scenario in
            let old = try self.rootKeys(scenario)
            for _ in 0..<3 { try await scenario.rotateRoot() }
            let new = try self.rootKeys(scenario)
            #expect(old != new)
            for (name, ids) in [("old", old), ("new", new)] {
                let loaded = try await self.client(scenario, name, [self.pin(ids)]).update()
                #expect(loaded.firstUse?.rootKeyIDs == new)
                #expect(loaded.firstUse?.isPinned == true)
                #expect(scenario.kept(name)["root.json"] == scenario.server.current(.root))
            }
        }
    }

    @Test("refuses a root that is not pinned, and nothing is kept, whatever versions it claims")
    func strangers() async throws {
        try await Scenario.with { scenario in
            try await scenario.rotateRoot()
            let other = KeyID(String(repeating: "0", count: 64))
            let error = await refusal { _ = try await self.client(scenario, "reader", [self.pin([other])]).update() }
            #expect(error?.code == .signature)
            #expect(error?.message.contains("client.yaml:3") == true)
            #expect(scenario.kept().isEmpty)
        }
    }

    @Test("does not follow a pinned root to one that its keys did not sign")
    func forgedRotation() async throws {
        try await Scenario.with { scenario in
            let old = try self.rootKeys(scenario)
            let first = try #require(scenario.server.current(.root))
            // Another publisher's collection of the same name: its second root is shown after the first one of this.
            try await Scenario.with { attacker in
                try await attacker.rotateRoot()
                let forged = try #require(attacker.server.current(.root))
                scenario.server.intercept { role, reference in
                    guard role == .root else { return nil }
                    return reference == .version(1) ? first : forged
                }
                let error = await refusal { _ = try await self.client(scenario, "reader", [self.pin(old)]).update() }
                #expect(error?.code == .signature)
                #expect(scenario.kept().isEmpty)
            }
        }
    }

    @Test("refuses an older root under another version's name, and ends where the server has no more")
    func brokenChain() async throws {
        try await Scenario.with { scenario in
            let old = try self.rootKeys(scenario)
            for _ in 0..<2 { try await scenario.rotateRoot() }
            let newest = try #require(scenario.server.current(.root))
            scenario.server.intercept { role, reference in
                role == .root && reference == .version(2) ? newest : nil
            }
            #expect(
                await refusal { _ = try await self.client(scenario, "a", [self.pin(old)]).update() }?.code == .signature
            )
            scenario.server.behave()
            scenario.server.forget(.root, 2)
            #expect(
                await refusal { _ = try await self.client(scenario, "b", [self.pin(old)]).update() }?.code == .signature
            )
        }
    }

    @Test("all pins have to agree")
    func disagreement() async throws {
        try await Scenario.with { scenario in
            let ids = try self.rootKeys(scenario)
            let other = KeyID(String(repeating: "0", count: 64))
            let error = await refusal {
                _ = try await self.client(scenario, "reader", [self.pin(ids), self.pin([other])]).update()
            }
            #expect(error?.code == .signature)
            _ = try await self.client(scenario, "reader", [self.pin(ids), self.pin(ids + [other])]).update()
        }
    }

    @Test("a binding pin ends what began as a wrong first use; one of Notary's warns of it")
    func wrongFirstUse() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            let kept = scenario.kept()
            let other = KeyID(String(repeating: "0", count: 64))
            let error = await refusal { _ = try await self.client(scenario, "reader", [self.pin([other])]).update() }
            #expect(error?.code == .signature)
            #expect(scenario.kept() == kept)
            let loaded = try await self.client(scenario, "reader", [self.pin([other], isBinding: false)]).update()
            let isWarned = loaded.warnings.contains { if case .rootNotPinned = $0 { true } else { false } }
            #expect(isWarned)
        }
    }

    @Test("a key that a root only lists, and that has not signed it, meets no pin")
    func listedOnly() async throws {
        try await Scenario.with { scenario in
            let bytes = try #require(scenario.server.current(.root))
            let own = try #require(try UnverifiedMetadata(bytes, format: .notary).claimedRootKeys().first)
            let available = try await scenario.keys.available()
            let signer = try #require(available.first { $0.role == .root })
            let other = try await PrivateKey.generate(.p256)
            let pinned = try PublicKey.rootCertificate(
                for: scenario.gun.text,
                signedBy: other.certificateKey,
                at: scenario.clock.now
            )
            // Who has made the root lists somebody else's certificate in it, which is public.
            var root = try Root(try JSONParser.parse(bytes)["signed"] ?? .null, format: .notary)
            root.version += 1
            root.keys[pinned.id.text] = pinned
            root.roles[.root] = RoleDefinition(keyIDs: [own.id, pinned.id])
            let key = try ListedPrivateKey(try scenario.keys.privateKey(signer.id), as: own)
            let forged = try await root.signed(by: [key], format: .notary).bytes
            try await scenario.server.upload([MetadataUpload(role: .root, bytes: forged)], to: scenario.gun)
            _ = try await scenario.client().update()
            #expect(scenario.kept()["root.json"] == forged)
            for name in ["reader", "newcomer"] {
                let error = await refusal {
                    _ = try await self.client(scenario, name, [self.pin([pinned.id])]).update()
                }
                #expect(error?.code == .signature, "\(name)")
            }
            // Whose key has signed is let in.
            _ = try await self.client(scenario, "reader", [self.pin([own.id])]).update()
        }
    }

    @Test("a root that rotations led to from the pinned one is found to be so once, and then not asked for again")
    func knownRoot() async throws {
        try await Scenario.with { scenario in
            let old = try self.rootKeys(scenario)
            _ = try await scenario.client().update()
            try await scenario.rotateRoot()
            let pinned = self.client(scenario, "reader", [self.pin(old)])
            let loaded = try await pinned.update()
            #expect(loaded.warnings.isEmpty)
            scenario.server.clearLog()
            _ = try await pinned.update()
            #expect(!scenario.server.log.contains("1.root"))
            // Other pins are other news.
            let other = KeyID(String(repeating: "0", count: 64))
            let error = await refusal { _ = try await self.client(scenario, "reader", [self.pin([other])]).update() }
            #expect(error?.code == .signature)
        }
    }

    @Test("what the server has not confirmed for longer than is allowed is not read without it")
    func maximumAge() async throws {
        try await Scenario.with { scenario in
            func client(_ age: TimeInterval?) -> CollectionClient {
                CollectionClient(
                    gun: scenario.gun,
                    transport: scenario.server,
                    cache: MetadataCache(directory: "\(scenario.directory)/reader"),
                    maximumAge: age,
                    now: { scenario.clock.now }
                )
            }
            _ = try await client(3 * 86400).update()
            scenario.server.intercept { _, _ in throw TrustClientError(.unreachable, "gone") }
            scenario.clock.advance(days: 2.9)
            _ = try await client(3 * 86400).update()
            scenario.clock.advance(days: 0.2)
            #expect(await refusal { _ = try await client(3 * 86400).update() }?.code == .expired)
            _ = try await client(nil).update()
        }
    }
}
