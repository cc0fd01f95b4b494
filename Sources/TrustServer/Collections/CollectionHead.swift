// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOCore
import NotaryAPI
import Synchronization
import TUF

/// The current timestamp and snapshot of a collection, from which everything else that is current follows.
final class CollectionHead: Sendable {
    let gun: GUN
    let timestamp: StoredFile
    /// Nil in a store that another server has damaged: the timestamp leads nowhere.
    let snapshot: StoredFile?
    let timestampPayload: Timestamp
    let snapshotPayload: Snapshot?
    /// When the first of the two expires, in milliseconds since 1970.
    let expiresAt: Int64
    let timestampResponse: HTTPResponse
    let snapshotResponse: HTTPResponse?

    /// When this was last known to be the newest, in milliseconds since 1970.
    let checkedAt: Atomic<Int64>
    /// Until when expired metadata is served as it is, because it cannot be renewed; milliseconds since 1970.
    let servedAsIsUntil = Atomic<Int64>(0)

    /// - Throws: `TUFError` when what is stored is not metadata.
    init(
        gun: GUN,
        timestamp: StoredFile,
        snapshot: StoredFile?,
        configuration: TrustServerConfiguration,
        checkedAt: Int64
    ) throws {
        self.gun = gun
        self.timestamp = timestamp
        self.snapshot = snapshot
        self.timestampPayload = try TrustStore.timestamp(timestamp)
        self.snapshotPayload = try snapshot.map {
            try Snapshot(JSONParser.parse($0.content.readableBytesView)["signed"] ?? .null, format: .notary)
        }
        let expiries = [self.timestampPayload.expires, self.snapshotPayload?.expires].compactMap(\.self)
        self.expiresAt = expiries.map { $0.seconds * 1000 + $0.nanoseconds / 1_000_000 }.min() ?? 0
        self.timestampResponse = ServedFile(timestamp, configuration: configuration).current
        self.snapshotResponse = snapshot.map { ServedFile($0, configuration: configuration).current }
        self.checkedAt = Atomic(checkedAt)
    }

    /// What tells this state from all others of the collection.
    var pointer: TimestampPointer {
        TimestampPointer(version: self.timestamp.version, sha256: self.timestamp.sha256)
    }

    /// The SHA-256 of the current metadata of a role, in hexadecimal; nil when it has none.
    func sha256(of role: RoleName) -> String? {
        switch role {
        case .timestamp: self.timestamp.sha256
        case .snapshot: self.snapshot?.sha256
        default: self.snapshotPayload?[role]?.hashes?.sha256.map { Hexadecimal.encode($0) }
        }
    }

    /// Whether the timestamp, or the snapshot it leads to, is past its expiry.
    /// - Parameter milliseconds: the time, since 1970.
    func isExpired(at milliseconds: Int64) -> Bool { self.expiresAt < milliseconds }

    /// Roughly what it takes in memory, in bytes: parsed values take several times what their JSON does.
    var cost: Int {
        2048 + 2 * self.timestamp.content.readableBytes + 8 * (self.snapshot?.content.readableBytes ?? 0)
    }
}
