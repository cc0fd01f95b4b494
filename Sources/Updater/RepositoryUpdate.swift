// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import TUF

/// One update of one repository: feeds the verification workflow from disk and transport (specification section 5).
struct RepositoryUpdate: Sendable {
    let updater: Updater
    private(set) var trusted: TrustedCollection
    /// Whether the repository may be asked.
    private(set) var isOnline = true
    /// Snapshot and targets as they were verified before, to be read when something is looked up.
    private var unread: VerifiedFiles?

    init(_ updater: Updater) {
        self.updater = updater
        // The time is taken once: an update that lasts must not see one file expire and another not.
        self.trusted = TrustedCollection(trust: .succession, format: .tuf, at: updater.now())
    }

    /// Root, timestamp, snapshot and targets, from the repository.
    mutating func refresh() async throws {
        try await self.followRoots()
        try self.trusted.requireCurrentRoot()
        try await self.fetchTimestamp()
        try await self.loadSnapshotAndTargets()
        try await self.updater.keepTime(self.trusted.now)
    }

    /// Timestamp, snapshot and targets, from disk alone.
    mutating func load() async throws {
        self.isOnline = false
        try self.trusted.requireCurrentRoot()
        guard let timestamp = try await self.updater.read(.timestamp) else { throw Self.missing(.timestamp) }
        try self.trusted.updateTimestamp(timestamp)
        try await self.loadSnapshotAndTargets()
    }

    private static func missing(_ role: RoleName) -> UpdaterError {
        UpdaterError(.noTrustData, "there is no metadata of \(role) on disk: refresh it first")
    }
}

// MARK: - Root

extension RepositoryUpdate {
    /// The root that trust begins with, and those that earlier updates have followed it to.
    mutating func loadRoot(_ shipped: [UInt8]?) async throws {
        guard let shipped else {
            guard let stored = try await self.updater.read(.root) else {
                throw UpdaterError(
                    .noTrustData,
                    "\(self.updater.directory) has no root.json to begin with: put a root there that you trust"
                )
            }
            return try self.trusted.rememberRoot(stored)
        }
        try self.trusted.rememberRoot(shipped)
        for _ in 0..<WireFormat.rotationLimit {
            guard let root = self.trusted.root, let next = try await self.updater.readRoot(root.payload.version + 1),
                (try? self.trusted.rememberSuccessor(next)) != nil
            else { break }
        }
        if let root = self.trusted.root {
            let forgotten = try await self.replacedOnDisk
            try await self.updater.keep(root: root.bytes, version: root.payload.version, removing: forgotten)
        }
    }

    /// The roles that a root on disk gave other keys than the trusted one does, which an application has shipped meanwhile.
    private var replacedOnDisk: [RoleName] {
        get async throws {
            guard let stored = try await self.updater.read(.root), stored != self.trusted.root?.bytes else { return [] }
            var earlier = TrustedCollection(trust: .succession, format: .tuf, at: self.trusted.now)
            guard (try? earlier.rememberRoot(stored)) != nil else { return [] }
            let roles = [RoleName.timestamp, .snapshot]
            let areSame = try roles.allSatisfy {
                Set(try earlier.keys(of: $0).keys) == Set(try self.trusted.keys(of: $0).keys)
            }
            return areSame ? [] : roles
        }
    }

    /// Takes each next root until there is none, or so many that the update goes on with what it has.
    private mutating func followRoots() async throws {
        for _ in 0..<self.updater.settings.limits.rootRotations {
            guard let version = self.trusted.root?.payload.version else { return }
            let bytes: [UInt8]
            do {
                bytes = try await self.updater.transport.fetch(
                    .metadata(.root, version: version + 1),
                    limit: self.updater.settings.limits.rootLength
                )
            } catch let error as TransportError where error.code == .notFound {
                return
            } catch let error as TransportError {
                throw Self.failure(error, .root)
            }
            try await self.takeRoot(bytes)
        }
    }

    /// Trusts a newer root and keeps it at once: however the update ends, this step need not be made again.
    private mutating func takeRoot(_ bytes: [UInt8]) async throws {
        var next = self.trusted
        try next.updateRoot(bytes)
        let forgotten = RoleName.topLevel.filter { $0 != .root && next.isForgotten($0) }
        try await self.updater.keep(root: bytes, version: next.root?.payload.version ?? 0, removing: forgotten)
        self.trusted = next
    }
}

// MARK: - Timestamp, snapshot and top-level targets

extension RepositoryUpdate {
    private mutating func fetchTimestamp() async throws {
        if let cached = try await self.updater.read(.timestamp) { self.trusted.rememberTimestamp(cached) }
        let limit = self.updater.settings.limits.timestampLength
        let bytes = try await self.fetch(.timestamp, version: nil, limit: limit)
        try self.trusted.updateTimestamp(bytes)
        // Of one version the one that was there first stays.
        guard let kept = self.trusted.timestamp else { return }
        try await self.keep(.timestamp, kept.bytes, verifiedBy: try self.trusted.keys(of: .timestamp))
    }

