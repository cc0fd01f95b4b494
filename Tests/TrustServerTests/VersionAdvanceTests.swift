// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Advancing versions", .onEveryDatabase)
struct VersionAdvanceTests {
    @Test("a reader who has seen newer versions than the database remembers follows, and what is listed stays")
    func goesOn() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let before = try await server.update("g")
            let result = try await TrustServer.advanceVersions(
                by: 1000,
                database: server.database,
                signer: server.signer,
                now: { server.clock.now }
            )
            #expect(result == VersionAdvance(advanced: 1, failed: [:]))
            let after = try await server.another().update("g")
            #expect(after.timestamp?.payload.version == 1001)
            #expect(after.snapshot?.payload.version == 1001)
            #expect(after.snapshot?.payload.meta == before.snapshot?.payload.meta)
        }
    }

    @Test("a publisher's snapshot stays as it is, and a version that could not be stored is not made")
    func leavesWhatItCannotSign() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            var files = Array(try await publisher.first().prefix(2))
            files.append((.snapshot, try await publisher.snapshot(version: 2, of: files)))
            _ = try await server.publish(files, to: "g")
            func advance(_ count: Int64) async throws -> VersionAdvance {
                try await TrustServer.advanceVersions(
                    by: count,
                    database: server.database,
                    signer: server.signer,
                    now: { server.clock.now }
                )
            }
            #expect(try await advance(10).advanced == 1)
            #expect(try await advance(Int64(Int32.max)).failed.keys.map(\.text) == ["g"])
            let after = try await server.another().update("g")
            #expect(after.timestamp?.payload.version == 11)
            #expect(after.snapshot?.bytes == files[2].bytes)
        }
    }
}
