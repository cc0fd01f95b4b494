// SPDX-License-Identifier: Apache-2.0

import Ceremony
import FoundationEssentials
import TUF

/// What a repository has published, read from its files as far as it is needed, with what the next publish changes laid over it.
///
/// All of it blocks.
struct WorkingCopy: Sendable {
    /// The most roots that are looked back at for the keys of metadata that an interrupted rotation left behind.
    private static let lookBack: Int64 = 64

    let files: any RepositoryFiles
    let settings: RepositorySettings
    let now: Date

    /// The newest root; nil before the first publish.
    let publishedRoot: Verified<Root>?
    let timestamp: Verified<Timestamp>?
    let snapshot: Verified<Snapshot>?
    private var published: [RoleName: Verified<Targets>] = [:]
    /// The highest version of each role of which there is a file, published or left by a crash.
    private let highestVersions: [RoleName: Int64]

    /// The root as it is to be.
    var root: Root?
    /// The roles that list targets, as far as they change.
    var edited: [RoleName: Targets] = [:]
    /// The roles that are to be signed again whether they change or not.
    var renewed: Set<RoleName> = []

    private struct TableKey: Hashable {
        let delegator: RoleName
        let isPublished: Bool
    }

    /// What many roles are delegated with, by name, once somebody has asked for one of them.
    private var tables: [TableKey: [RoleName: Entry]] = [:]

    private struct Entry {
        let keys: RoleKeys
        let isBin: Bool
    }

    /// Reads the root, timestamp and snapshot.
    /// - Throws: ``RepositoryError`` with code `noRepository`, `malformed` or `storage`; `TUFError` for metadata that is not
    ///   the repository's own.
    init(_ files: any RepositoryFiles, at now: Date) throws {
        self.files = files
        self.now = now
        var highest: [RoleName: Int64] = [:]
        for name in try files.list(RepositoryLayout.metadata) {
            guard let name = VersionedName(name) else { continue }
            highest[name.role] = max(name.version, highest[name.role] ?? 0)
        }
        self.highestVersions = highest
        // Who has a copy of the metadata alone can still look at it, and sign what follows it.
        let settings = try files.read(RepositoryLayout.settings, limit: 1 << 20)
        guard settings != nil || highest[.root] != nil else {
            throw RepositoryError(.noRepository, "there is no repository here: hallmark init makes one")
        }
        self.settings = try settings.map { try RepositorySettings($0) } ?? RepositorySettings()
        guard let version = highest[.root] else {
            (self.publishedRoot, self.timestamp, self.snapshot) = (nil, nil, nil)
            return
        }
        let root = try Self.root(version, in: files)
        self.publishedRoot = root
        self.root = root.payload
        let timestampBytes = try files.read(
            RepositoryLayout.metadata(.timestamp, version: 1),
            limit: WireFormat.timestampLimit
        )
        let timestamp: Verified<Timestamp>? = try timestampBytes.map {
            try Self.verified($0, .timestamp, under: root, in: files)
        }
        self.timestamp = timestamp
        guard let listed = timestamp?.payload.snapshot, let version = listed.version else {
            self.snapshot = nil
            return
        }
        let bytes = try Self.required(RepositoryLayout.metadata(.snapshot, version: version), in: files)
        try listed.verify(bytes, role: .snapshot, format: .tuf)
        self.snapshot = try Self.verified(bytes, .snapshot, under: root, in: files)
    }

    var isConsistent: Bool { self.root?.consistentSnapshot ?? true }

    static func required(_ path: String, in files: any RepositoryFiles) throws -> [UInt8] {
        guard let bytes = try files.read(path, limit: WireFormat.metadataLimit) else {
            throw RepositoryError(.malformed, "\(path) is listed, but not there: restore it from a backup")
        }
        return bytes
    }

    static func root(_ version: Int64, in files: any RepositoryFiles) throws -> Verified<Root> {
        let path = RepositoryLayout.metadata(.root, version: version)
        let bytes = try self.required(path, in: files)
        return try RootTrust.succession.verifyStored(try UnverifiedMetadata(bytes, format: .tuf))
    }

    /// Metadata of a top-level role. An interrupted rotation leaves it signed by keys of an older root.
    private static func verified<Content: Payload>(
        _ bytes: [UInt8],
        _ role: RoleName,
        under root: Verified<Root>,
        in files: any RepositoryFiles
    ) throws -> Verified<Content> {
        let metadata = try UnverifiedMetadata(bytes, format: .tuf)
        do {
            return try metadata.verified(by: try root.payload.keys(of: role))
        } catch let error as TUFError where error.code == .thresholdNotMet {
            var version = root.payload.version - 1
            while version >= max(1, root.payload.version - self.lookBack) {
                let older = try self.root(version, in: files)
                if let verified = try? metadata.verified(as: Content.self, by: try older.payload.keys(of: role)) {
                    return verified
                }
                version -= 1
            }
            throw error
        }
    }
}

// MARK: - Roles

extension WorkingCopy {
    /// What is published of a role that lists targets; nil when nothing is.
    mutating func published(_ role: RoleName) throws -> Verified<Targets>? {
        if let known = self.published[role] { return known }
        guard let root = self.publishedRoot, let listed = self.snapshot?.payload[role], let version = listed.version
        else { return nil }
        let path = RepositoryLayout.metadata(role, version: version)
        let targets: Verified<Targets>
        if role == .targets {
            let bytes = try Self.required(path, in: self.files)
            try listed.verify(bytes, role: role, format: .tuf)
            targets = try Self.verified(bytes, role, under: root, in: self.files)
        } else {
            // Listed for ever, but perhaps no longer delegated.
            guard let keys = try self.delegation(of: role, isPublished: true)?.keys else { return nil }
            let bytes = try Self.required(path, in: self.files)
            try listed.verify(bytes, role: role, format: .tuf)
            targets = try UnverifiedMetadata(bytes, format: .tuf).verified(by: keys)
        }
        self.published[role] = targets
        return targets
    }

