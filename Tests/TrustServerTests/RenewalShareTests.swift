// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import Logging
import NotaryAPI
import ServiceLifecycle
import Synchronization
import TUF
import Testing

@testable import TrustServer

@Suite("Renewal of many collections", .onEveryDatabase)
struct RenewalShareTests {
    private static func publish(_ count: Int, to server: TestServer) async throws -> [String] {
        let names = (0..<count).map { "g\($0)" }
        for name in names {
            let publisher = try await server.publisher(name)
            #expect(try await server.publish(try await publisher.first(), to: name).status == 200)
        }
        return names
    }

    private static func rows(
        _ server: TestServer,
        _ sql: String,
        _ parameters: [SQLValue] = []
    ) async throws -> [SQLRow] {
        try await server.database.read { try $0.query(sql, parameters) }
    }

    private static func versions(_ server: TestServer) async throws -> [String: Int64] {
        let rows = try await Self.rows(
            server,
            "SELECT gun, max(version) FROM tuf_files WHERE role = 'timestamp' GROUP BY gun"
        )
        return try Dictionary(uniqueKeysWithValues: rows.map { (try $0.text(0), try $0.integer(1)) })
    }

    @Test("what was published in one hour comes due over days, each before its margin")
    func spread() async throws {
        try await TestServer.with { server in
            _ = try await Self.publish(40, to: server)
            let start = Int64(server.clock.now.timeIntervalSince1970)
            let times = try await Self.rows(server, "SELECT renew_at FROM hallmark_renewals").map {
                try $0.integer(0) - start
            }
            #expect(times.allSatisfy { (8 * 86400...10 * 86400).contains($0) })
            #expect(Set(times.map { $0 / 7200 }).count > 10)
            var renewed: [Int] = []
            for _ in 0..<48 {
                server.clock.advance(days: 0.25)
                renewed.append(try await server.server.renewal.renewAll())
            }
            #expect(renewed.reduce(0, +) == 40)
            #expect(renewed.max() ?? 0 < 15)
        }
    }

    @Test("however many there are, hardly more than a share of them comes due in any hour")
    func herd() throws {
        let schedule = RenewalSchedule(configuration: TrustServerConfiguration())
        let published = try Expiry(parsing: "2027-01-15T00:00:00Z")
        var hours: [Int64: Int] = [:]
        for number in 0..<20_000 {
            let time = schedule.time(of: try GUN("example.com/team/app-\(number)"), timestamp: published, snapshot: nil)
            #expect(time.expiresAt == published.seconds)
            hours[(published.seconds - time.renewAt) / 3600, default: 0] += 1
        }
        #expect(hours.keys.allSatisfy { (4 * 24...6 * 24).contains($0) })
        // 48 hours, so 417 on average.
        #expect(hours.count >= 48)
        #expect(hours.values.allSatisfy { $0 < 550 })
    }

    @Test(
        "what is signed is never due at once, whatever the margins are",
        arguments: [0, 60, 86400, 30 * 86400] as [Int64]
    )
    func margins(margin: Int64) throws {
        var configuration = TrustServerConfiguration()
        configuration.timestampLifetime = 86400
        configuration.timestampMargin = margin
        let schedule = RenewalSchedule(configuration: configuration)
        for number in 0..<100 {
            let own = schedule.margins(of: try GUN("g\(number)")).timestamp
            #expect(own >= min(margin, 43_200) && own <= 64_800)
        }
    }

    @Test("after a long outage all are renewed, the soonest to expire first, at the rate that is allowed")
    func outage() async throws {
        try await TestServer.with {
            $0.renewalBatch = 10
            $0.renewalConcurrency = 1
            $0.renewalRate = 2
        } _: { server in
            for number in 0..<30 {
                let publisher = try await server.publisher("g\(number)")
                #expect(try await server.publish(try await publisher.first(), to: "g\(number)").status == 200)
                server.clock.advance(days: 0.1)
            }
            server.clock.advance(days: 30)
            let start = server.clock.now
            #expect(try await server.server.renewal.renewAll() == 30)
            let order = try await Self.rows(
                server,
                "SELECT gun FROM changefeed WHERE version = 2 ORDER BY id"
            ).map { try $0.text(0) }
            #expect(order == (0..<30).map { "g\($0)" })
            #expect(server.clock.now.timeIntervalSince(start) >= 14)
        }
    }

