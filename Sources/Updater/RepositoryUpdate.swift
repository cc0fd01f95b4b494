// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import TUF

/// One update of one repository: feeds the verification workflow from disk and transport (specification section 5).
struct RepositoryUpdate: Sendable {
    let updater: Updater
    private(set) var trusted: TrustedCollection
    /// Whether the repository may be asked.
    private(set) var isOnline = true

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
        try await self.loadSnapshot()
        try await self.loadTargets(try self.trusted.topLevelTargets)
        try await self.updater.keepTime(self.trusted.now)
    }

    /// Timestamp, snapshot and targets, from disk alone.
    mutating func load() async throws {
        self.isOnline = false
        try self.trusted.requireCurrentRoot()
        guard let timestamp = try await self.updater.read(.timestamp) else { throw Self.missing(.timestamp) }
        try self.trusted.updateTimestamp(timestamp)
        try await self.loadSnapshot()
        try await self.loadTargets(try self.trusted.topLevelTargets)
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
            var earlier = TrustedCollection(trust: .succession, format: .tuf, at: self.trusted.now)
            guard let stored = try await self.updater.read(.root), (try? earlier.rememberRoot(stored)) != nil else {
                return []
            }
            let roles = [RoleName.timestamp, .snapshot]
            let areSame = try roles.allSatisfy {
                Set(try earlier.keys(of: $0).keys) == Set(try self.trusted.keys(of: $0).keys)
            }
            return areSame ? [] : roles
        }
    }

    /// Takes each next root until there is none, or so many that the update goes on with what it has.
    private mutating func followRoots() async throws {
        for _ in 0..<WireFormat.rotationLimit {
            guard let version = self.trusted.root?.payload.version else { return }
            let bytes: [UInt8]
            do {
                bytes = try await self.updater.transport.fetch(
                    .metadata(.root, version: version + 1),
                    limit: WireFormat.rootLimit
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

// MARK: - Below the root

extension RepositoryUpdate {
    private mutating func fetchTimestamp() async throws {
        if let cached = try await self.updater.read(.timestamp) { self.trusted.rememberTimestamp(cached) }
        let bytes = try await self.fetch(.timestamp, version: nil, limit: WireFormat.timestampLimit)
        try self.trusted.updateTimestamp(bytes)
        // Of one version the one that was there first stays.
        guard let kept = self.trusted.timestamp else { return }
        try await self.keep(.timestamp, kept.bytes, verifiedBy: try self.trusted.keys(of: .timestamp))
    }

    private mutating func loadSnapshot() async throws {
        let cached = try await self.updater.read(.snapshot)
        if let cached { self.trusted.rememberSnapshot(cached) }
        let source = self
        let (bytes, isNew) = try await self.trusted.load(.snapshot, cached: cached) {
            try await source.fetch(.snapshot, $0)
        } take: { trusted, bytes in
            try trusted.updateSnapshot(bytes)
        }
        guard isNew else { return }
        try await self.keep(.snapshot, bytes, verifiedBy: try self.trusted.keys(of: .snapshot))
    }

    /// Loads a targets role whose delegator is loaded.
    mutating func loadTargets(_ delegation: TrustedDelegation) async throws {
        guard self.trusted.targets(delegation) == nil else { return }
        let role = delegation.role
        // Its version is for the snapshot to say, and which that may be for the snapshots before.
        let cached = try await self.updater.read(role)
        let source = self
        let (bytes, isNew) = try await self.trusted.load(role, cached: cached) {
            try await source.fetch(role, $0)
        } take: { trusted, bytes in
            try trusted.updateTargets(delegation, bytes)
        }
        if isNew { try await self.keep(role, bytes, verifiedBy: delegation.keys) }
    }

    private func keep(_ role: RoleName, _ bytes: [UInt8], verifiedBy keys: RoleKeys) async throws {
        let version = self.trusted.root?.payload.version ?? 0
        try await self.updater.keep(role, bytes, verifiedBy: keys, root: version)
    }

    /// Metadata as trusted metadata lists it.
    private func fetch(_ role: RoleName, _ listed: FileMetadata) async throws -> [UInt8] {
        let isConsistent = self.trusted.root?.payload.consistentSnapshot ?? false
        return try await self.fetch(
            role,
            version: isConsistent ? listed.version : nil,
            limit: Int(clamping: min(listed.length ?? .max, Int64(WireFormat.metadataLimit)))
        )
    }

    private func fetch(_ role: RoleName, version: Int64?, limit: Int) async throws -> [UInt8] {
        guard self.isOnline else { throw Self.missing(role) }
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
