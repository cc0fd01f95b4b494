// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import Testing
import TrustClient

@Suite("Moving to another server")
struct MoveTests {
    /// The same people with another server, which knows nothing yet.
    private struct Target {
        let server: MemoryServer
        let scenario: Scenario

        init(_ scenario: Scenario) {
            self.server = MemoryServer(clock: scenario.clock)
            self.scenario = scenario
        }

        func client(_ name: String) -> CollectionClient {
            CollectionClient(
                gun: self.scenario.gun,
                transport: self.server,
                cache: MetadataCache(directory: "\(self.scenario.directory)/\(name)"),
                now: { [clock = self.scenario.clock] in clock.now }
            )
        }

        var publisher: CollectionPublisher { CollectionPublisher(self.client("publisher"), keys: self.scenario.keys) }

        func version(_ role: RoleName) throws -> Int64? {
            try self.server.current(role).flatMap { try UnverifiedMetadata($0, format: .notary).claimedVersion }
        }
    }

    @Test(
        "targets go as they are, versions go on above those that were seen, and readers follow",
        arguments: [true, false]
    )
    func moves(serverManagesSnapshot: Bool) async throws {
        try await Scenario.with(serverManagesSnapshot: serverManagesSnapshot) { scenario in
            for number in 2...6 {
                _ = try await scenario.publisher.publish([.add("v\(number)", .content("\(number)"))])
            }
            _ = try await scenario.client().update()
            let old = try #require(scenario.server.current(.targets))
            let target = Target(scenario)
            let outcome = try await CollectionMove(target.publisher, from: scenario.server).run()
            #expect(outcome.serverManagesSnapshot == serverManagesSnapshot)
            #expect(outcome.rootVersion == 2)
            #expect(target.server.current(.targets) == old)
            for role in [RoleName.timestamp, .snapshot] {
                let before = try UnverifiedMetadata(try #require(scenario.server.current(role)), format: .notary)
                #expect(try #require(try target.version(role)) > (before.claimedVersion ?? 0))
            }
            for name in ["reader", "fresh"] {
                var view = try await target.client(name).update()
                #expect(try await view.list().count == 6)
            }
            _ = try await target.publisher.publish([.add("v7", .content("7"))])
            var view = try await target.client("reader").update()
            #expect(try await view.list().count == 7)
        }
    }

    @Test("what is kept here is enough when the old server is gone, also what has expired since")
    func movesWithoutServer() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client("publisher").update()
            scenario.clock.advance(days: 1096)
            let target = Target(scenario)
            _ = try await CollectionMove(target.publisher, from: nil).run()
            #expect(try target.version(.targets) == 3)
            var view = try await target.client("fresh").update()
            #expect(try await view.list().map(\.name) == ["v1"])
        }
    }

    @Test("a root certificate that has ended gets a successor of the same key on the way")
    func renewsCertificate() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            scenario.clock.advance(days: 3651)
            let target = Target(scenario)
            _ = try await CollectionMove(target.publisher, from: scenario.server).run()
            for name in ["reader", "fresh"] {
                var view = try await target.client(name).update()
                #expect(try await view.list().map(\.name) == ["v1"])
            }
        }
    }

    @Test("without the root key nothing is sent")
    func needsRootKey() async throws {
        try await Scenario.with { scenario in
            let target = Target(scenario)
            let stranger = CollectionPublisher(target.client("stranger"), keys: MemoryKeys())
            let error = await refusal { _ = try await CollectionMove(stranger, from: scenario.server).run() }
            #expect(error?.code == .noSigningKey)
            #expect(target.server.current(.root) == nil)
        }
    }

    @Test("a collection that the new server has is never replaced")
    func replacesNothing() async throws {
        try await Scenario.with { scenario in
            let target = Target(scenario)
            _ = try await CollectionMove(target.publisher, from: scenario.server).run()
            let error = await refusal { _ = try await CollectionMove(target.publisher, from: scenario.server).run() }
            #expect(error?.code == .conflict)
        }
    }

    @Test("an old server that has gone back behind what is known here is refused")
    func refusesRollback() async throws {
        try await Scenario.with { scenario in
            let old = try #require(scenario.server.current(.timestamp))
            _ = try await scenario.publisher.publish([.add("v2", .content("two"))])
            _ = try await scenario.client("publisher").update()
            scenario.server.intercept { role, reference in role == .timestamp && reference == .current ? old : nil }
            let target = Target(scenario)
            let error = await refusal { _ = try await CollectionMove(target.publisher, from: scenario.server).run() }
            #expect(error?.code == .rollback)
            #expect(target.server.current(.root) == nil)
        }
    }

    @Test("keys of roots before the present one sign too, where they are here, for readers who know none but those")
    func leadsOldReaders() async throws {
        try await Scenario.with { scenario in
            _ = try await scenario.client().update()
            for _ in 0..<2 { try await scenario.rotateRoot() }
            let target = Target(scenario)
            #expect(try await CollectionMove(target.publisher, from: scenario.server).run().rootVersion == 4)
            // The roots between are nowhere any more.
            var view = try await target.client("reader").update()
            #expect(try await view.list().map(\.name) == ["v1"])
        }
    }
}
