// SPDX-License-Identifier: Apache-2.0

import Database
import NIOCore
import NIOFoundationCompat
import NotaryAPI
import TUF

import struct Foundation.Data

/// The tables of metadata. `tuf_files`, `changefeed` and `change_category` are Notary's; those named `hallmark_…` are ours.
///
/// The current state of a collection is its newest timestamp, and what that leads to by SHA-256. Rows are only ever added,
/// or all of a collection's deleted, so one read of the timestamp says whether anything has changed.
struct TrustStore: Sendable {
    let database: any SQLDatabase
    private let pointers: PointerQueries

    init(database: any SQLDatabase) {
        self.database = database
        self.pointers = PointerQueries { guns in
            try await database.query(guns.map(Self.pointer)).map { try $0.first.map(Self.pointer) }
        }
    }

    /// Creates what is not there yet.
    func migrate() async throws {
        try await self.database.migrate([
            SQLMigration(
                name: "trust-server-1",
                statements: [
                    """
                    CREATE TABLE IF NOT EXISTS tuf_files (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        created_at BIGINT, updated_at BIGINT, deleted_at BIGINT,
                        gun TEXT NOT NULL, role TEXT NOT NULL, version BIGINT NOT NULL,
                        data BLOB NOT NULL, sha256 TEXT,
                        UNIQUE (gun, role, version)
                    )
                    """,
                    "CREATE INDEX IF NOT EXISTS tuf_files_sha256_idx ON tuf_files (sha256)",
                    "CREATE TABLE IF NOT EXISTS change_category (category TEXT NOT NULL PRIMARY KEY)",
                    "INSERT INTO change_category (category) VALUES ('update') ON CONFLICT (category) DO NOTHING",
                    "INSERT INTO change_category (category) VALUES ('deletion') ON CONFLICT (category) DO NOTHING",
                    """
                    CREATE TABLE IF NOT EXISTS changefeed (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        created_at BIGINT, gun TEXT NOT NULL, version BIGINT NOT NULL, sha256 TEXT,
                        category TEXT NOT NULL DEFAULT 'update' REFERENCES change_category (category)
                    )
                    """,
                    "CREATE INDEX IF NOT EXISTS idx_changefeed_gun ON changefeed (gun)",
                    """
                    CREATE TABLE hallmark_renewals (gun TEXT NOT NULL PRIMARY KEY, renew_at BIGINT NOT NULL)
                    """,
                    "CREATE INDEX hallmark_renewals_renew_at ON hallmark_renewals (renew_at)",
                    """
                    INSERT INTO hallmark_renewals (gun, renew_at)
                    SELECT DISTINCT gun, 0 FROM tuf_files WHERE role = 'timestamp'
                    """,
                    "CREATE TABLE hallmark_server_keys (key_id TEXT NOT NULL PRIMARY KEY, gun TEXT NOT NULL)",
                ]
            ),
            SQLMigration(
                name: "trust-server-2",
                statements: ["CREATE TABLE hallmark_adopted (change_id BIGINT NOT NULL PRIMARY KEY)"]
            ),
            SQLMigration(
                name: "trust-server-3",
                statements: [
                    "ALTER TABLE hallmark_renewals ADD COLUMN expires_at BIGINT",
                    "ALTER TABLE hallmark_renewals ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0",
                    "ALTER TABLE hallmark_renewals ADD COLUMN failures BIGINT NOT NULL DEFAULT 0",
                    "ALTER TABLE hallmark_renewals ADD COLUMN known_sha256 TEXT",
                    "CREATE INDEX hallmark_renewals_expires_at ON hallmark_renewals (expires_at)",
                    """
                    CREATE TABLE hallmark_expiries (
                        gun TEXT NOT NULL, kind BIGINT NOT NULL, role TEXT NOT NULL,
                        expires_at BIGINT NOT NULL, warn_at BIGINT,
                        PRIMARY KEY (gun, kind, role)
                    )
                    """,
                    "CREATE INDEX hallmark_expiries_expires_at ON hallmark_expiries (kind, expires_at)",
                    "CREATE INDEX hallmark_expiries_warn_at ON hallmark_expiries (warn_at)",
                    """
                    CREATE TABLE hallmark_leases (
                        name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, lease_until BIGINT NOT NULL
                    )
                    """,
                    // Collections are looked at once more, for their expiries.
                    "DELETE FROM hallmark_adopted",
                ]
            ),
        ])
    }

    /// Asks the database something small, to know whether it answers.
    func check() async throws {
        _ = try await self.database.query("SELECT category FROM change_category ORDER BY category LIMIT 1")
    }

