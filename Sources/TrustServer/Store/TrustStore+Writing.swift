// SPDX-License-Identifier: Apache-2.0

import Database
import NIOCore
import NIOFoundationCompat
import NotaryAPI
import TUF

import struct Foundation.Data

/// New files of one collection, to be stored together or not at all.
struct TrustCommit: Sendable {
    let gun: GUN
    /// The state that the files were made on; nil when there was none.
    let base: TimestampPointer?
    /// All of them, the new timestamp included.
    let files: [StoredFile]
    let timestamp: TimestampPointer
    /// Keys of the signer that this collection's root now names, which no other collection may use.
    let serverKeys: [KeyID]
    /// When to look after its expiries next: seconds since 1970.
    let renewAt: Int64
    /// Milliseconds since 1970.
    let now: Int64
}

/// What became of a commit.
enum TrustCommitResult: Sendable, Hashable {
    case stored
    /// The collection is no longer at the state that the files were made on. Nothing was stored.
    case superseded
    /// The role is stored with this version or a newer one. Nothing was stored.
    case versionTaken(RoleName)
    /// The key belongs to another collection. Nothing was stored.
    case keyTaken(KeyID)
}

extension TrustStore {
    /// Stores the files in one transaction, if the collection is still at the state that they were made on.
    func commit(_ commit: TrustCommit) async throws -> TrustCommitResult {
        do {
            return try await self.database.write { connection in
                let gun = SQLValue.text(commit.gun.text)
                guard try Self.pointer(of: commit.gun, on: connection) == commit.base else { return .superseded }
                for file in commit.files {
                    let newest = try Self.newestVersion(file.role, of: commit.gun, on: connection)
                    if let newest, newest >= file.version { return .versionTaken(file.role) }
                }
                for key in commit.serverKeys {
                    try Self.claim(key, for: commit.gun, on: connection)
                    if try Self.owner(of: key, on: connection) != commit.gun { throw KeyTaken(key: key) }
                }
                for file in commit.files {
                    try connection.execute(
                        """
                        INSERT INTO tuf_files (created_at, updated_at, gun, role, version, data, sha256)
                        VALUES (?, ?, ?, ?, ?, ?, ?)
                        """,
                        .integer(commit.now),
                        .integer(commit.now),
                        gun,
                        .text(file.role.text),
                        .integer(file.version),
                        .blob(Data(buffer: file.content)),
                        .text(file.sha256)
                    )
                }
                try connection.execute(
                    "INSERT INTO changefeed (created_at, gun, version, sha256, category) VALUES (?, ?, ?, ?, 'update')",
                    .integer(commit.now),
                    gun,
                    .integer(commit.timestamp.version),
                    .text(commit.timestamp.sha256)
                )
                try Self.renew(commit.gun, at: commit.renewAt, on: connection)
                return .stored
            }
        } catch let error as KeyTaken {
            return .keyTaken(error.key)
        } catch let error as DatabaseError where error.code == .uniqueViolation {
            // Another server of this database was first by a moment.
            return .superseded
        }
    }

    /// Deletes a collection with all its versions, and says so in the changefeed if there was anything.
    func delete(_ gun: GUN, now: Int64) async throws {
        try await self.database.write { connection in
            let deleted = try connection.execute("DELETE FROM tuf_files WHERE gun = ?", .text(gun.text))
            try connection.execute("DELETE FROM hallmark_renewals WHERE gun = ?", .text(gun.text))
            guard deleted > 0 else { return }
            try connection.execute(
                "INSERT INTO changefeed (created_at, gun, version, sha256, category) VALUES (?, ?, 0, '', 'deletion')",
                .integer(now),
                .text(gun.text)
            )
        }
    }

    // MARK: Keys

    private struct KeyTaken: Error {
        let key: KeyID
    }

    /// Notes that the signer made a key for a collection, unless it is noted already.
    func claim(_ key: KeyID, for gun: GUN) async throws {
        if try await self.owner(of: key) != nil { return }
        try await self.database.write { try Self.claim(key, for: gun, on: $0) }
    }

    /// The collection that a key of the signer was made for, as far as that is known.
    func owner(of key: KeyID) async throws -> GUN? {
        try await self.database.read { try Self.owner(of: key, on: $0) }
    }

    private static func claim(_ key: KeyID, for gun: GUN, on connection: any SQLConnection) throws {
        try connection.execute(
            "INSERT INTO hallmark_server_keys (key_id, gun) VALUES (?, ?) ON CONFLICT (key_id) DO NOTHING",
            .text(key.text),
            .text(gun.text)
        )
    }

    private static func owner(of key: KeyID, on connection: any SQLConnection) throws -> GUN? {
        try connection.query("SELECT gun FROM hallmark_server_keys WHERE key_id = ?", .text(key.text)).first.map {
            try GUN(try $0.text(0))
        }
    }

    // MARK: Renewal

    /// Collections whose time has come, the most urgent first.
    func due(at now: Int64, limit: Int) async throws -> [GUN] {
        try await self.database.read { connection in
            try connection.query(
                "SELECT gun FROM hallmark_renewals WHERE renew_at <= ? ORDER BY renew_at, gun LIMIT ?",
                .integer(now),
                .integer(Int64(limit))
            ).map { try $0.text(0) }
        }.compactMap { try? GUN($0) }
    }

    /// Sets when to look after a collection next, as long as it is at this state.
    func renew(_ gun: GUN, at moment: Int64, ifAt pointer: TimestampPointer?) async throws {
        try await self.database.write { connection in
            guard try Self.pointer(of: gun, on: connection) == pointer else { return }
            if pointer == nil {
                try connection.execute("DELETE FROM hallmark_renewals WHERE gun = ?", .text(gun.text))
            } else {
                try Self.renew(gun, at: moment, on: connection)
            }
        }
    }

    private static func renew(_ gun: GUN, at moment: Int64, on connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO hallmark_renewals (gun, renew_at) VALUES (?, ?)
            ON CONFLICT (gun) DO UPDATE SET renew_at = excluded.renew_at
            """,
            .text(gun.text),
            .integer(moment)
        )
    }
}
