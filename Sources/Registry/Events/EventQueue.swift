// SPDX-License-Identifier: Apache-2.0

import Database

/// The events that wait, in the database: a row for each endpoint that is to be told of one.
struct EventQueue: Sendable {
    static let migration = SQLMigration(
        name: "registry-events-1",
        statements: [
            """
            CREATE TABLE events (
                endpoint TEXT NOT NULL,
                key TEXT NOT NULL,
                created_at BIGINT NOT NULL,
                payload TEXT NOT NULL,
                PRIMARY KEY (endpoint, key)
            )
            """,
            // Whoever delivers to an endpoint, until when.
            """
            CREATE TABLE event_leases (
                endpoint TEXT NOT NULL PRIMARY KEY,
                owner TEXT NOT NULL,
                lease_until BIGINT NOT NULL
            )
            """,
        ]
    )

    struct Item: Sendable {
        let key: String
        /// In Unix milliseconds.
        let createdAt: Int64
        /// The event as JSON.
        let payload: String
    }

    /// How much waits.
    struct Backlog: Sendable, Equatable {
        var count: Int64 = 0
        /// In Unix milliseconds; nil when nothing waits.
        var oldest: Int64?
    }

    let database: any SQLDatabase

    static func insertion(endpoint: String, key: String, at milliseconds: Int64, payload: String) -> SQLStatement {
        SQLStatement(
            """
            INSERT INTO events (endpoint, key, created_at, payload) VALUES (?, ?, ?, ?)
            ON CONFLICT (endpoint, key) DO NOTHING
            """,
            .text(endpoint),
            .text(key),
            .integer(milliseconds),
            .text(payload)
        )
    }

    func add(_ statements: [SQLStatement]) async throws {
        try await self.database.write(locking: []) { try $0.executeAll(statements) }
    }

    /// The oldest that wait for an endpoint.
    func first(_ limit: Int, of endpoint: String) async throws -> [Item] {
        try await self.database.query(
            "SELECT key, created_at, payload FROM events WHERE endpoint = ? ORDER BY key LIMIT ?",
            .text(endpoint),
            .integer(Int64(limit))
        ).map { try Item(key: $0.text(0), createdAt: $0.integer(1), payload: $0.text(2)) }
    }

    func remove(_ items: [Item], of endpoint: String) async throws {
        let statements = items.map {
            SQLStatement("DELETE FROM events WHERE endpoint = ? AND key = ?", .text(endpoint), .text($0.key))
        }
        try await self.database.write(locking: []) { try $0.executeAll(statements) }
    }

    func backlog(of endpoint: String) async throws -> Backlog {
        let rows = try await self.database.query(
            "SELECT count(*), min(created_at) FROM events WHERE endpoint = ?",
            .text(endpoint)
        )
        return try rows.first.map { try Backlog(count: $0.integer(0), oldest: $0.optionalInteger(1)) } ?? Backlog()
    }

    /// Drops what is too old, of endpoints that are no more as well.
    /// - Returns: how many.
    func drop(before milliseconds: Int64) async throws -> Int {
        try await self.database.write(locking: []) {
            try $0.execute("DELETE FROM events WHERE created_at < ?", .integer(milliseconds))
        }
    }

    /// Drops the oldest of an endpoint.
    func dropOldest(_ count: Int64, of endpoint: String) async throws -> Int {
        try await self.database.write(locking: []) {
            try $0.execute(
                """
                DELETE FROM events WHERE endpoint = ? AND key IN
                (SELECT key FROM events WHERE endpoint = ? ORDER BY key LIMIT ?)
                """,
                .text(endpoint),
                .text(endpoint),
                .integer(count)
            )
        }
    }

    // MARK: Leases

    /// Takes an endpoint, or keeps it.
    /// - Parameters:
    ///   - endpoint: its name.
    ///   - owner: who takes it.
    ///   - now: in Unix seconds.
    ///   - until: when the others may have it.
    /// - Returns: false while somebody else has it.
    func lease(_ endpoint: String, to owner: String, now: Int64, until: Int64) async throws -> Bool {
        try await self.database.write(locking: []) { connection in
            try connection.execute(
                """
                INSERT INTO event_leases (endpoint, owner, lease_until) VALUES (?, ?, ?)
                ON CONFLICT (endpoint) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
                WHERE event_leases.owner = ? OR event_leases.lease_until <= ?
                """,
                .text(endpoint),
                .text(owner),
                .integer(until),
                .text(owner),
                .integer(now)
            ) == 1
        }
    }

    /// Gives an endpoint back.
    func release(_ endpoint: String, of owner: String) async throws {
        _ = try await self.database.write(locking: []) {
            try $0.execute("DELETE FROM event_leases WHERE endpoint = ? AND owner = ?", .text(endpoint), .text(owner))
        }
    }
}
