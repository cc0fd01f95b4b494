// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import OCI
import S3Client

/// What every instance knows of the uploads to S3.
///
/// One request at a time writes to an upload: the one whose lease the row has. A lease that its holder does not renew runs out,
/// so that another instance can go on. Times are Unix seconds of the instances' clocks; that these differ costs time, nothing
/// else, as every change demands the lease.
struct S3UploadTable: Sendable {
    /// How far an upload is.
    struct State: Sendable, Hashable {
        enum Phase: String, Sendable {
            /// Bytes can be added.
            case open
            /// All bytes are one object, the target.
            case whole
            /// A blob may be in the target: it is no longer the upload's.
            case placed
        }

        var phase = Phase.open
        /// How many bytes are durable.
        var size: Int64 = 0
        /// How many parts of the multipart upload count.
        var parts = 0
        /// The object that the parts will be.
        var target: BlobLocation?
        /// The id of the multipart upload.
        var multipart: String?
        /// The object with the bytes after the last part.
        var tail: BlobLocation?
    }

    /// How long a lease lasts that nobody renews, in seconds.
    static let leaseTime: Int64 = 10

    let database: any SQLDatabase
    /// Names this instance in leases.
    let instance: String
    let clock: @Sendable () -> Date

    private var now: Int64 { Int64(self.clock().timeIntervalSince1970) }

    private func newLease() -> String {
        var generator = SystemRandomNumberGenerator()
        return "\(self.instance)/\(UploadID(using: &generator))"
    }

    /// Adds an empty upload, with a lease that anybody may take over.
    /// - Returns: The lease.
    func create(_ key: UploadKey) async throws -> String {
        let (lease, now) = (self.newLease(), self.now)
        try await self.database.write(locking: []) { connection in
            try connection.execute(
                """
                INSERT INTO uploads (id, repository, state, size, parts, lease, leased_until, created_at, updated_at)
                VALUES (?, ?, ?, 0, 0, ?, 0, ?, ?)
                """,
                .text(key.id.description),
                .text(key.repository.description),
                .text(State.Phase.open.rawValue),
                .text(lease),
                .integer(now),
                .integer(now)
            )
        }
        return lease
    }

    /// Takes the lease of an upload, from another request of this instance as well: that knows who may write.
    /// - Returns: Nil when there is no such upload.
    /// - Throws: ``RegistryError`` when another instance has the lease.
    func acquire(_ key: UploadKey) async throws -> (lease: String, state: State)? {
        let (lease, now, own) = (self.newLease(), self.now, self.instance)
        let found: (isTaken: Bool, row: SQLRow?) = try await self.database.write(locking: []) { connection in
            let changed = try connection.execute(
                """
                UPDATE uploads SET lease = ?, leased_until = ?
                WHERE id = ? AND repository = ? AND (leased_until < ? OR (lease >= ? AND lease < ?))
                """,
                .text(lease),
                .integer(now + Self.leaseTime),
                .text(key.id.description),
                .text(key.repository.description),
                .integer(now),
                .text(own + "/"),
                .text(own + "0")
            )
            let rows = try connection.query(
                "SELECT state, size, parts, target, multipart, tail FROM uploads WHERE id = ? AND repository = ?",
                .text(key.id.description),
                .text(key.repository.description)
            )
            return (changed == 1, rows.first)
        }
        guard let row = found.row else { return nil }
        guard found.isTaken else { throw RegistryError.uploadBusy }
        return (lease, try Self.state(row))
    }

    private static func state(_ row: SQLRow) throws -> State {
        State(
            phase: State.Phase(rawValue: try row.text(0)) ?? .placed,
            size: try row.integer(1),
            parts: Int(clamping: try row.integer(2)),
            target: try row.optionalText(3).map(BlobLocation.init),
            multipart: try row.optionalText(4),
            tail: try row.optionalText(5).map(BlobLocation.init)
        )
    }

    /// Says that the holder of a lease is still there.
    /// - Throws: ``RegistryError`` when it no longer has the lease.
    func renew(_ key: UploadKey, _ lease: String) async throws {
        let until = self.now + Self.leaseTime
        let changed = try await self.database.write(locking: []) { connection in
            try connection.execute(
                "UPDATE uploads SET leased_until = ? WHERE id = ? AND lease = ?",
                .integer(until),
                .text(key.id.description),
                .text(lease)
            )
        }
        guard changed == 1 else { throw RegistryError.uploadTakenOver }
    }

