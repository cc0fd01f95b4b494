// SPDX-License-Identifier: Apache-2.0

import Database
import NotaryAPI

extension TrustStore {
    /// Up to which change collections have been looked at, whoever made it, and which change is the newest.
    func unadoptedChanges() async throws -> (from: Int64, to: Int64) {
        try await self.database.read { connection in
            let rows = try connection.queryAll([
                SQLStatement("SELECT max(change_id) FROM hallmark_adopted"),
                SQLStatement("SELECT max(id) FROM changefeed"),
            ])
            let values = try rows.map { try $0.first?.optionalInteger(0) ?? 0 }
            return (values.first ?? 0, values.last ?? 0)
        }
    }

    /// Notes that collections have been looked at.
    func noteAdopted(upTo change: Int64) async throws {
        try await self.database.write { connection in
            try connection.execute("DELETE FROM hallmark_adopted")
            try connection.execute("INSERT INTO hallmark_adopted (change_id) VALUES (?)", .integer(change))
        }
    }

    /// The names of all collections, in the database's order.
    func collections(after last: String, limit: Int) async throws -> [String] {
        try await self.database.read { connection in
            try connection.query(
                "SELECT DISTINCT gun FROM tuf_files WHERE role = 'root' AND gun > ? ORDER BY gun LIMIT ?",
                .text(last),
                .integer(Int64(limit))
            ).map { try $0.text(0) }
        }
    }

    /// The names of collections of which the changefeed tells in a span.
    func collections(changedAfter from: Int64, upTo to: Int64) async throws -> [String] {
        try await self.database.read { connection in
            try connection.query(
                "SELECT DISTINCT gun FROM changefeed WHERE id > ? AND id <= ? ORDER BY gun",
                .integer(from),
                .integer(to)
            ).map { try $0.text(0) }
        }
    }

    /// Those of the collections that are at a state of which it was not noted what expires when.
    func unknown(of guns: [GUN]) async throws -> [GUN] {
        guard !guns.isEmpty else { return [] }
        return try await self.database.read { connection in
            let states = try connection.queryAll(guns.map(Self.pointer))
            let known = try connection.queryAll(
                guns.map { SQLStatement("SELECT known_sha256 FROM hallmark_renewals WHERE gun = ?", .text($0.text)) }
            )
            return try zip(guns, zip(states, known)).compactMap { gun, rows in
                guard let state = try rows.0.first.map(Self.pointer) else { return nil }
                return try rows.1.first?.optionalText(0) == state.sha256 ? nil : gun
            }
        }
    }

    /// Notes all that is to be known of a collection, as long as it is at this state.
    func adopt(_ gun: GUN, at pointer: TimestampPointer, time: RenewalTime, expiries: [RecordedExpiry]) async throws {
        let renewal = SQLStatement(
            """
            INSERT INTO hallmark_renewals (gun, renew_at, expires_at, known_sha256) VALUES (?, ?, ?, ?)
            ON CONFLICT (gun) DO UPDATE SET renew_at = excluded.renew_at, expires_at = excluded.expires_at,
            known_sha256 = excluded.known_sha256
            """,
            .text(gun.text),
            .integer(time.renewAt),
            time.expiresAt.map { .integer($0) } ?? .null,
            .text(pointer.sha256)
        )
        try await self.database.write(locking: [Self.lock(gun)]) { connection in
            let found = try connection.queryAll([Self.pointer(of: gun)]).first?.first.map(Self.pointer)
            guard found == pointer else { return }
            try connection.executeAll(
                [Self.forgetExpiries(gun), renewal] + expiries.map { Self.record($0, of: gun) }
            )
        }
    }
}
