// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import NIOCore
import NotaryAPI
import TUF

/// Makes what the server itself signs, and commits it together with what it stands for.
struct ServerMetadata: Sendable {
    let collections: Collections
    let keys: OnlineKeys

    private var configuration: TrustServerConfiguration { self.collections.configuration }
    var schedule: RenewalSchedule { RenewalSchedule(configuration: self.configuration) }
    var levels: ExpiryLevels { ExpiryLevels(days: self.configuration.expiryWarnings) }

    /// Signs a snapshot that follows the current one.
    /// - Parameter floor: a version that the first one is above.
    /// - Returns: nil when the signer does not hold the keys.
    func snapshot(
        after head: CollectionHead?,
        meta: ByteOrderedMap<FileMetadata>,
        root: Root,
        floor: Int64 = 0,
        at now: Date
    ) async throws -> Verified<Snapshot>? {
        guard let keys = try await self.keys.held(of: try root.keys(of: .snapshot)) else { return nil }
        let version = max(head?.snapshot?.version ?? 0, floor) + 1
        let expires = Expiry(now.addingTimeInterval(Double(self.configuration.snapshotLifetime)))
        return try await self.keys.sign(
            Snapshot(version: version, expires: expires, meta: meta),
            of: .snapshot,
            with: keys
        )
    }

    /// Signs a timestamp that follows the current one.
    /// - Parameter floor: a version that the first one is above.
    /// - Returns: nil when the signer does not hold the keys.
    func timestamp(
        after head: CollectionHead?,
        of snapshot: [UInt8],
        root: Root,
        floor: Int64 = 0,
        at now: Date
    ) async throws -> Verified<Timestamp>? {
        guard let keys = try await self.keys.held(of: try root.keys(of: .timestamp)) else { return nil }
        let timestamp = Timestamp(
            version: max(head?.timestamp.version ?? 0, floor) + 1,
            expires: Expiry(now.addingTimeInterval(Double(self.configuration.timestampLifetime))),
            snapshot: FileMetadata(of: snapshot)
        )
        return try await self.keys.sign(timestamp, of: .timestamp, with: keys)
    }

    /// A file to be stored now.
    func stored(_ role: RoleName, _ version: Int64, _ bytes: [UInt8]) -> StoredFile {
        StoredFile(
            role: role,
            version: version,
            sha256: Hexadecimal.encode(SHA256.hash(data: bytes)),
            storedAt: self.collections.milliseconds,
            content: ByteBuffer(bytes: bytes)
        )
    }

    /// Stores files with the timestamp that makes them current.
    /// - Parameters:
    ///   - files: all but the timestamp.
    ///   - snapshot: the snapshot that the timestamp leads to, whether it is among the files or was stored before.
    ///   - snapshotExpires: its expiry, if the server can renew it.
    ///   - update: what a publisher brought, if it was one.
    func commit(
        _ files: [StoredFile],
        timestamp: Verified<Timestamp>,
        snapshot: StoredFile,
        snapshotExpires: Expiry?,
        update: UpdateValidation? = nil,
        serverKeys: [KeyID],
        after head: CollectionHead?,
        in gun: GUN
    ) async throws -> TrustCommitResult {
        let file = self.stored(.timestamp, timestamp.payload.version, timestamp.bytes)
        let commit = TrustCommit(
            gun: gun,
            base: head?.pointer,
            files: files + [file],
            timestamp: TimestampPointer(version: file.version, sha256: file.sha256),
            serverKeys: serverKeys,
            renewal: self.schedule.time(of: gun, timestamp: timestamp.payload.expires, snapshot: snapshotExpires),
            expiries: update?.expiries(self.levels) ?? [],
            delegations: update?.delegations ?? [:],
            now: self.collections.milliseconds
        )
        return try await self.collections.commit(commit, snapshot: snapshot)
    }
}
