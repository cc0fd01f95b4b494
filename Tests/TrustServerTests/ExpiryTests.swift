// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import NIOHTTP1
import NotaryAPI
import TUF
import Testing
import X509

@testable import TrustServer

@Suite("What expires", .onEveryDatabase)
struct ExpiryTests {
    /// What is noted of a collection, as `kind role days-from-now`.
    private static func recorded(_ server: TestServer, _ gun: String = "g") async throws -> Set<String> {
        let now = Int64(server.clock.now.timeIntervalSince1970)
        return try await server.database.read { connection in
            let rows = try connection.query(
                "SELECT kind, role, expires_at FROM hallmark_expiries WHERE gun = ?",
                .text(gun)
            )
            return try Set(
                rows.map { row in
                    let kind = try #require(ExpiryKind(rawValue: try row.integer(0)))
                    return "\(kind.label) \(try row.text(1)) \((try row.integer(2) - now + 43_200) / 86400)"
                }
            )
        }
    }

    private static func publish(_ files: TestPublisher.Files, to server: TestServer) async throws {
        let reply = try await server.publish(files, to: "g")
        #expect(reply.status == 200, "\(reply.text)")
    }

    @Test("is noted of what publishers sign, when they publish it, and follows what they change")
    func publishing() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let key = TestKey()
            let delegations = TestPublisher.delegation("targets/releases", key: key)
            var files = try await publisher.first()
            files[1].bytes = try await publisher.targets(version: 2, delegations: delegations)
            files.append(
                (RoleName("targets/releases"), try await publisher.targets(version: 1, signedBy: key, days: 400))
            )
            try await Self.publish(files, to: server)
            #expect(
                try await Self.recorded(server)
                    == [
                        "root_certificate root 3650", "root root 3650", "targets targets 1095",
                        "delegation targets/releases 400",
                    ]
            )
            // The delegation goes, the root is signed again.
            try await Self.publish(
                [
                    (.root, try await publisher.root(version: 2, days: 30)),
                    (.targets, try await publisher.targets(version: 3, days: 60)),
                ],
                to: server
            )
            #expect(
                try await Self.recorded(server)
                    == ["root_certificate root 3650", "root root 30", "targets targets 60"]
            )
            #expect(try await server.send(.DELETE, "/v2/g/_trust/tuf/").status == 200)
            #expect(try await Self.recorded(server).isEmpty)
        }
    }

    @Test("a publisher's own snapshot counts, one of the server's does not")
    func snapshots() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            try await Self.publish(try await publisher.first(), to: server)
            #expect(try await Self.recorded(server).contains("snapshot snapshot 1095"))
            let other = try await server.publisher("h")
            #expect(try await server.publish(try await other.first(), to: "h").status == 200)
            #expect(try await Self.recorded(server, "h").count == 3)
        }
    }

    @Test("is found for collections that another program published, or an older version")
    func adopted() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            let key = TestKey()
            let delegations = TestPublisher.delegation("targets/a", key: key)
            var files = Array(try await publisher.first().prefix(2))
            files[1].bytes = try await publisher.targets(version: 2, delegations: delegations)
            files.append((RoleName("targets/a"), try await publisher.targets(version: 1, signedBy: key, days: 20)))
            files.append((.snapshot, try await publisher.snapshot(version: 2, of: files)))
            try await Self.publish(files, to: server)
            let recorded = try await Self.recorded(server)
            try await server.database.write { connection in
                try connection.execute("DELETE FROM hallmark_expiries")
                try connection.execute("UPDATE hallmark_renewals SET known_sha256 = NULL, renew_at = 0")
            }
            #expect(try await server.server.expiryWatch.adoption.run() == 1)
            #expect(try await Self.recorded(server) == recorded)
            #expect(try await server.server.renewal.renewAll() == 0)
            // What this server stores meanwhile does not have to be looked at.
            try await Self.publish(
                [(.snapshot, try await publisher.snapshot(version: 3, of: Array(files.prefix(3))))],
                to: server
            )
            let other = try await server.another()
            #expect(try await other.server.expiryWatch.adoption.run() == 0)
        }
    }

    @Test("shows in metrics: what is next, how much is near, how much has expired")
    func metrics() async throws {
        try await TestServer.with { server in
            for (name, days) in [("a", 5.0), ("b", 20), ("c", 80), ("d", 1000)] {
                let publisher = try await server.publisher(name)
                var files = try await publisher.first()
                files[1].bytes = try await publisher.targets(version: 2, days: days)
                #expect(try await server.publish(files, to: name).status == 200)
            }
            server.clock.advance(days: 10)
            try await server.server.expiryWatch.measure()
            #expect(server.metric(#"hallmark_expiry_seconds{role="targets"}"#) == 10 * 86400.0)
            #expect(server.metric(#"hallmark_expired{role="targets"}"#) == 1)
            #expect(server.metric(#"hallmark_expiring{role="targets",days="7"}"#) == 0)
            #expect(server.metric(#"hallmark_expiring{role="targets",days="30"}"#) == 1)
            #expect(server.metric(#"hallmark_expiring{role="targets",days="90"}"#) == 2)
            #expect(server.metric(#"hallmark_expiry_seconds{role="root"}"#) == 3640 * 86400.0)
            #expect(server.metric(#"hallmark_expiry_seconds{role="delegation"}"#) == nil)
            #expect(server.metric(#"hallmark_expired{role="delegation"}"#) == 0)
        }
    }

    @Test("is warned of once at each level, with collection, role, date and what to do, and again after a new publish")
    func warnings() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files[1].bytes = try await publisher.targets(version: 2, days: 100)
            try await Self.publish(files, to: server)
            var told: [Int: [String]] = [:]
            for day in 1...110 {
                server.clock.advance(days: 1)
                server.log.clear()
                try await server.server.expiryWatch.warn()
                if !server.log.warnings.isEmpty { told[day] = server.log.warnings }
            }
            #expect(told.keys.sorted() == [10, 70, 93, 99, 100])
            #expect(told.values.allSatisfy { $0.count == 1 })
            let date = publisher.expiry(days: 100).text
            let first = try #require(told[10]?.first)
            #expect(
                first
                    == "targets of g expires on \(date), in 90 days; run `hallmark rescue --within 90 g` with the key of targets"
            )
            #expect(told[100]?.first?.contains("targets of g expired on \(date)") == true)
            // A new one is warned of in its turn; who gives it five days knows of the levels above.
            let again = try TestPublisher(again: publisher, now: server.clock.now)
            try await Self.publish([(.targets, try await again.targets(version: 3, days: 5))], to: server)
            server.log.clear()
            try await server.server.expiryWatch.warn()
            #expect(server.log.warnings.isEmpty)
            server.clock.advance(days: 4)
            try await server.server.expiryWatch.warn()
            #expect(server.log.warnings.count == 1)
        }
    }

    @Test("of many at once some are named and the rest are counted, and only one of several servers says it")
    func bounded() async throws {
        try await TestServer.with {
            $0.expiryWarningLimit = 3
        } _: { server in
            let expires = Int64(server.clock.now.timeIntervalSince1970) + 5 * 86400
            try await server.database.write { connection in
                for number in 0..<1200 {
                    try connection.execute(
                        "INSERT INTO hallmark_expiries (gun, kind, role, expires_at, warn_at) VALUES (?, 3, 'targets', ?, 0)",
                        .text("g\(number)"),
                        .integer(expires)
                    )
                }
            }
            let other = try await server.another { $0.expiryWarningLimit = 3 }
            async let mine: Void = server.server.expiryWatch.warn()
            async let others: Void = other.server.expiryWatch.warn()
            _ = try await (mine, others)
            let lines = server.log.warnings + other.log.warnings
            #expect(server.log.warnings.isEmpty || other.log.warnings.isEmpty)
            #expect(lines.count == 4)
            #expect(lines.last == "1197 more of role targets expire within 7 days")
            try await server.server.expiryWatch.warn()
            try await other.server.expiryWatch.warn()
            #expect(server.log.warnings.count + other.log.warnings.count == 4)
            // The other one takes over when the first has not been seen for long.
            server.clock.advance(days: 4.5)
            let silent = server.log.warnings.isEmpty ? server : other
            try await silent.server.expiryWatch.warn()
            #expect(silent.log.warnings.count == 4)
        }
    }

    @Test("a timestamp that cannot be renewed is warned of, and no longer when it can")
    func blocked() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files[0].bytes = try await publisher.root(days: 5)
            try await Self.publish(files, to: server)
            server.clock.advance(days: 11)
            #expect(try await server.server.renewal.renewAll() == 1)
            #expect(try await Self.recorded(server).contains("timestamp timestamp 3"))
            server.log.clear()
            await server.server.expiryWatch.look()
            #expect(server.metric(#"hallmark_expiry_seconds{role="timestamp"}"#) == 3 * 86400.0)
            let warning = try #require(server.log.warnings.first { $0.hasPrefix("timestamp of g expires") })
            #expect(warning.contains("`hallmark rescue g` with the root key"))
            let again = try TestPublisher(again: publisher, now: server.clock.now)
            try await Self.publish([(.root, try await again.root(version: 2))], to: server)
            await server.server.expiryWatch.look()
            #expect(server.metric(#"hallmark_expiry_seconds{role="timestamp"}"#) == nil)
        }
    }

    @Test("certificates count until fewer are left in force than sign a root")
    func certificates() throws {
        let now = TestClock().now
        let keys = try [10.0, 30, 20].map {
            try TUF.PublicKey.rootCertificate(
                for: "g",
                signedBy: .init(TestKey().privateKey),
                at: now,
                lifetime: $0 * 86400
            )
        }
        for (threshold, days) in [(1, 30), (2, 20), (3, 10)] as [(Int64, Int64)] {
            let root = Root(
                version: 1,
                expires: Expiry(now),
                keys: keys,
                roles: [.root: RoleDefinition(keyIDs: keys.map(\.id), threshold: threshold)]
            )
            let found = CollectionExpiries.of(root).first { $0.kind == .rootCertificate }
            #expect(found?.at == Int64(now.timeIntervalSince1970) + days * 86400)
        }
    }
}

extension TestPublisher {
    /// The same publisher at a later time.
    init(again other: TestPublisher, now: Date) throws {
        try self.init(
            gun: other.gun,
            now: now,
            timestampKey: other.timestampServerKey,
            snapshotKey: other.snapshotServerKey
        )
        self.rootKey = other.rootKey
        self.targetsKey = other.targetsKey
        self.snapshotKey = other.snapshotKey
    }
}