    /// Lets others have the upload at once.
    func release(_ key: UploadKey, _ lease: String) async throws {
        _ = try await self.database.write(locking: []) { connection in
            try connection.execute(
                "UPDATE uploads SET leased_until = 0 WHERE id = ? AND lease = ?",
                .text(key.id.description),
                .text(lease)
            )
        }
    }

    /// Says how far an upload is.
    /// - Parameter part: A part that the storage has now.
    /// - Throws: ``RegistryError`` when the lease is another's: nothing is changed then.
    func save(_ state: State, part: S3Part? = nil, _ key: UploadKey, _ lease: String) async throws {
        let now = self.now
        let changed = try await self.database.write(locking: []) { connection in
            let changed = try connection.execute(
                """
                UPDATE uploads SET state = ?, size = ?, parts = ?, target = ?, multipart = ?, tail = ?,
                leased_until = CASE WHEN leased_until = 0 THEN 0 ELSE ? END, updated_at = ?
                WHERE id = ? AND lease = ?
                """,
                .text(state.phase.rawValue),
                .integer(state.size),
                .integer(Int64(state.parts)),
                state.target.map { .text($0.description) } ?? .null,
                state.multipart.map { .text($0) } ?? .null,
                state.tail.map { .text($0.description) } ?? .null,
                .integer(now + Self.leaseTime),
                .integer(now),
                .text(key.id.description),
                .text(lease)
            )
            if changed == 1, let part {
                try connection.execute(
                    """
                    INSERT INTO upload_parts (upload, number, etag) VALUES (?, ?, ?)
                    ON CONFLICT (upload, number) DO UPDATE SET etag = excluded.etag
                    """,
                    .text(key.id.description),
                    .integer(Int64(part.number)),
                    .text(part.etag)
                )
            }
            return changed
        }
        guard changed == 1 else { throw RegistryError.uploadTakenOver }
    }

    /// The parts of an upload that count, in their order.
    func parts(_ key: UploadKey, count: Int) async throws -> [S3Part] {
        try await self.database.read { connection in
            try connection.query(
                "SELECT number, etag FROM upload_parts WHERE upload = ? AND number <= ? ORDER BY number",
                .text(key.id.description),
                .integer(Int64(count))
            ).map { try S3Part(number: Int(clamping: $0.integer(0)), etag: $0.text(1)) }
        }
    }

    /// How many bytes of an upload are durable; nil when there is none.
    func size(_ key: UploadKey) async throws -> Int64? {
        try await self.database.query(
            "SELECT size FROM uploads WHERE id = ? AND repository = ?",
            .text(key.id.description),
            .text(key.repository.description)
        ).first?.integer(0)
    }

    /// Forgets an upload, whoever has its lease.
    /// - Returns: What there was; nil when there was none.
    func remove(_ key: UploadKey) async throws -> State? {
        try await self.database.write(locking: [.exclusive("upload \(key.id)")]) { connection in
            let rows = try connection.query(
                """
                DELETE FROM uploads WHERE id = ? AND repository = ?
                RETURNING state, size, parts, target, multipart, tail
                """,
                .text(key.id.description),
                .text(key.repository.description)
            )
            guard let row = rows.first else { return nil }
            try connection.execute("DELETE FROM upload_parts WHERE upload = ?", .text(key.id.description))
            return try Self.state(row)
        }
    }

    /// Some of the uploads that nobody has written to since a time, nor is writing to.
    func stale(writtenBefore time: Date, limit: Int) async throws -> [UploadKey] {
        let now = self.now
        return try await self.database.query(
            """
            SELECT repository, id FROM uploads WHERE updated_at < ? AND leased_until < ? ORDER BY updated_at LIMIT ?
            """,
            .integer(Int64(time.timeIntervalSince1970)),
            .integer(now),
            .integer(Int64(limit))
        ).compactMap { row in
            guard let id = UploadID(try row.text(1)) else { return nil }
            return try UploadKey(repository: RepositoryName(row.text(0)), id: id)
        }
    }

    /// Whether an upload has this multipart upload.
    func isKnown(multipart: String, target: BlobLocation) async throws -> Bool {
        try await !self.database.query(
            "SELECT 1 FROM uploads WHERE target = ? AND multipart = ?",
            .text(target.description),
            .text(multipart)
        ).isEmpty
    }
}
