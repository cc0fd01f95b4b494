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
    /// When the server is to sign again.
    let renewal: RenewalTime
    /// Of what others sign, and of nothing that stays as it was.
    var expiries: [RecordedExpiry] = []
    /// The roles that each of the new targets roles delegates to: what it delegated to before and no longer does, expires for
    /// nobody.
    var delegations: [RoleName: Set<RoleName>] = [:]
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
    /// Held by whoever changes a collection, so that what it finds there stays true until it commits. Sorts before ``feedLock``:
    /// who waits for a collection holds up nobody else.
    static func lock(_ gun: GUN) -> SQLLock { .exclusive("collection \(gun.text)") }

    /// Shared by those who add to the changefeed, until they commit. Who reads it takes it alone for a moment: by then no id is
    /// given out whose change is not to be seen yet.
    static let feedLock = "feed of changes"

    /// Stores the files in one transaction, if the collection is still at the state that they were made on.
    func commit(_ commit: TrustCommit) async throws -> TrustCommitResult {
        do {
            let locks = [Self.lock(commit.gun), .shared(Self.feedLock)]
            return try await self.database.write(locking: locks) { connection in
                let found = try connection.queryAll(
                    [Self.pointer(of: commit.gun)] + commit.files.map { Self.newestVersion($0.role, of: commit.gun) }
                        + (commit.delegations.isEmpty ? [] : [Self.recordedDelegations(of: commit.gun)])
                )
                guard try found.first?.first.map(Self.pointer) == commit.base else { return .superseded }
                for (file, rows) in zip(commit.files, found.dropFirst()) {
                    if let newest = try rows.first?.integer(0), newest >= file.version {
                        return .versionTaken(file.role)
                    }
                }
                try Self.claim(commit.serverKeys, for: commit.gun, on: connection)
                try connection.executeAll(
                    commit.files.map { Self.insert($0, of: commit.gun, at: commit.now) } + [
                        Self.change(.update, of: commit.gun, to: commit.timestamp, at: commit.now),
                        Self.renew(commit),
                    ] + Self.record(commit, delegations: commit.delegations.isEmpty ? [] : found.last ?? [])
                )
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
        try await self.database.write(locking: [Self.lock(gun), .shared(Self.feedLock)]) { connection in
            let deleted = try connection.executeAll([
                SQLStatement("DELETE FROM tuf_files WHERE gun = ?", .text(gun.text)), Self.forgetRenewal(gun),
                Self.forgetExpiries(gun),
            ])
            guard let files = deleted.first, files > 0 else { return }
            let nothing = TimestampPointer(version: 0, sha256: "")
            try connection.executeAll([Self.change(.deletion, of: gun, to: nothing, at: now)])
        }
    }

    // MARK: Statements

    private enum Category: String {
        case update
        case deletion
    }

    private static func insert(_ file: StoredFile, of gun: GUN, at now: Int64) -> SQLStatement {
        SQLStatement(
            """
            INSERT INTO tuf_files (created_at, updated_at, gun, role, version, data, sha256)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            .integer(now),
            .integer(now),
            .text(gun.text),
            .text(file.role.text),
            .integer(file.version),
            .blob(Data(buffer: file.content)),
            .text(file.sha256)
        )
    }

    private static func change(
        _ category: Category,
        of gun: GUN,
        to timestamp: TimestampPointer,
        at now: Int64
    ) -> SQLStatement {
        SQLStatement(
            "INSERT INTO changefeed (created_at, gun, version, sha256, category) VALUES (?, ?, ?, ?, ?)",
            .integer(now),
            .text(gun.text),
            .integer(timestamp.version),
            .text(timestamp.sha256),
            .text(category.rawValue)
        )
    }

    // MARK: Keys

    private struct KeyTaken: Error {
        let key: KeyID
    }

    /// Notes that the signer made a key for a collection, unless it is noted already.
    func claim(_ key: KeyID, for gun: GUN) async throws {
        if try await self.owner(of: key) != nil { return }
        try await self.database.write(locking: []) { try $0.executeAll([Self.claim(key, for: gun)]) }
    }

    /// The collection that a key of the signer was made for, as far as that is known.
    func owner(of key: KeyID) async throws -> GUN? {
        try await self.database.query([Self.owner(of: key)]).first?.first.map { try GUN(try $0.text(0)) }
    }

    /// - Throws: ``KeyTaken`` when one of them belongs to another collection.
    private static func claim(_ keys: [KeyID], for gun: GUN, on connection: any SQLConnection) throws {
        guard !keys.isEmpty else { return }
        try connection.executeAll(keys.map { Self.claim($0, for: gun) })
        for (key, rows) in zip(keys, try connection.queryAll(keys.map(Self.owner))) {
            guard try rows.first?.text(0) == gun.text else { throw KeyTaken(key: key) }
        }
    }

    private static func claim(_ key: KeyID, for gun: GUN) -> SQLStatement {
        SQLStatement(
            "INSERT INTO hallmark_server_keys (key_id, gun) VALUES (?, ?) ON CONFLICT (key_id) DO NOTHING",
            .text(key.text),
            .text(gun.text)
        )
    }

    private static func owner(of key: KeyID) -> SQLStatement {
        SQLStatement("SELECT gun FROM hallmark_server_keys WHERE key_id = ?", .text(key.text))
    }
}