    /// Snapshot and top-level targets. Those that the last refresh has verified are left for ``settle()``, so that one that
    /// finds nothing new takes no longer for a million targets than for ten.
    private mutating func loadSnapshotAndTargets() async throws {
        self.unread = try await self.updater.verifiedFiles(self.trusted)
        guard self.unread == nil else { return }
        let snapshot = try await self.loadSnapshot(from: try await self.updater.open(.snapshot))
        let targets = try await self.loadTargets(
            try self.trusted.topLevelTargets,
            from: try await self.updater.open(.targets)
        )
        try await self.updater.note(self.trusted, snapshot: snapshot, targets: targets)
    }

    /// Reads, and verifies, what was left because it was verified before. What turns out to be something else is fetched.
    mutating func settle() async throws {
        guard let unread = self.unread else { return }
        var settled = self
        settled.unread = nil
        do {
            let snapshot = try await settled.loadSnapshot(from: unread.snapshot)
            let targets = try await settled.loadTargets(try settled.trusted.topLevelTargets, from: unread.targets)
            if snapshot == nil || targets == nil { try await self.updater.forgetVerified() }
        } catch {
            // The next refresh is to find this out.
            try? await self.updater.forgetVerified()
            throw error
        }
        self = settled
    }

    /// - Returns: what the file is that was right; nil when it was not, and the snapshot was fetched.
    private mutating func loadSnapshot(from stored: StoredFile?) async throws -> StoredFile.Identity? {
        let cached = try await self.updater.read(stored)
        if let cached { self.trusted.rememberSnapshot(cached) }
        let isNew = try await self.load(.snapshot, cached, verifiedBy: try self.trusted.keys(of: .snapshot)) {
            try $0.updateSnapshot($1)
        }
        return isNew ? nil : stored?.identity
    }

    /// - Returns: as of ``loadSnapshot(from:)``.
    private mutating func loadTargets(
        _ delegation: TrustedDelegation,
        from stored: StoredFile?
    ) async throws -> StoredFile.Identity? {
        // Its version is for the snapshot to say, and which that may be for the snapshots before.
        let cached = try await self.updater.read(stored)
        let isNew = try await self.load(delegation.role, cached, verifiedBy: delegation.keys) {
            try $0.updateTargets(delegation, $1)
        }
        return isNew ? nil : stored?.identity
    }

    /// Loads a targets role whose delegator is loaded.
    mutating func loadTargets(_ delegation: TrustedDelegation) async throws {
        guard self.trusted.targets(delegation) == nil else { return }
        _ = try await self.loadTargets(delegation, from: try await self.updater.open(delegation.role))
    }

    /// Makes metadata trusted that trusted metadata lists: what is on disk if it will do, else what is fetched.
    /// - Returns: whether it was fetched.
    private mutating func load(
        _ role: RoleName,
        _ cached: [UInt8]?,
        verifiedBy keys: RoleKeys,
        take: (inout TrustedCollection, [UInt8]) throws -> Void
    ) async throws -> Bool {
        guard self.isOnline else {
            guard let cached else { throw Self.missing(role) }
            try take(&self.trusted, cached)
            return false
        }
        let source = self
        let (bytes, isNew) = try await self.trusted.load(role, cached: cached) {
            try await source.fetch(role, $0)
        } take: { trusted, bytes in
            try take(&trusted, bytes)
        }
        if isNew { try await self.keep(role, bytes, verifiedBy: keys) }
        return isNew
    }

    private func keep(_ role: RoleName, _ bytes: [UInt8], verifiedBy keys: RoleKeys) async throws {
        let version = self.trusted.root?.payload.version ?? 0
        try await self.updater.keep(role, bytes, verifiedBy: keys, root: version)
    }
}

// MARK: - Fetching

extension RepositoryUpdate {
    /// Metadata as trusted metadata lists it.
    private func fetch(_ role: RoleName, _ listed: FileMetadata) async throws -> [UInt8] {
        let isConsistent = self.trusted.root?.payload.consistentSnapshot ?? false
        return try await self.fetch(
            role,
            version: isConsistent ? listed.version : nil,
            limit: Int(clamping: min(listed.length ?? .max, Int64(self.updater.settings.limits.metadataLength)))
        )
    }

    private func fetch(_ role: RoleName, version: Int64?, limit: Int) async throws -> [UInt8] {
        do {
            return try await self.updater.transport.fetch(.metadata(role, version: version), limit: limit)
        } catch let error as TransportError {
            throw Self.failure(error, role)
        }
    }

    private static func failure(_ error: TransportError, _ role: RoleName) -> any Error {
        switch error.code {
        case .notFound:
            UpdaterError(
                .noTrustData,
                "the repository lacks the metadata of \(role) that it must have: \(error.message). Try again, and if it "
                    + "stays so ask who runs it"
            )
        case .tooLarge: UpdaterError(TUFError(.tooLarge, role: role, error.message))
        case .changed, .unreachable: UpdaterError(.unreachable, error.message)
        }
    }
}
