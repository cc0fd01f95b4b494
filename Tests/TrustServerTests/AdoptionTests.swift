// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import Logging
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Collections that another program has put into the database", .onEveryDatabase)
struct AdoptionTests {
    private static func adoption(_ server: TestServer) -> Adoption {
        server.server.expiryWatch.adoption
    }

    private static func watched(_ server: TestServer) async throws -> [String] {
        try await server.database.read {
            try $0.query("SELECT gun FROM hallmark_renewals ORDER BY gun").map { try $0.text(0) }
        }
    }

    /// What Notary would have left: nothing of ours.
    private static func forget(_ server: TestServer) async throws {
        try await server.database.write { connection in
            for table in ["hallmark_server_keys", "hallmark_renewals", "hallmark_expiries"] {
                try connection.execute("DELETE FROM \(table)")
            }
        }
    }

    @Test("their keys are theirs, and they are renewed; what it was done for is not looked at again")
    func adopt() async throws {
        try await TestServer.with { server in
            let adoption = Self.adoption(server)
            #expect(try await adoption.run() == 0)
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            #expect(try await server.publish(try await publisher.first(), to: "g").status == 200)
            try await Self.forget(server)
            #expect(try await adoption.run() == 1)
            #expect(try await adoption.run() == 0)

            let store = TrustStore(database: server.database)
            let gun = try GUN("g")
            let key = try await server.serverKey(.timestamp, of: "g")
            #expect(try await store.owner(of: key.id) == gun)
            // Its publisher's snapshot key is nobody else's affair.
            let keys = try await server.database.read { try $0.query("SELECT key_id FROM hallmark_server_keys").count }
            #expect(keys == 1)
            #expect(try await Self.watched(server) == ["g"])

            // Whoever names another's key is refused.
            let thief = try TestPublisher(gun: "h", now: server.clock.now, timestampKey: key, snapshotKey: nil)
            #expect(try await server.publish(try await thief.first(), to: "h").status == 400)

            let late = try await server.publisher("late")
            #expect(try await server.publish(try await late.first(), to: "late").status == 200)
            try await Self.forget(server)
            #expect(try await adoption.run() == 1)
            #expect(try await Self.watched(server) == ["late"])
        }
    }

    @Test("all are found, however many there are")
    func many() async throws {
        try await TestServer.with { server in
            try await server.database.write { connection in
                for number in 0..<600 {
                    for role in ["root", "timestamp"] {
                        try connection.execute(
                            "INSERT INTO tuf_files (gun, role, version, data) VALUES (?, ?, 1, ?)",
                            .text("g\(number)"),
                            .text(role),
                            .blob(.init())
                        )
                    }
                }
            }
            #expect(try await Self.adoption(server).run() == 600)
            #expect(try await Self.watched(server).count == 600)
        }
    }

    @Test("each has its own time to be renewed in, however they came")
    func spread() async throws {
        try await TestServer.with { server in
            for number in 0..<20 {
                let publisher = try await server.publisher("g\(number)")
                #expect(try await server.publish(try await publisher.first(), to: "g\(number)").status == 200)
            }
            try await Self.forget(server)
            #expect(try await Self.adoption(server).run() == 20)
            let start = Int64(server.clock.now.timeIntervalSince1970)
            let hours = try await server.database.read {
                try $0.query("SELECT renew_at FROM hallmark_renewals").map { (try $0.integer(0) - start) / 3600 }
            }
            #expect(hours.allSatisfy { (8 * 24...10 * 24).contains($0) })
            #expect(Set(hours).count > 8)
        }
    }
}
