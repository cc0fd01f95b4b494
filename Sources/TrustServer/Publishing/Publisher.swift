// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NotaryAPI
import TUF

/// Takes uploads: checks them, signs what the server signs, and stores all of it or nothing.
struct Publisher: Sendable {
    /// How often an upload is checked again because somebody else changed the collection meanwhile.
    private static let attempts = 8

    let collections: Collections
    let keys: OnlineKeys
    let metadata: ServerMetadata
    let metrics: TrustMetrics

    init(collections: Collections, keys: OnlineKeys, metrics: TrustMetrics) {
        self.collections = collections
        self.keys = keys
        self.metrics = metrics
        self.metadata = ServerMetadata(collections: collections, keys: keys)
    }

    /// Publishes an upload.
    /// - Throws: ``RefusedUpdate``, ``NotaryError`` with code `invalidUpdate` or `version`; `updating` when the database fails.
    func publish(_ upload: Upload, to gun: GUN) async throws {
        try await self.store(upload, in: gun)
        self.metrics.publishes.add(1, "stored")
    }

    private func store(_ upload: Upload, in gun: GUN) async throws {
        try await self.collections.locks.withLock(gun) {
            var head = try await self.collections.head(of: gun)
            for _ in 0..<Self.attempts {
                switch try await self.attempt(upload, to: gun, at: head) {
                case .stored: return
                case .versionTaken: throw NotaryError(.version, detail: .empty)
                case .keyTaken(let key): throw Self.foreignKey(key)
                case .superseded: head = try await self.collections.storedHead(of: gun)
                }
            }
            throw NotaryError(.version, detail: .empty)
        }
    }

    private func attempt(_ upload: Upload, to gun: GUN, at head: CollectionHead?) async throws -> TrustCommitResult {
        let update = try await UpdateValidation(upload, to: gun, at: head, in: self.collections)
        let serverKeys = try await self.serverKeys(of: update)
        var files: [StoredFile] = []
        if upload.files[.root] != nil {
            files.append(self.metadata.stored(.root, update.root.payload.version, update.root.bytes))
        }
        for role in upload.targetsRoles {
            guard let targets = update.targets[role]?.metadata else { continue }
            files.append(self.metadata.stored(role, targets.payload.version, targets.bytes))
        }
        let snapshot = try await self.snapshot(of: update)
        let snapshotFile = self.metadata.stored(.snapshot, snapshot.payload.version, snapshot.bytes)
        let timestamp = try await self.metadata.timestamp(
            after: head,
            of: snapshot.bytes,
            root: update.root.payload,
            floor: update.versionFloor,
            at: update.now
        )
        guard let timestamp else {
            throw NotaryError(.root, "no timestamp keys exist on the server that this root names")
        }
        let result = try await self.metadata.commit(
            files + [snapshotFile],
            timestamp: timestamp,
            snapshot: snapshotFile,
            snapshotExpires: update.snapshot == nil ? snapshot.payload.expires : nil,
            update: update,
            serverKeys: serverKeys,
            after: head,
            in: gun
        )
        if result == .stored { self.keep(update, files) }
        return result
    }

    /// The uploaded snapshot, or one that the server makes over the raw bytes of what is current and what was uploaded.
    private func snapshot(of update: UpdateValidation) async throws -> Verified<Snapshot> {
        if let snapshot = update.snapshot { return snapshot }
        var meta = update.head?.snapshotPayload?.meta ?? [:]
        meta[RoleName.root.text] = FileMetadata(of: update.root.bytes)
        for (role, loaded) in update.targets { meta[role.text] = FileMetadata(of: loaded.metadata.bytes) }
        let snapshot = try await self.metadata.snapshot(
            after: update.head,
            meta: meta,
            root: update.root.payload,
            floor: update.versionFloor,
            at: update.now
        )
        guard let snapshot else {
            throw NotaryError(
                .hierarchy,
                "no snapshot was sent, and the server does not hold the key to make one",
                missing: RoleName.snapshot.text
            )
        }
        return snapshot
    }

    // MARK: Keys

    /// The keys of the signer that a new root names. One that was made for another collection is refused: whoever names it
    /// would have the server sign with it, and could show that to the other's users.
    private func serverKeys(of update: UpdateValidation) async throws -> [KeyID] {
        guard update.upload.files[.root] != nil else { return [] }
        var ids: Set<KeyID> = []
        for role in [RoleName.timestamp, .snapshot] {
            let keys = try update.root.payload.keys(of: role)
            for key in keys.keys {
                if let owner = try await self.collections.store.owner(of: key.id), owner != update.gun {
                    throw Self.foreignKey(key.id)
                }
            }
            for key in try await self.keys.held(of: keys) ?? [] { ids.insert(key.id) }
        }
        return ids.sorted()
    }

    private static func foreignKey(_ key: KeyID) -> NotaryError {
        NotaryError(
            .root,
            "the server's key \(key.text.prefix(64)) belongs to another collection; ask for one of your own"
        )
    }

    // MARK: Memory

    private func keep(_ update: UpdateValidation, _ files: [StoredFile]) {
        for file in files {
            if file.role == .root {
                self.collections.keep(update.root, in: update.gun, sha256: file.sha256)
            } else if let targets = update.targets[file.role] {
                self.collections.keep(
                    targets.metadata,
                    file.role,
                    by: targets.keys,
                    in: update.gun,
                    sha256: file.sha256
                )
            }
        }
    }
}
