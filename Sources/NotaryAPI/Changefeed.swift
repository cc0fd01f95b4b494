// SPDX-License-Identifier: Apache-2.0

import PercentEncoding
import TUF

/// One entry of the changefeed.
package struct ChangeRecord: Sendable, Hashable {
    /// What happened to a collection.
    package enum Category: String, Sendable, Hashable {
        case update
        case deletion
    }

    /// Grows with each change; where to go on from.
    package let id: Int64
    /// When it happened: RFC 3339.
    package let createdAt: String
    package let gun: String
    /// The version of the timestamp that came of it; 0 for a deletion.
    package let version: Int64
    /// The SHA-256 of that timestamp in hexadecimal; empty for a deletion.
    package let sha256: String
    /// `update`, `deletion`, or what a newer server may know.
    package let category: String

    package init(id: Int64, createdAt: String, gun: String, version: Int64, sha256: String, category: String) {
        self.id = id
        self.createdAt = createdAt
        self.gun = gun
        self.version = version
        self.sha256 = sha256
        self.category = category
    }
}

/// The reply to a request for changes, oldest first.
package enum ChangefeedResponse {
    /// The JSON of the reply.
    package static func encode(_ records: [ChangeRecord]) -> [UInt8] {
        let entries = records.map { record in
            "{\"ID\":\"\(record.id)\",\"CreatedAt\":\(GoJSON.quoted(record.createdAt)),"
                + "\"GUN\":\(GoJSON.quoted(record.gun)),\"Version\":\(record.version),"
                + "\"SHA256\":\(GoJSON.quoted(record.sha256)),\"Category\":\(GoJSON.quoted(record.category))}"
        }
        return Array("{\"count\":\(records.count),\"records\":[\(entries.joined(separator: ","))]}".utf8)
    }

    /// Reads the JSON; `null` records, as Notary's memory store has them, are none.
    /// - Throws: `TUFError` with code `malformed`.
    package static func decode(_ body: [UInt8]) throws -> [ChangeRecord] {
        let value = try JSONParser.parse(body)
        return try (value["records"]?.array ?? []).map { record in
            guard let id = record["ID"]?.string.flatMap({ Int64($0) }), let gun = record["GUN"]?.string,
                let version = record["Version"]?.integer, let category = record["Category"]?.string
            else { throw TUFError(.malformed, "a change must have ID, GUN, Version and Category") }
            return ChangeRecord(
                id: id,
                createdAt: record["CreatedAt"]?.string ?? "",
                gun: gun,
                version: version,
                sha256: self.withoutPadding(record["SHA256"]?.string ?? ""),
                category: category
            )
        }
    }

    /// PostgreSQL pads a missing hash with blanks to the width of its column.
    private static func withoutPadding(_ text: String) -> String {
        text.allSatisfy { $0 == " " } ? "" : text
    }
}

/// Which changes are asked for: the query of a changefeed request.
package struct ChangefeedQuery: Sendable, Hashable {
    /// How many changes, when none are named.
    package static let defaultCount: Int64 = 100

    /// The change to start at, itself left out; 0 for the beginning. Negative: from the newest backwards.
    package var changeID: Int64
    /// How many changes; 0 for ``defaultCount``. Negative: those before the start.
    package var records: Int64

    package init(changeID: Int64 = 0, records: Int64) {
        self.changeID = changeID
        self.records = records
    }

    /// Reads the query of a request, still percent-encoded.
    /// - Throws: ``NotaryError`` with code `invalidParameters`.
    package init(parsing query: String?) throws(NotaryError) {
        var values: [String: String] = [:]
        for item in PercentCoding.items(of: query ?? "", limit: 64) {
            guard let name = PercentCoding.decode(item.name, plusIsSpace: true),
                let value = PercentCoding.decode(item.value, plusIsSpace: true), values[name] == nil
            else { continue }
            values[name] = value
        }
        let records = values["records"] ?? ""
        guard let count = Self.integer(records) else {
            let shown = String(records.prefix(40))
            let detail = "invalid records parameter: strconv.ParseInt: parsing \(GoJSON.quoted(shown)): invalid syntax"
            throw NotaryError(.invalidParameters, detail: .text(detail))
        }
        let start = values["change_id"] ?? ""
        guard let id = start.isEmpty ? 0 : Self.integer(start).flatMap({ Int32(exactly: $0) }).map({ Int64($0) }) else {
            throw NotaryError(.invalidParameters, detail: .empty)
        }
        self.init(changeID: id, records: count)
    }

    /// The query as it goes into a request.
    package var encoded: String { "records=\(self.records)&change_id=\(self.changeID)" }

    private static func integer(_ text: String) -> Int64? { Int64(text) }
}
