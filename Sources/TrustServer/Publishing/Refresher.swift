// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import NotaryAPI
import Synchronization
import TUF

/// Signs a collection's timestamp and snapshot again when their time has come.
struct Refresher: Sendable {
    /// How long expired metadata that cannot be renewed is served before that is tried again, in milliseconds.
    private static let asIsDuration: Int64 = 60_000

    let collections: Collections
    let metadata: ServerMetadata
    let logger: Logger

    /// What became of a collection that was looked after.
    struct Outcome: Sendable {
        enum Kind: Sendable, Hashable {
            /// Something new was signed and stored.
            case renewed
            /// Nothing was due, or somebody else was first.
            case unchanged
            /// Something is due and cannot be signed: the root has expired or the signer does not hold the key.
            case blocked
        }

        let kind: Kind
        /// The current state.
        let head: CollectionHead
    }

    /// The current state, renewed where what is current has expired; nil when nothing is published.
    /// - Throws: ``SignerError``, or what the database throws.
    func refreshed(_ gun: GUN) async throws -> CollectionHead? {
        try await self.refresh(gun, within: RenewalSchedule.Margins(timestamp: 0, snapshot: 0))?.head
    }

    /// Renews what expires within the margins; nil when nothing is published.
    ///
    /// What cannot be renewed, because its publisher holds the key or the root has expired, stays as it is.
    /// - Throws: ``SignerError``, or what the database throws.
    func refresh(_ gun: GUN, within margins: RenewalSchedule.Margins) async throws -> Outcome? {
        try await self.collections.locks.withLock(gun) {
            guard let head = try await self.collections.head(of: gun) else { return nil }
            let now = self.collections.now()
            func isDue(_ expires: Expiry, _ margin: Int64) -> Bool {
                expires < Expiry(now.addingTimeInterval(Double(margin)))
            }
            let dueTimestamp = isDue(head.timestampPayload.expires, margins.timestamp)
            let dueSnapshot = head.snapshotPayload.map { isDue($0.expires, margins.snapshot) } ?? false
            guard dueTimestamp || dueSnapshot else { return Outcome(kind: .unchanged, head: head) }
            guard let snapshot = head.snapshot, let root = try await self.root(of: head, at: now) else {
                return Outcome(kind: .blocked, head: self.asIs(head))
            }
            var files: [StoredFile] = []
            var newSnapshot: Verified<Snapshot>?
            if dueSnapshot, let meta = head.snapshotPayload?.meta {
                newSnapshot = try await self.metadata.snapshot(after: head, meta: meta, root: root, at: now)
                files = newSnapshot.map { [self.metadata.stored(.snapshot, $0.payload.version, $0.bytes)] } ?? []
            }
            guard dueTimestamp || newSnapshot != nil else { return Outcome(kind: .unchanged, head: self.asIs(head)) }
            let timestamp = try await self.metadata.timestamp(
                after: head,
                of: newSnapshot?.bytes ?? snapshot.bytes,
                root: root,
                at: now
            )
            guard let timestamp else {
                self.logger.error(
                    "a timestamp cannot be renewed: the signer does not hold its key",
                    metadata: ["gun": "\(gun)"]
                )
                return Outcome(kind: .blocked, head: self.asIs(head))
            }
            let result = try await self.metadata.commit(
                files,
                timestamp: timestamp,
                snapshot: files.first ?? snapshot,
                snapshotExpires: try await self.renewable(newSnapshot?.payload ?? head.snapshotPayload, root: root),
                serverKeys: [],
                after: head,
                in: gun
            )
            // Whatever the result, the newest state is now current: ours, or that of whoever was first.
            guard let newest = try await self.collections.head(of: gun) else { return nil }
            if result == .stored {
                self.logger.info("renewed", metadata: ["gun": "\(gun)", "timestamp": "\(timestamp.payload.version)"])
            }
            let isExpired = newest.isExpired(at: self.collections.milliseconds)
            return Outcome(
                kind: result == .stored ? .renewed : .unchanged,
                head: isExpired ? self.asIs(newest) : newest
            )
        }
    }

    /// The expiry of a snapshot, if the server could sign the next one.
    func renewable(_ snapshot: Snapshot?, root: Root) async throws -> Expiry? {
        guard let snapshot, try await self.metadata.keys.held(of: try root.keys(of: .snapshot)) != nil else {
            return nil
        }
        return snapshot.expires
    }

    /// The root that says who signs; nil when there is none to go by.
    func root(of head: CollectionHead, at now: Date) async throws -> Root? {
        do {
            guard let root = try await self.collections.root(of: head) else { return nil }
            try root.requireCurrent(at: Expiry(now), role: .root)
            return root.payload
        } catch let error as TUFError {
            self.logger.warning(
                "nothing can be renewed under this root until its owner publishes a new one",
                metadata: ["gun": "\(head.gun)", "error": "\(error)"]
            )
            return nil
        }
    }

    private func asIs(_ head: CollectionHead) -> CollectionHead {
        head.servedAsIsUntil.store(self.collections.milliseconds + Self.asIsDuration, ordering: .relaxed)
        return head
    }
}
