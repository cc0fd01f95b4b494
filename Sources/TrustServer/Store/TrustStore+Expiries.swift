// SPDX-License-Identifier: Apache-2.0

import Database
import NotaryAPI
import TUF

/// How much of one kind expires when.
struct ExpiryCounts: Sendable, Hashable {
    /// When the first that is in force expires, in seconds since 1970; nil when nothing is.
    var next: Int64?
    /// How many have expired.
    var expired: Int64
    /// How many are in force and expire within each of the spans asked for.
    var within: [Int64]
}

extension TrustStore {
    /// What expires, counted over its index.
    /// - Parameter spans: in seconds.
    func expiryCounts(at now: Int64, within spans: [Int64]) async throws -> [ExpiryKind: ExpiryCounts] {
        let kinds = ExpiryKind.allCases
        let statements = kinds.flatMap { kind in
            [
                SQLStatement(
                    """
                    SELECT expires_at FROM hallmark_expiries WHERE kind = ? AND expires_at > ?
                    ORDER BY expires_at LIMIT 1
                    """,
                    .integer(kind.rawValue),
                    .integer(now)
                ),
                SQLStatement(
                    "SELECT count(*) FROM hallmark_expiries WHERE kind = ? AND expires_at <= ?",
                    .integer(kind.rawValue),
                    .integer(now)
                ),
            ]
                + spans.map {
                    SQLStatement(
                        "SELECT count(*) FROM hallmark_expiries WHERE kind = ? AND expires_at > ? AND expires_at <= ?",
                        .integer(kind.rawValue),
                        .integer(now),
                        .integer(now + $0)
                    )
                }
        }
        let rows = try await self.database.read { try $0.queryAll(statements) }
        let width = 2 + spans.count
        guard rows.count == kinds.count * width else { return [:] }
        var counts: [ExpiryKind: ExpiryCounts] = [:]
        for (index, kind) in kinds.enumerated() {
            let values = try rows[index * width..<(index + 1) * width].map { try $0.first?.integer(0) }
            counts[kind] = ExpiryCounts(
                next: values[0],
                expired: values[1] ?? 0,
                within: values.dropFirst(2).map { $0 ?? 0 }
            )
        }
        return counts
    }

    // MARK: Warnings

    /// What is to be warned of, whoever has waited longest first.
    func dueWarnings(at now: Int64, limit: Int) async throws -> [CollectionExpiry] {
        try await self.database.read { connection in
            try connection.query(
                """
                SELECT gun, kind, role, expires_at, warn_at FROM hallmark_expiries
                WHERE warn_at <= ? ORDER BY warn_at LIMIT ?
                """,
                .integer(now),
                .integer(Int64(limit))
            ).map { row in
                let code = try row.integer(1)
                guard let kind = ExpiryKind(rawValue: code) else {
                    throw DatabaseError(code: .corrupt, message: "hallmark_expiries has a kind \(code)")
                }
                return CollectionExpiry(
                    gun: try row.text(0),
                    expiry: RecordedExpiry(
                        kind: kind,
                        role: RoleName(try row.text(2)),
                        expiresAt: try row.integer(3),
                        warnAt: try row.optionalInteger(4)
                    )
                )
            }
        }
    }

    /// Notes when to warn next, of what still expires when it did.
    func noteWarned(_ warned: [(CollectionExpiry, next: Int64?)]) async throws {
        let statements = warned.map { expiry, next in
            SQLStatement(
                """
                UPDATE hallmark_expiries SET warn_at = ?
                WHERE gun = ? AND kind = ? AND role = ? AND expires_at = ?
                """,
                next.map { .integer($0) } ?? .null,
                .text(expiry.gun),
                .integer(expiry.expiry.kind.rawValue),
                .text(expiry.expiry.role.text),
                .integer(expiry.expiry.expiresAt)
            )
        }
        try await self.database.write(locking: []) { try $0.executeAll(statements) }
    }

    // MARK: Statements

    static func forgetExpiries(_ gun: GUN) -> SQLStatement {
        SQLStatement("DELETE FROM hallmark_expiries WHERE gun = ?", .text(gun.text))
    }

    /// The names are read by ``record(_:delegations:)``.
    static func recordedDelegations(of gun: GUN) -> SQLStatement {
        SQLStatement(
            "SELECT role FROM hallmark_expiries WHERE gun = ? AND kind = ?",
            .text(gun.text),
            .integer(ExpiryKind.delegation.rawValue)
        )
    }

    static func record(_ expiry: RecordedExpiry, of gun: GUN) -> SQLStatement {
        SQLStatement(
            """
            INSERT INTO hallmark_expiries (gun, kind, role, expires_at, warn_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (gun, kind, role) DO UPDATE SET expires_at = excluded.expires_at,
            warn_at = CASE WHEN hallmark_expiries.expires_at = excluded.expires_at THEN hallmark_expiries.warn_at
            ELSE excluded.warn_at END
            """,
            .text(gun.text),
            .integer(expiry.kind.rawValue),
            .text(expiry.role.text),
            .integer(expiry.expiresAt),
            expiry.warnAt.map { .integer($0) } ?? .null
        )
    }

    /// What a commit changes: a new timestamp, and a new snapshot, end the worry about those before; delegations that are gone
    /// expire for nobody.
    static func record(_ commit: TrustCommit, delegations rows: [SQLRow]) throws -> [SQLStatement] {
        let renewed = commit.files.contains { $0.role == .snapshot } ? ExpiryKind.snapshot : .timestamp
        var statements = [
            SQLStatement(
                "DELETE FROM hallmark_expiries WHERE gun = ? AND kind >= ?",
                .text(commit.gun.text),
                .integer(renewed.rawValue)
            )
        ]
        statements += try rows.map { RoleName(try $0.text(0)) }.filter { !Self.isDelegated($0, by: commit) }.map {
            SQLStatement(
                "DELETE FROM hallmark_expiries WHERE gun = ? AND kind = ? AND role = ?",
                .text(commit.gun.text),
                .integer(ExpiryKind.delegation.rawValue),
                .text($0.text)
            )
        }
        return statements + commit.expiries.map { Self.record($0, of: commit.gun) }
    }

    /// Whether each of the roles above one, as far as it is among what is committed, still leads to it.
    private static func isDelegated(_ role: RoleName, by commit: TrustCommit) -> Bool {
        var child = role
        while let parent = child.notaryParent {
            if let children = commit.delegations[parent], !children.contains(child) { return false }
            child = parent
        }
        return true
    }

    // MARK: Leases

    /// Takes a task that one server of the database does, or keeps it.
    /// - Returns: false while another has it.
    func lease(_ name: String, to holder: String, now: Int64, until: Int64) async throws -> Bool {
        try await self.database.write(locking: [.exclusive("lease \(name)")]) { connection in
            let rows = try connection.query(
                "SELECT holder, lease_until FROM hallmark_leases WHERE name = ?",
                .text(name)
            )
            if let row = rows.first, try row.text(0) != holder, try row.integer(1) > now { return false }
            try connection.execute(
                """
                INSERT INTO hallmark_leases (name, holder, lease_until) VALUES (?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
                """,
                .text(name),
                .text(holder),
                .integer(until)
            )
            return true
        }
    }

    /// Gives a task back.
    func release(_ name: String, from holder: String) async throws {
        try await self.database.write(locking: []) { connection in
            try connection.execute(
                "DELETE FROM hallmark_leases WHERE name = ? AND holder = ?",
                .text(name),
                .text(holder)
            )
        }
    }
}
