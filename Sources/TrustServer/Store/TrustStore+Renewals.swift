// SPDX-License-Identifier: Apache-2.0

import Database
import NotaryAPI
import TUF

/// A collection that one server looks after, for as long as its lease lasts.
struct RenewalClaim: Sendable, Hashable {
    let gun: GUN
    /// How often nothing came of it before.
    let failures: Int64
    /// Seconds since 1970. From then on others may take it.
    let leaseUntil: Int64
}

extension TrustStore {
    /// Held by whoever takes its share of what is to be renewed: two that look at once would take the same.
    private static let claimLock = SQLLock.exclusive("renewals")

    /// Takes collections whose time has come, for this server alone until the lease ends, when a server that has not come back
    /// loses them.
    /// - Parameters:
    ///   - urgent: what expires before that goes first, whatever waited longer.
    /// - Returns: the most urgent first.
    func claim(at now: Int64, urgent: Int64, leaseUntil: Int64, limit: Int) async throws -> [RenewalClaim] {
        let columns = "gun, failures, expires_at, renew_at"
        @Sendable func claim(_ condition: String, _ order: String, _ bound: Int64, _ limit: Int) -> SQLStatement {
            SQLStatement(
                """
                UPDATE hallmark_renewals SET lease_until = ? WHERE gun IN (
                    SELECT gun FROM hallmark_renewals WHERE \(condition) AND lease_until <= ?
                    ORDER BY \(order) LIMIT ?
                ) RETURNING \(columns)
                """,
                .integer(leaseUntil),
                .integer(bound),
                .integer(now),
                .integer(Int64(limit))
            )
        }
        let first = claim("expires_at <= ?", "expires_at", urgent, limit)
        return try await self.database.write(locking: [Self.claimLock]) { connection in
            var rows = try Self.sorted(try connection.query(first.sql, first.parameters), by: 2)
            if rows.count < limit {
                let second = claim("renew_at <= ?", "renew_at", now, limit - rows.count)
                rows += try Self.sorted(try connection.query(second.sql, second.parameters), by: 3)
            }
            return try rows.compactMap { row in
                guard let gun = try? GUN(try row.text(0)) else { return nil }
                return RenewalClaim(gun: gun, failures: try row.integer(1), leaseUntil: leaseUntil)
            }
        }
    }

    private static func sorted(_ rows: [SQLRow], by column: Int) throws -> [SQLRow] {
        try rows.map { ($0, try $0.optionalInteger(column) ?? 0) }.sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// Gives back what this server will not look after.
    func release(_ claims: some Collection<RenewalClaim> & Sendable) async throws {
        guard !claims.isEmpty else { return }
        try await self.database.write(locking: []) { connection in
            try connection.executeAll(
                claims.map {
                    SQLStatement(
                        "UPDATE hallmark_renewals SET lease_until = 0 WHERE gun = ? AND lease_until = ?",
                        .text($0.gun.text),
                        .integer($0.leaseUntil)
                    )
                }
            )
        }
    }

    /// What became of a collection for which nothing new was stored.
    struct Settlement: Sendable {
        let time: RenewalTime
        let failures: Int64
        /// What cannot be renewed, and will expire for good.
        var expiries: [RecordedExpiry] = []
    }

    /// Sets when to look after a collection next, as long as it is at this state, and gives it back.
    func settle(_ gun: GUN, _ settlement: Settlement, ifAt pointer: TimestampPointer?) async throws {
        try await self.database.write(locking: [Self.lock(gun)]) { connection in
            let found = try connection.queryAll([Self.pointer(of: gun)]).first?.first.map(Self.pointer)
            guard found == pointer else { return }
            guard pointer != nil else {
                try connection.executeAll([Self.forgetRenewal(gun), Self.forgetExpiries(gun)])
                return
            }
            try connection.executeAll(
                [
                    SQLStatement(
                        """
                        INSERT INTO hallmark_renewals (gun, renew_at, expires_at, failures) VALUES (?, ?, ?, ?)
                        ON CONFLICT (gun) DO UPDATE SET renew_at = excluded.renew_at, lease_until = 0,
                        expires_at = excluded.expires_at, failures = excluded.failures
                        """,
                        .text(gun.text),
                        .integer(settlement.time.renewAt),
                        settlement.time.expiresAt.map { .integer($0) } ?? .null,
                        .integer(settlement.failures)
                    )
                ] + settlement.expiries.map { Self.record($0, of: gun) }
            )
        }
    }

    /// How many collections wait to be renewed.
    func dueCount(at now: Int64) async throws -> Int64 {
        try await self.database.read { connection in
            try connection.query("SELECT count(*) FROM hallmark_renewals WHERE renew_at <= ?", .integer(now)).first?
                .integer(0) ?? 0
        }
    }

    // MARK: Statements

    static func forgetRenewal(_ gun: GUN) -> SQLStatement {
        SQLStatement("DELETE FROM hallmark_renewals WHERE gun = ?", .text(gun.text))
    }

    /// A commit settles what is to be renewed. Whether all expiries of the collection are known does not change by it, but for a
    /// new one, which comes with all it has.
    static func renew(_ commit: TrustCommit) -> SQLStatement {
        SQLStatement(
            """
            INSERT INTO hallmark_renewals (gun, renew_at, expires_at, known_sha256) VALUES (?, ?, ?, ?)
            ON CONFLICT (gun) DO UPDATE SET renew_at = excluded.renew_at, expires_at = excluded.expires_at,
            lease_until = 0, failures = 0,
            known_sha256 = CASE WHEN excluded.known_sha256 IS NOT NULL THEN excluded.known_sha256
            WHEN hallmark_renewals.known_sha256 = ? THEN ? END
            """,
            .text(commit.gun.text),
            .integer(commit.renewal.renewAt),
            commit.renewal.expiresAt.map { .integer($0) } ?? .null,
            commit.base == nil ? .text(commit.timestamp.sha256) : .null,
            .text(commit.base?.sha256 ?? ""),
            .text(commit.timestamp.sha256)
        )
    }
}
