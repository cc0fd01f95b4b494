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

    /// The names of collections of which the changefeed tells in a span, in the database's order; from 0, of all there are:
    /// there was a time before the changefeed.
    func collections(
        changedAfter from: Int64,
        upTo to: Int64,
        after last: String,
        limit: Int
    ) async throws -> [String] {
        try await self.database.read { connection in
            let rows =
                from == 0
                ? try connection.query(
                    "SELECT DISTINCT gun FROM tuf_files WHERE role = 'root' AND gun > ? ORDER BY gun LIMIT ?",
                    .text(last),
                    .integer(Int64(limit))
                )
                : try connection.query(
                    "SELECT DISTINCT gun FROM changefeed WHERE id > ? AND id <= ? AND gun > ? ORDER BY gun LIMIT ?",
                    .integer(from),
                    .integer(to),
                    .text(last),
                    .integer(Int64(limit))
                )
            return try rows.map { try $0.text(0) }
        }
    }

    /// Has a collection looked after when its time comes, which is now if nobody has yet.
    func watch(_ gun: GUN) async throws {
        try await self.database.write(locking: []) { connection in
            try connection.execute(
                """
                INSERT INTO hallmark_renewals (gun, renew_at)
                SELECT DISTINCT gun, 0 FROM tuf_files WHERE gun = ? AND role = 'timestamp'
                ON CONFLICT (gun) DO NOTHING
                """,
                .text(gun.text)
            )
        }
    }
}