    /// A role that lists targets as it is to be; nil when there is none.
    mutating func targets(_ role: RoleName) throws -> Targets? {
        if let edited = self.edited[role] { return edited }
        return try self.published(role)?.payload
    }

    /// The role that delegates to another, and whose keys it says sign for it; nil when none does.
    mutating func delegation(
        of role: RoleName,
        isPublished: Bool = false
    ) throws -> (delegator: RoleName, keys: RoleKeys)? {
        try self.entry(of: role, isPublished: isPublished).map { ($0.delegator, $0.entry.keys) }
    }

    private mutating func entry(
        of role: RoleName,
        isPublished: Bool = false
    ) throws -> (delegator: RoleName, entry: Entry)? {
        var queue: [RoleName] = [.targets]
        var next = 0
        while next < queue.count {
            let delegator = queue[next]
            next += 1
            let targets = isPublished ? try self.published(delegator)?.payload : try self.targets(delegator)
            guard let delegations = targets?.delegations else { continue }
            let key = TableKey(delegator: delegator, isPublished: isPublished)
            if let entry = try self.entry(of: role, in: delegations, key) { return (delegator, entry) }
            queue += Self.inner(delegations).filter { !queue.contains($0) }
        }
        return nil
    }

    private mutating func entry(
        of role: RoleName,
        in delegations: Delegations,
        _ key: TableKey
    ) throws -> Entry? {
        guard delegations.succinctRoles == nil, delegations.roles.count > 64 else {
            return try delegations[role].map {
                Entry(keys: try delegations.keys(of: role), isBin: $0.matching == .hashPrefixes)
            }
        }
        if let table = self.tables[key] { return table[role] }
        let keys = Self.table(delegations)
        let roles = delegations.roles.compactMap { role in
            keys[role.name].map { (role.name, Entry(keys: $0, isBin: role.matching == .hashPrefixes)) }
        }
        let table = Dictionary(roles) { first, _ in first }
        self.tables[key] = table
        return table[role]
    }

    /// To be called when delegations change.
    mutating func forgetTables() {
        self.tables = self.tables.filter { $0.key.isPublished }
    }

    /// All roles that list targets in the order in which readers look into them, each with its delegator.
    mutating func allRoles() throws -> [(role: RoleName, delegator: RoleName?)] {
        var roles: [(role: RoleName, delegator: RoleName?)] = []
        var stack: [(role: RoleName, delegator: RoleName?)] = [(.targets, nil)]
        var seen: Set<RoleName> = []
        while let current = stack.popLast() {
            guard seen.insert(current.role).inserted else { continue }
            roles.append(current)
            guard let delegations = try self.targets(current.role)?.delegations else { continue }
            stack += Self.names(in: delegations).reversed().map { ($0, current.role) }
        }
        return roles
    }

    /// The roles that are delegated to.
    static func names(in delegations: Delegations) -> [RoleName] {
        guard let succinct = delegations.succinctRoles else { return delegations.roles.map(\.name) }
        return (0..<succinct.count).map { succinct.name($0) }
    }

    /// The roles that may delegate further: bins, of which there may be thousands, do not.
    private static func inner(_ delegations: Delegations) -> [RoleName] {
        let isBins = delegations.roles.count > 64
        return delegations.roles.filter { !isBins || $0.matching != .hashPrefixes }.map(\.name)
    }

    /// Whether a role is one of many that share paths out by hash.
    mutating func isBin(_ role: RoleName) throws -> Bool {
        try self.entry(of: role)?.entry.isBin ?? false
    }

    /// The keys that have to sign for a role from now on.
    mutating func keys(of role: RoleName) throws -> (authority: RoleName, keys: RoleKeys) {
        guard role.isDelegation else {
            guard let root = self.root else { throw RepositoryError(.incomplete, "there is no root yet") }
            return (.root, try root.keys(of: role))
        }
        guard let found = try self.delegation(of: role) else {
            throw RepositoryError(.notFound, "no role delegates to \(role)")
        }
        return (found.delegator, found.keys)
    }

    /// The version of the next metadata of a role: above all that were ever written, so that no file changes.
    func nextVersion(_ role: RoleName) -> Int64 {
        let known: Int64? =
            switch role {
            case .root: self.publishedRoot?.payload.version
            case .timestamp: self.timestamp?.payload.version
            case .snapshot: max(self.snapshot?.payload.version ?? 0, self.highestVersions[.snapshot] ?? 0)
            default: max(self.snapshot?.payload[role]?.version ?? 0, self.highestVersions[role] ?? 0)
            }
        return (known ?? 0) + 1
    }

    /// When metadata of a role that is signed now expires.
    func expiry(_ role: RoleName) -> Expiry {
        Expiry(self.now.addingTimeInterval(Double(self.settings[role].validity)))
    }

    /// Whether metadata of a role has to be signed again.
    func isDue(_ role: RoleName, _ expires: Expiry) -> Bool {
        expires <= Expiry(self.now.addingTimeInterval(Double(self.settings[role].margin)))
    }
}
