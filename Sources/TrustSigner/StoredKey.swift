// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import TUF

/// One row of `private_keys`.
struct StoredKey: Sendable {
    static let select =
        "SELECT key_id, algorithm, passphrase_alias, public, private, role, last_used FROM private_keys "

    let id: KeyID
    let algorithm: KeyType
    let alias: String
    let publicBytes: [UInt8]
    /// A compact JWE.
    let encrypted: String
    let role: RoleName
    /// Unix milliseconds; nil when it has not signed yet.
    let lastUsed: Int64?

    var publicKey: PublicKey { PublicKey(type: self.algorithm, bytes: self.publicBytes) }

    init(
        id: KeyID,
        algorithm: KeyType,
        alias: String,
        publicBytes: [UInt8],
        encrypted: String,
        role: RoleName,
        lastUsed: Int64?
    ) {
        self.id = id
        self.algorithm = algorithm
        self.alias = alias
        self.publicBytes = publicBytes
        self.encrypted = encrypted
        self.role = role
        self.lastUsed = lastUsed
    }

    /// Reads a row of ``select``.
    init(_ row: SQLRow) throws {
        self.init(
            id: KeyID(try row.text(0)),
            algorithm: KeyType(try row.text(1)),
            alias: try row.text(2),
            publicBytes: Array(try row.blob(3)),
            encrypted: String(decoding: try row.blob(4), as: UTF8.self),
            role: RoleName(try row.text(5)),
            lastUsed: try row.optionalInteger(6)
        )
    }

    /// The key for a role that has not signed yet, if there is one.
    static func pending(
        _ algorithm: KeyType,
        _ gun: String,
        _ role: RoleName,
        on connection: any SQLConnection
    ) throws -> StoredKey? {
        try connection.query(
            Self.select + """
                WHERE gun = ? AND role = ? AND algorithm = ? AND last_used IS NULL AND deleted_at IS NULL \
                ORDER BY key_id LIMIT 1
                """,
            .text(gun),
            .text(role.text),
            .text(algorithm.name)
        ).first.map { try StoredKey($0) }
    }

    /// Stores the key.
    func insert(on connection: any SQLConnection, gun: String, at instant: Int64) throws {
        try connection.execute(
            """
            INSERT INTO private_keys (created_at, updated_at, key_id, encryption_alg, keywrap_alg, algorithm, \
            passphrase_alias, public, private, gun, role) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            .integer(instant),
            .integer(instant),
            .text(self.id.text),
            .text(CompactJWE.ContentEncryption.a256gcm.rawValue),
            .text(CompactJWE.KeyWrapAlgorithm.hs512a256kw.rawValue),
            .text(self.algorithm.name),
            .text(self.alias),
            .blob(Data(self.publicBytes)),
            .blob(Data(self.encrypted.utf8)),
            .text(gun),
            .text(self.role.text)
        )
    }
}