    // MARK: Reading

    /// The newest timestamp of a collection and the snapshot it leads to; nil when nothing is published.
    func head(of gun: GUN) async throws -> (timestamp: StoredFile, snapshot: StoredFile?)? {
        let newest = try await self.database.query([Self.newest(.timestamp, of: gun), Self.newest(.snapshot, of: gun)])
        guard let timestamp = try newest.first?.first.map({ try Self.file($0, .timestamp) }) else { return nil }
        guard let bytes = try Self.timestamp(timestamp).snapshot.hashes?.sha256 else { return (timestamp, nil) }
        let hash = Hexadecimal.encode(bytes)
        let snapshot = try newest.last?.first.map { try Self.file($0, .snapshot) }
        if let snapshot, snapshot.sha256 == hash { return (timestamp, snapshot) }
        // One was stored between the two statements, or in a store that something else has written to.
        return (timestamp, try await self.file(.snapshot, .sha256(hash), of: gun))
    }

    /// Which timestamp is newest, without its content.
    func pointer(of gun: GUN) async throws -> TimestampPointer? {
        try await self.pointers.pointer(of: gun)
    }

    /// One stored file. `current` means the newest version here, which need not be what the timestamp leads to.
    func file(_ role: RoleName, _ reference: MetadataReference, of gun: GUN) async throws -> StoredFile? {
        let statement =
            switch reference {
            case .current: Self.newest(role, of: gun)
            case .sha256(let hash): Self.file(role, of: gun, sha256: hash)
            case .version(let version):
                SQLStatement(
                    "SELECT version, sha256, created_at, data FROM tuf_files WHERE gun = ? AND role = ? AND version = ?",
                    .text(gun.text),
                    .text(role.text),
                    .integer(version)
                )
            }
        return try await self.database.query([statement]).first?.first.map { try Self.file($0, role) }
    }

    /// The first of these files that is not stored; nil when all are.
    func firstMissing(of files: [(role: RoleName, sha256: String)], in gun: GUN) async throws -> RoleName? {
        guard !files.isEmpty else { return nil }
        let found = try await self.database.query(
            files.map { file in
                SQLStatement(
                    "SELECT version FROM tuf_files WHERE sha256 = ? AND gun = ? AND role = ? ORDER BY version LIMIT 1",
                    .text(file.sha256),
                    .text(gun.text),
                    .text(file.role.text)
                )
            }
        )
        return zip(files, found).first { $1.isEmpty }?.0.role
    }

    static func timestamp(_ file: StoredFile) throws -> Timestamp {
        try Timestamp(JSONParser.parse(file.content.readableBytesView)["signed"] ?? .null, format: .notary)
    }

    /// Its row is read by ``pointer(_:)``.
    static func pointer(of gun: GUN) -> SQLStatement {
        SQLStatement(
            """
            SELECT version, sha256 FROM tuf_files WHERE gun = ? AND role = 'timestamp'
            ORDER BY version DESC LIMIT 1
            """,
            .text(gun.text)
        )
    }

    @Sendable
    static func pointer(_ row: SQLRow) throws -> TimestampPointer {
        TimestampPointer(version: try row.integer(0), sha256: try row.optionalText(1) ?? "")
    }

    static func newestVersion(_ role: RoleName, of gun: GUN) -> SQLStatement {
        SQLStatement(
            "SELECT version FROM tuf_files WHERE gun = ? AND role = ? ORDER BY version DESC LIMIT 1",
            .text(gun.text),
            .text(role.text)
        )
    }

    private static func newest(_ role: RoleName, of gun: GUN) -> SQLStatement {
        SQLStatement(
            """
            SELECT version, sha256, created_at, data FROM tuf_files WHERE gun = ? AND role = ?
            ORDER BY version DESC LIMIT 1
            """,
            .text(gun.text),
            .text(role.text)
        )
    }

    private static func file(_ role: RoleName, of gun: GUN, sha256: String) -> SQLStatement {
        SQLStatement(
            """
            SELECT version, sha256, created_at, data FROM tuf_files WHERE sha256 = ? AND gun = ? AND role = ?
            ORDER BY version DESC LIMIT 1
            """,
            .text(sha256),
            .text(gun.text),
            .text(role.text)
        )
    }

    private static func file(_ row: SQLRow, _ role: RoleName) throws -> StoredFile {
        StoredFile(
            role: role,
            version: try row.integer(0),
            sha256: try row.optionalText(1) ?? "",
            storedAt: try row.optionalInteger(2) ?? 0,
            content: ByteBuffer(data: try row.blob(3))
        )
    }
}
