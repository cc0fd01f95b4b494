// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// Whether the bytes at hand are those that a database speaks of. Whoever takes others for them, were it by a slip in a setting,
/// finds every blob damaged, or collects everything that is there: so a storage bears a name, which the database knows.
///
/// The name is given at the first use, to the database before the storage. Where either lacks it, as after a backup was brought
/// back or with what an older version wrote, some of the blobs tell.
struct StorageIdentity {
    /// How many blobs are looked for where a name is missing.
    private static let samples = 5
    private static let name = "blobs"

    let store: RegistryStore
    let blobs: any BlobStore

    /// - Throws: ``StorageIdentityError`` when the storage is another one; `DatabaseError`, and what the storage throws.
    func verify() async throws {
        // First the storage: what it bears, the database has known before.
        let found = try await self.blobs.identity()
        let known = try await self.known()
        switch (known, found) {
        case (let known?, let found?):
            guard known == found else { throw StorageIdentityError.other(self.blobs.place, known: known, found: found) }
        case (let known, nil):
            if try await self.hasBlobs() == false { throw StorageIdentityError.empty(self.blobs.place, known: known) }
            try await self.blobs.setIdentity(self.settle(known ?? Self.new()))
        case (nil, let found?):
            guard try await self.hasBlobs() == true else { throw StorageIdentityError.used(self.blobs.place) }
            let settled = try await self.settle(found)
            guard settled == found else {
                throw StorageIdentityError.other(self.blobs.place, known: settled, found: found)
            }
        }
    }

    /// The name that the bytes of a mark hold: its first word, as somebody may have written it by hand.
    static func name(in bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace }.first.map(String.init) ?? ""
    }

    private static func new() -> String {
        var generator = SystemRandomNumberGenerator()
        return "\(UploadID(using: &generator))"
    }

    private func known() async throws -> String? {
        try await self.store.database.query("SELECT identity FROM storages WHERE name = ?", .text(Self.name))
            .first?.text(0)
    }

    /// Gives the database the name, unless it has one by now.
    private func settle(_ identity: String) async throws -> String {
        try await self.store.database.write(locking: []) { connection in
            try connection.execute(
                "INSERT INTO storages (name, identity) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                .text(Self.name),
                .text(identity)
            )
            let rows = try connection.query("SELECT identity FROM storages WHERE name = ?", .text(Self.name))
            return try rows.first?.text(0) ?? identity
        }
    }

    /// Whether one of some blobs that the database speaks of is there; nil when it speaks of none.
    private func hasBlobs() async throws -> Bool? {
        let rows = try await self.store.database.query(
            "SELECT location, size FROM blobs WHERE damaged_at IS NULL ORDER BY digest LIMIT ?",
            .integer(Int64(Self.samples))
        )
        for row in rows {
            guard let location = try? BlobLocation(row.text(0)) else { continue }
            if try await self.blobs.size(at: location) == row.integer(1) { return true }
        }
        return rows.isEmpty ? nil : false
    }
}

/// The bytes at hand are not those that the database speaks of.
package struct StorageIdentityError: Error, CustomStringConvertible {
    package let description: String

    static func other(_ place: String, known: String, found: String) -> StorageIdentityError {
        StorageIdentityError(
            description:
                "\(place) belongs to another registry: its name there is \(found.prefix(80)), but this database "
                + "knows \(known); name the storage and the database that belong together"
        )
    }

    static func empty(_ place: String, known: String?) -> StorageIdentityError {
        let name = known == nil ? "has none" : "bears no name, and has none"
        let remedy = known.map {
            "; if all blobs are lost and it is to be used all the same, write \($0) to its `identity`"
        }
        return StorageIdentityError(
            description:
                "\(place) \(name) of the first blobs that the database lists; name the storage that belongs to the "
                + "database\(remedy ?? "")"
        )
    }

    static func used(_ place: String) -> StorageIdentityError {
        StorageIdentityError(
            description: "\(place) belongs to another database: this one lists none of the blobs there, which would be "
                + "collected as leftovers; name the database that belongs to it, or a storage without anything in it. If what "
                + "is there may go, remove its `identity`"
        )
    }
}
