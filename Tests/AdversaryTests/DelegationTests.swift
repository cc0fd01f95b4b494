// SPDX-License-Identifier: Apache-2.0

import KeyStore
import TUF
import Testing

/// Roles that reach beyond what they were trusted with.
@Suite("Delegations")
struct DelegationTests {
    @Test(
        "what a role lists beyond its paths does not count, wherever else it is listed or not",
        arguments: bothFormats
    )
    func beyondPaths(_ format: WireFormat) async throws {
        try await Scenario.with(format) { repository in
            let docs = repository.role("docs")
            try repository.delegate("docs/", to: docs, keys: [try await repository.makeKey(for: docs)])
            try repository.set("docs/a", "a 1", in: docs)
        } _: { scenario in
            // All is published as it should be: it is the holder of the role who is the attacker.
            let docs = scenario.repository.role("docs")
            for path in ["app", "bin/tool", "docs"] { try scenario.repository.set(path, "malware", in: docs) }
            try await scenario.repository.publish()
            var view = try await scenario.reader.update()
            #expect(try await view.find("bin/tool") == nil)
            #expect(try await view.find("docs") == nil)
            #expect(try await view.find("app")?.role == .targets)
            #expect(try await view.find("docs/a")?.role == docs)
            #expect(try await view.list() == ["app", "docs/a"])
            try await scenario.expectRecovery(["app": "app 1", "docs/a": "a 1"])
        }
    }

    @Test("a role that was not trusted with a path cannot pass it on", arguments: bothFormats)
    func beyondDelegatorsPaths(_ format: WireFormat) async throws {
        try await Scenario.with(format) { repository in
            let docs = repository.role("docs")
            let below = format == .notary ? RoleName("targets/docs/all") : RoleName("all")
            try repository.delegate("docs/", to: docs, keys: [try await repository.makeKey(for: docs)])
            try repository.delegate("", to: below, from: docs, keys: [try await repository.makeKey(for: below)])
            try repository.set("bin/tool", "malware", in: below)
        } _: { scenario in
            var view = try await scenario.reader.update()
            #expect(try await view.find("bin/tool") == nil)
            try await scenario.expectRecovery()
        }
    }

    @Test("a role that two delegate to is trusted by each for what its own keys have signed")
    func otherDelegatorsKeys() async throws {
        let keys = (try await PrivateKey.generate(.p256), try await PrivateKey.generate(.p256))
        let shared = RoleName("shared")
        try await Scenario.with(.tuf) { repository in
            for name in ["a", "b"] {
                let key = try await repository.makeKey(for: RoleName(name))
                try repository.delegate("\(name)-", to: RoleName(name), keys: [key])
            }
            try repository.delegate("b-", to: shared, from: RoleName("b"), keys: [keys.1])
            try repository.delegate("a-", to: shared, from: RoleName("a"), keys: [keys.0])
            // The holder of the first key writes of what the other was trusted with.
            try repository.set("a-x", "good", in: shared)
            try repository.set("b-x", "malware", in: shared)
        } _: { scenario in
            var view = try await scenario.reader.update()
            #expect(try await view.find("a-x")?.role == shared)
            let moving = [RoleName("b"): try await scenario.repository.current(RoleName("b"))]
            try await scenario.expectRefusal(.signature, moving: moving) { _ = try await $0.find("b-x") }
            try await scenario.expectRefusal(.signature) {
                _ = try await $0.find("a-x")
                _ = try await $0.find("b-x")
            }
            try scenario.repository.set("b-x", "good", in: shared)
            scenario.repository.sign(shared, with: [keys.0, keys.1])
            try await scenario.repository.publish()
            try await scenario.expectRecovery(["a-x": "good", "b-x": "good"])
        }
    }

    @Test("a role cannot delegate in another's name")
    func otherDelegatorsName() async throws {
        try await Scenario.with(.notary) { repository in
            let docs = repository.role("docs")
            try repository.delegate("docs/", to: docs, keys: [try await repository.makeKey(for: docs)])
            try repository.set("docs/a", "a 1", in: docs)
        } _: { scenario in
            let repository = scenario.repository
            let docs = repository.role("docs")
            let own = try await PrivateKey.generate(.p256)
            var delegate = try #require(repository.delegated[docs])
            delegate.payload.version += 1
            delegate.payload.delegations = Delegations(
                keys: [own.publicKey.id.text: own.publicKey],
                roles: [
                    DelegatedRole(
                        name: RoleName("targets/bin"),
                        definition: RoleDefinition(keyIDs: [own.publicKey.id]),
                        paths: [""]
                    )
                ]
            )
            // The server would not take it: the role's holder has the server's keys as well.
            let forged = try await repository.sign(delegate.payload, with: delegate.keys)
            scenario.attacker.serve(try await repository.worldOfThief(with: [docs: forged]))
            _ = try await scenario.reader.update()
            try await scenario.expectRefusal(.signature) { _ = try await $0.find("docs/a") }
            try await repository.rotate([.timestamp, .snapshot])
            try await scenario.expectRecovery(["docs/a": "a 1"])
        }
    }

    @Test("a delegated role's metadata is no other role's, and none of another moment", arguments: bothFormats)
    func swapped(_ format: WireFormat) async throws {
        try await Scenario.with(format) { repository in
            for name in ["a", "b"] {
                let role = repository.role(name)
                try repository.delegate("\(name)-", to: role, keys: [try await repository.makeKey(for: role)])
                try repository.set("\(name)-x", "x 1", in: role)
            }
        } _: { scenario in
            let repository = scenario.repository
            let (first, second) = (repository.role("a"), repository.role("b"))
            let files = (try await repository.current(first), try await repository.current(second))
            scenario.attacker.serve([second: files.0])
            try await scenario.expectRefusal(.rollback) { _ = try await $0.find("b-x") }

            try repository.set("b-x", "x 2", in: second)
            try await repository.publish()
            _ = try await scenario.reader.update()
            scenario.attacker.serve([second: files.1])
            try await scenario.expectRefusal(.rollback) { _ = try await $0.find("b-x") }

            // With the online keys it can be listed in the other's place; it is signed by another key all the same.
            let keys = repository.delegated[first]?.keys ?? []
            try await scenario.expectForgeryIsRefused(of: second, by: keys, path: "b-x")
            try await repository.rotate([.timestamp, .snapshot])
            try await scenario.expectRecovery(["a-x": "x 1", "b-x": "x 2"])
        }
    }
}

extension Scenario {
    /// Metadata of a delegated role, newer and listed by thieves of the online keys, that other keys than the role's have
    /// signed. A client of TUF's format refuses to look below it; one of Notary's leaves the role out.
    func expectForgeryIsRefused(of role: RoleName, by keys: [any SigningKey], path: String) async throws {
        var evil = try #require(self.repository.delegated[role]?.payload)
        evil.version += 10
        evil.targets[path] = .content("malware")
        let forged = try await self.repository.sign(evil, with: keys)
        self.attacker.serve(try await self.repository.worldOfThief(with: [role: forged]))
        var view = try await self.reader.update()
        if self.format == .tuf {
            try await self.expectRefusal(.signature) { _ = try await $0.find(path) }
        } else {
            let kept = self.reader.kept()
            #expect(try await view.find(path) == nil)
            #expect(self.reader.kept() == kept)
        }
    }
}
