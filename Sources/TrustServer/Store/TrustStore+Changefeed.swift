// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import NotaryAPI
import TUF

extension TrustStore {
    /// The most changes of one reply.
    static let changefeedLimit: Int64 = 10_000

    /// The changes asked for, oldest first; of one collection, or of all.
    func changes(_ query: ChangefeedQuery, of gun: GUN?) async throws -> [ChangeRecord] {
        let isReversed = query.changeID < 0 || query.records < 0
        let asked = query.records == 0 ? ChangefeedQuery.defaultCount : Int64(clamping: query.records.magnitude)
        var conditions: [String] = []
        var parameters: [SQLValue] = []
        if !isReversed || query.changeID > 0 {
            conditions.append(isReversed ? "id < ?" : "id > ?")
            parameters.append(.integer(query.changeID))
        }
        // A change may get its id before, and be committed after, one with a higher id. Nobody may be told of that one first:
        // he would ask for what comes after it and never see the other.
        let newest = try await self.database.read(locking: [.exclusive(Self.feedLock)]) {
            try $0.query("SELECT id FROM changefeed ORDER BY id DESC LIMIT 1").first?.integer(0) ?? 0
        }
        conditions.append("id <= ?")
        parameters.append(.integer(newest))
        if let gun {
            conditions.append("gun = ?")
            parameters.append(.text(gun.text))
        }
        let sql = """
            SELECT id, created_at, gun, version, sha256, category FROM changefeed
            WHERE \(conditions.joined(separator: " AND "))
            ORDER BY id \(isReversed ? "DESC" : "ASC") LIMIT ?
            """
        parameters.append(.integer(min(asked, Self.changefeedLimit)))
        let arguments = parameters
        let records = try await self.database.read { connection in
            try connection.query(sql, arguments).map { row in
                ChangeRecord(
                    id: try row.integer(0),
                    createdAt: Self.text(ofMilliseconds: try row.optionalInteger(1) ?? 0),
                    gun: try row.text(2),
                    version: try row.integer(3),
                    sha256: try row.optionalText(4) ?? "",
                    category: try row.text(5)
                )
            }
        }
        return isReversed ? records.reversed() : records
    }

    /// RFC 3339 in UTC, the fraction without trailing zeros, as Go writes it.
    static func text(ofMilliseconds moment: Int64) -> String {
        let (seconds, milliseconds) = moment.quotientAndRemainder(dividingBy: 1000)
        let text = Expiry(Date(timeIntervalSince1970: Double(seconds))).text
        guard milliseconds > 0 else { return text }
        var fraction = String(milliseconds + 1000).dropFirst()
        while fraction.hasSuffix("0") { fraction = fraction.dropLast() }
        return "\(text.dropLast()).\(fraction)Z"
    }
}
