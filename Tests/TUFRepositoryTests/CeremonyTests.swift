// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import KeyStore
import TUF
import Testing

@testable import TUFRepository

@Suite("Ceremonies of a repository")
struct CeremonyTests {
    private struct Holders {
        let sources: [MemoryKeys]
        let keys: [PublicKey]

        init(_ count: Int) async throws {
            var sources: [MemoryKeys] = []
            var keys: [PublicKey] = []
            for _ in 0..<count {
                let source = MemoryKeys()
                keys.append(try await source.make())
                sources.append(source)
            }
            self.sources = sources
            self.keys = keys
        }

        func signing(_ index: Int) async throws -> [any SigningKey] {
            try await self.sources[index].signingKeys(among: self.keys, for: .root)
        }
    }

    @Test("A repository whose roles need two of three is published when two have signed")
    func repository() async throws {
        let test = try TestRepository()
        let holders = try await Holders(3)
        let online = try await test.keys.make()
        let offline = Signers(keys: holders.keys, threshold: 2)
        let first = try await test.repository().create(signers: [
            .root: offline, .targets: offline, .snapshot: .init(keys: [online]), .timestamp: .init(keys: [online]),
        ])
        #expect(first.pending.map(\.role) == [.root, .targets])
        for index in [0, 2] {
            for ceremony in try await test.repository().ceremonies() {
                var copy = ceremony
                try await copy.sign(with: try await holders.signing(index))
                #expect(try await test.repository().merge(copy.metadata, role: copy.role) == [holders.keys[index].id])
            }
        }
        #expect(
            try await test.repository().publish().published.map(\.role) == [.targets, .snapshot, .timestamp, .root]
        )
        try await test.add("a", "one")
        #expect(try await test.repository().publish().pending.map(\.role) == [.targets])
        // What comes meanwhile waits for the one after.
        try await test.add("b", "two")
        let status = try await test.repository().status()
        #expect(status.staged.map(\.isPending) == [true, false])
        for index in [1, 2] { _ = try await test.repository(keys: holders.sources[index]).publish() }
        _ = try await test.repository().publish()
        #expect(try TestClient.read("a", from: test) == "one")
        #expect(try TestClient.read("b", from: test) == nil)
        #expect(try test.repository().stagedChanges().count == 1)
    }
}