    @Test("servers of one database share what is due: each collection is renewed once")
    func share() async throws {
        try await TestServer.with {
            $0.revalidation = .zero
            $0.renewalBatch = 5
        } _: { server in
            _ = try await Self.publish(30, to: server)
            var servers = [server]
            for _ in 0..<2 {
                servers.append(
                    try await server.another {
                        $0.revalidation = .zero
                        $0.renewalBatch = 5
                    }
                )
            }
            server.clock.advance(days: 11)
            let signatures = server.signer.signatures
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for other in servers { group.addTask { try await other.server.renewal.renewAll() } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(counts.reduce(0, +) == 30)
            #expect(server.signer.signatures == signatures + 30)
            #expect(try await Self.versions(server).values.allSatisfy { $0 == 2 })
        }
    }

    @Test("what a server took and did not do is done by another when the lease is over")
    func crash() async throws {
        try await TestServer.with { server in
            _ = try await Self.publish(6, to: server)
            server.clock.advance(days: 11)
            let now = Int64(server.clock.now.timeIntervalSince1970)
            let store = TrustStore(database: server.database)
            // A server that takes four and is never heard of again.
            let claims = try await store.claim(at: now, urgent: now, leaseUntil: now + 300, limit: 4)
            #expect(claims.count == 4)
            let other = try await server.another()
            #expect(try await other.server.renewal.renewAll() == 2)
            #expect(try await other.server.renewal.renewAll() == 0)
            server.clock.advance(days: 301.0 / 86400)
            #expect(try await other.server.renewal.renewAll() == 4)
            #expect(try await Self.versions(server).values.allSatisfy { $0 == 2 })
        }
    }

    @Test("those that fail wait longer each time, and those that can be renewed do not wait for them")
    func starvation() async throws {
        try await TestServer.with {
            $0.renewalBatch = 4
        } _: { server in
            for number in 0..<12 {
                let publisher = try await server.publisher("bad\(number)")
                var files = try await publisher.first()
                files[0].bytes = try await publisher.root(days: 2)
                #expect(try await server.publish(files, to: "bad\(number)").status == 200)
            }
            server.clock.advance(days: 0.5)
            let publisher = try await server.publisher("good")
            #expect(try await server.publish(try await publisher.first(), to: "good").status == 200)
            server.clock.advance(days: 11)
            #expect(try await server.server.renewal.renewAll() == 13)
            #expect(try await Self.versions(server)["good"] == 2)
            var tries: [Int] = []
            for _ in 0..<48 {
                server.clock.advance(days: 1.0 / 24)
                tries.append(try await server.server.renewal.renewAll())
            }
            // At 1, 3, 7, 15, 31 hours and so on, not each hour.
            let count = tries.reduce(0, +)
            #expect(count >= 12 * 4 && count <= 12 * 6, "\(tries)")
            // Of those that are late the ones that can be renewed go first.
            server.clock.advance(days: 12)
            let now = Int64(server.clock.now.timeIntervalSince1970)
            let urgent = now + server.server.renewal.schedule.leastMargin
            let store = TrustStore(database: server.database)
            let claims = try await store.claim(at: now, urgent: urgent, leaseUntil: now + 300, limit: 1)
            #expect(claims.map(\.gun.text) == ["good"])
        }
    }

    @Test("a signer that is away is not asked for each of them, and what was taken is given back")
    func signerAway() async throws {
        try await TestServer.with {
            $0.renewalBatch = 30
        } _: { server in
            _ = try await Self.publish(30, to: server)
            server.clock.advance(days: 11)
            server.signer.setUnavailable(true)
            #expect(try await server.server.renewal.renewAll() < 15)
            let leased = try await Self.rows(server, "SELECT gun FROM hallmark_renewals WHERE lease_until > 0")
            #expect(leased.isEmpty)
            server.signer.setUnavailable(false)
            server.clock.advance(days: 0.1)
            try await server.server.renewal.renewAll()
            #expect(try await Self.versions(server).values.allSatisfy { $0 == 2 })
        }
    }

    @Test("when the server is told to end, what was begun is finished and what was only taken is given back")
    func shutdown() async throws {
        try await TestServer.with {
            $0.renewalConcurrency = 2
        } _: { server in
            _ = try await Self.publish(10, to: server)
            server.clock.advance(days: 11)
            let (begun, hasBegun) = AsyncStream.makeStream(of: Void.self)
            let (end, mayEnd) = AsyncStream.makeStream(of: Void.self)
            server.signer.beforeSigning {
                hasBegun.yield()
                for await _ in end {}
            }
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: [.init(service: server.server.renewal)],
                    logger: Logger(label: "test") { _ in server.log }
                )
            )
            async let running: Void = group.run()
            var iterator = begun.makeAsyncIterator()
            for _ in 0..<2 { await iterator.next() }
            await group.triggerGracefulShutdown()
            mayEnd.finish()
            try await running
            server.signer.beforeSigning(nil)
            #expect(try await Self.versions(server).values.sorted() == Array(repeating: 1, count: 8) + [2, 2])
            #expect(try await Self.rows(server, "SELECT gun FROM hallmark_renewals WHERE lease_until > 0").isEmpty)
        }
    }

    @Test("both looks for what is due read an index, and no more rows than they take")
    func plans() async throws {
        try await TestServer.with { server in
            let isSQLite = server.database is SQLiteDatabase
            let plan = isSQLite ? "EXPLAIN QUERY PLAN " : "EXPLAIN "
            for column in ["expires_at", "renew_at"] {
                let sql = """
                    \(plan)UPDATE hallmark_renewals SET lease_until = 1 WHERE gun IN (
                        SELECT gun FROM hallmark_renewals WHERE \(column) <= 5 AND lease_until <= 5
                        ORDER BY \(column) LIMIT 64
                    ) RETURNING gun
                    """
                let lines = try await server.database.write { connection in
                    // What it takes for few rows is not what it takes for many.
                    for kind in isSQLite ? [] : ["seqscan", "bitmapscan", "sort"] {
                        try connection.execute("SET LOCAL enable_\(kind) = off")
                    }
                    return try connection.query(sql).map { try $0.text(isSQLite ? 3 : 0) }
                }
                let text = lines.joined(separator: "\n")
                #expect(text.contains("hallmark_renewals_\(column)"), "\(text)")
                #expect(!text.contains("Sort") && !text.contains("TEMP B-TREE"), "\(text)")
            }
        }
    }
}
