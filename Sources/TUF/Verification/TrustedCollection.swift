// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials

/// The verification workflow: what is trusted of one collection at one moment, built up role by role
/// (TUF specification section 5; Notary's client does the same with its own spelling).
///
/// A value of this type does no I/O. Its owner feeds it bytes from a cache or a server, in order: a root, then newer roots,
/// the timestamp, the snapshot, `targets`, delegations. Each step either makes what it was given trusted, or throws and
/// leaves the collection as it was. What was trusted in earlier updates comes in through the `remember…` functions: it is
/// never taken as current, but nothing older than it will be.
public struct TrustedCollection: Sendable {
    /// The rules for its root.
    public let trust: RootTrust
    /// How its metadata is spelled.
    public let format: WireFormat
    /// The time that every expiry is compared with, the same for the whole update.
    public let now: Date

    /// The trusted root.
    public private(set) var root: Verified<Root>?
    /// The trusted timestamp.
    public private(set) var timestamp: Verified<Timestamp>?
    /// The trusted snapshot.
    public private(set) var snapshot: Verified<Snapshot>?
    /// The trusted targets roles.
    public private(set) var targets: [RoleName: Verified<Targets>] = [:]

    /// The roles whose keys have changed since the remembered root. ``isForgotten(_:)`` says which roles that concerns.
    public private(set) var rotatedRoles: Set<RoleName> = []

    // The highest of each role that was trusted before, in earlier updates or in this one.
    private var oldTimestamp: Verified<Timestamp>?
    private var oldSnapshot: Verified<Snapshot>?
    private var oldTargets: [RoleName: Verified<Targets>] = [:]
    private let expiryNow: Expiry

    // Delegated roles where any role may delegate to any (TUF): one role may be vouched for by several, each with keys of its
    // own, and what the keys of one have signed is not yet what another trusts.
    private var delegated: [TrustedDelegation: Verified<Targets>] = [:]
    /// Counts the steps that take back what was trusted below them.
    private var generation = 0

    /// Starts an update in which nothing is trusted yet.
    public init(trust: RootTrust, format: WireFormat, at now: Date) {
        self.trust = trust
        self.format = format
        self.now = now
        self.expiryNow = .moment(now)
    }
}

// MARK: - Root

extension TrustedCollection {
    /// Takes the root that was trusted at the end of the last update. It may have expired meanwhile.
    /// - Throws: ``TUFError``: a stored root that does not verify is a broken or foreign cache.
    public mutating func rememberRoot(_ bytes: [UInt8]) throws {
        guard self.root == nil else { throw self.misuse("a root is already trusted") }
        self.root = try self.trust.verifyStored(try UnverifiedMetadata(bytes, format: self.format))
    }

    /// Takes a root that followed the remembered one in an earlier update. What its keys replaced was dropped then.
    /// - Throws: ``TUFError``: it was not trusted then.
    public mutating func rememberSuccessor(_ bytes: [UInt8]) throws {
        guard let old = self.root, self.timestamp == nil, self.rotatedRoles.isEmpty else {
            throw self.misuse("no remembered root is trusted, or the update has begun")
        }
        let candidate = try self.unverified(bytes, .root)
        let new = try self.trust.verify(candidate, after: old.payload, at: self.now)
        try self.requireNotOlder(new, than: old, .root)
        self.root = new
    }

    /// Takes a newer root, or the first one. Everything below the root has to come again after it.
    ///
    /// When the keys of timestamp or snapshot have changed, what was remembered of those roles no longer binds: that is how
    /// a collection recovers after a thief of the old keys has run the versions up.
    /// - Throws: ``TUFError``; see ``RootTrust/verify(_:after:at:)``.
    public mutating func updateRoot(_ bytes: [UInt8]) throws {
        guard bytes.count <= WireFormat.rootLimit else {
            throw TUFError(.tooLarge, role: .root, "has more than \(WireFormat.rootLimit) bytes")
        }
        let candidate = try self.unverified(bytes, .root)
        let new = try self.trust.verify(candidate, after: self.root?.payload, at: self.now)
        if let old = self.root {
            try self.requireNotOlder(new, than: old, .root)
            self.forget(try Self.rotated(old.payload, new.payload))
        }
        self.root = new
        self.timestamp = nil
        self.snapshot = nil
        self.dropTargets()
    }

    /// Checks that the newest root has not expired: to be called when no newer one is to be had.
    /// - Throws: ``TUFError`` with code `expired` or `order`.
    public func requireCurrentRoot() throws {
        try self.requireRoot().requireCurrent(at: self.expiryNow, role: .root)
    }

    private static func rotated(_ old: Root, _ new: Root) throws -> Set<RoleName> {
        try Set(RoleName.topLevel.filter { Set(try old.keys(of: $0).keys) != Set(try new.keys(of: $0).keys) })
    }

    private mutating func forget(_ roles: Set<RoleName>) {
        self.rotatedRoles.formUnion(roles)
        if self.isForgotten(.timestamp) { self.oldTimestamp = nil }
        if self.isForgotten(.snapshot) { self.oldSnapshot = nil }
        self.oldTargets = self.oldTargets.filter { !self.isForgotten($0.key) }
    }

    /// Whether what was trusted of a role before no longer binds: what is stored of it is to be deleted.
    public func isForgotten(_ role: RoleName) -> Bool {
        // The keys of timestamp and snapshot vouch for each other's versions, and the snapshot's for those of all targets.
        if role == .timestamp || role == .snapshot {
            return !self.rotatedRoles.isDisjoint(with: [.timestamp, .snapshot])
        }
        return self.rotatedRoles.contains(.snapshot) || self.rotatedRoles.contains(role)
    }

    private func requireRoot() throws -> Verified<Root> {
        guard let root = self.root else { throw self.misuse("no root is trusted yet") }
        return root
    }

    private func misuse(_ message: String) -> TUFError { TUFError(.order, message) }
}

// MARK: - Timestamp and snapshot

extension TrustedCollection {
    /// Takes a timestamp of an earlier update as the lowest that will do. One that the present root's keys did not sign
    /// is ignored, and so is any after a rotation of its keys.
    public mutating func rememberTimestamp(_ bytes: [UInt8]) {
        guard !self.isForgotten(.timestamp) else { return }
        self.oldTimestamp = Self.newer(
            try? self.verified(bytes, .timestamp, limit: WireFormat.timestampLimit, known: nil),
            self.oldTimestamp
        )
    }

    /// Takes a snapshot of an earlier update as the lowest that will do.
    public mutating func rememberSnapshot(_ bytes: [UInt8]) {
        guard !self.isForgotten(.snapshot) else { return }
        self.oldSnapshot = Self.newer(
            try? self.verified(bytes, .snapshot, limit: WireFormat.metadataLimit, known: nil),
            self.oldSnapshot
        )
    }

    private static func newer<Content>(
        _ candidate: Verified<Content>?,
        _ known: Verified<Content>?
    ) -> Verified<Content>? {
        guard let candidate else { return known }
        guard let known, known.payload.version >= candidate.payload.version else { return candidate }
        return known
    }

    /// Takes the current timestamp. One of the version that is already known changes nothing, whatever it says.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`, `rollback`, `expired`, `malformed` or `tooLarge`.
    public mutating func updateTimestamp(_ bytes: [UInt8]) throws {
        try self.requireCurrentRoot()
        var new = try self.verified(
            bytes,
            .timestamp,
            limit: WireFormat.timestampLimit,
            known: self.oldTimestamp
        )
        if let old = self.oldTimestamp {
            if new.payload.version == old.payload.version { new = old }
            try self.requireNotOlder(new, than: old, .timestamp)
            try self.requireNotOlder(new.payload.snapshot.version, than: old.payload.snapshot.version, .snapshot)
        }
        try new.requireCurrent(at: self.expiryNow, role: .timestamp)
        self.timestamp = new
        self.oldTimestamp = new
        self.snapshot = nil
        self.dropTargets()
    }

    /// Takes the snapshot that the timestamp lists.
    /// - Throws: ``TUFError`` with code `mismatch` (also when it lists another root than the trusted one: fetch that
    ///   first), `thresholdNotMet`, `rollback`, `expired`, `malformed` or `tooLarge`.
    public mutating func updateSnapshot(_ bytes: [UInt8]) throws {
        guard let timestamp = self.timestamp else { throw self.misuse("no timestamp is trusted yet") }
        try timestamp.payload.snapshot.verify(bytes, role: .snapshot, format: self.format)
        let new = try self.verified(bytes, .snapshot, limit: WireFormat.metadataLimit, known: self.oldSnapshot)
        try self.require(timestamp.payload.snapshot.version, is: new.payload.version, .snapshot)
        if let old = self.oldSnapshot {
            try self.requireNotOlder(new, than: old, .snapshot)
            for (name, file) in old.payload.meta {
                try self.requireNotOlder(new.payload.meta[name]?.version, than: file.version, RoleName(name))
            }
        }
        try new.requireCurrent(at: self.expiryNow, role: .snapshot)
        if self.format.snapshotListsRoot {
            try new.payload[.root]?.verify(try self.requireRoot().bytes, role: .root, format: self.format)
        }
        self.snapshot = new
        self.oldSnapshot = new
        self.dropTargets()
    }

    private mutating func dropTargets() {
        self.targets = [:]
        self.delegated = [:]
        self.generation += 1
    }

    private func verified<Content: Payload>(
        _ bytes: [UInt8],
        _ role: RoleName,
        limit: Int,
        known: Verified<Content>?
    ) throws -> Verified<Content> {
        guard bytes.count <= limit else { throw TUFError(.tooLarge, role: role, "has more than \(limit) bytes") }
        let keys = try self.requireRoot().payload.keys(of: role)
        if let known, known.covers(bytes, by: keys) { return known }
        return try self.unverified(bytes, role).verified(by: keys)
    }

    /// What is not even metadata is refused in the name of the role that it was to be.
    private func unverified(_ bytes: [UInt8], _ role: RoleName) throws -> UnverifiedMetadata {
        do {
            return try UnverifiedMetadata(bytes, format: self.format)
        } catch let error as TUFError where error.role == nil {
            throw TUFError(error.code, role: role, "is no metadata: \(error.message)")
        }
    }

    private func requireNotOlder<Content>(
        _ new: Verified<Content>,
        than known: Verified<Content>,
        _ role: RoleName
    ) throws {
        try self.requireNotOlder(new.payload.version, than: known.payload.version, role)
        guard new.payload.version > known.payload.version || new.message.isSame(as: known.message) else {
            throw TUFError(
                .rollback,
                role: role,
                "version \(new.payload.version) was trusted before with other content"
            )
        }
    }

    /// Compares versions as listed, where they are: one that was listed must go on being so.
    private func requireNotOlder(_ version: Int64?, than known: Int64?, _ role: RoleName) throws {
        guard let known else { return }
        guard let version else {
            throw TUFError(.rollback, role: role, "is no longer listed, but version \(known) was trusted before")
        }
        guard version >= known else {
            throw TUFError(
                .rollback,
                role: role,
                "version \(version) is older than version \(known), which was trusted before"
            )
        }
    }

    private func require(_ listed: Int64?, is version: Int64, _ role: RoleName) throws {
        guard let listed, listed != version else { return }
        throw TUFError(.mismatch, role: role, "has version \(version), but version \(listed) is listed")
    }
}

// MARK: - Targets and delegations

extension TrustedCollection {
    /// Takes metadata of a targets role from an earlier update as the lowest that will do. The role above it must be
    /// trusted; what that role's keys did not sign is ignored.
    public mutating func rememberTargets(_ role: RoleName, _ bytes: [UInt8]) {
        guard !self.isForgotten(role), role.listsTargets, self.isNamed(role), bytes.count <= WireFormat.metadataLimit,
            let keys = try? self.keys(of: role), let metadata = try? UnverifiedMetadata(bytes, format: self.format)
        else { return }
        self.oldTargets[role] = Self.newer(try? metadata.verified(by: keys), self.oldTargets[role])
    }

    /// Takes `targets` or a delegated role, as the snapshot lists it.
    /// - Throws: ``TUFError`` with code `notDelegated`, `mismatch`, `thresholdNotMet`, `rollback`, `expired`, `malformed` or
    ///   `tooLarge`.
    public mutating func updateTargets(_ role: RoleName, _ bytes: [UInt8]) throws {
        guard let snapshot = self.snapshot else { throw self.misuse("no snapshot is trusted yet") }
        guard role.listsTargets else { throw self.misuse("\(role) is not a targets role") }
        let new = try self.verifiedTargets(role, bytes, in: snapshot.payload) { try self.keys(of: role) }
        let old = self.oldTargets[role]
        if let old { try self.requireNotOlder(new, than: old, role) }
        try new.requireCurrent(at: self.expiryNow, role: role)
        if self.format.namesSayDelegator { try Self.requireChildren(of: role, new.payload) }
        if let old { self.forget(Self.rotated(old.payload.delegations, new.payload.delegations)) }
        // What is below was verified with keys that this role listed before.
        let below = Array((role.text + "/").utf8)
        self.targets = self.targets.filter { !$0.key.text.utf8.starts(with: below) }
        self.delegated = [:]
        self.generation += 1
        self.targets[role] = new
        self.oldTargets[role] = new
    }

    /// Metadata of a targets role that is what the snapshot lists, and that these keys have signed.
    private func verifiedTargets(
        _ role: RoleName,
        _ bytes: [UInt8],
        in snapshot: Snapshot,
        by keys: () throws -> RoleKeys
    ) throws -> Verified<Targets> {
        guard let listed = snapshot[role] else {
            throw TUFError(.notDelegated, role: role, "is not listed in the snapshot")
        }
        guard bytes.count <= WireFormat.metadataLimit else {
            throw TUFError(.tooLarge, role: role, "has more than \(WireFormat.metadataLimit) bytes")
        }
        try listed.verify(bytes, role: role, format: self.format)
        let keys = try keys()
        let known = self.oldTargets[role].flatMap { $0.covers(bytes, by: keys) ? $0 : nil }
        let new = try known ?? self.unverified(bytes, role).verified(by: keys)
        try self.require(listed.version, is: new.payload.version, role)
        return new
    }

    private static func rotated(_ old: Delegations, _ new: Delegations) -> Set<RoleName> {
        let before = Dictionary(old.roles.map { ($0.name, Set($0.definition.keyIDs)) }) { first, _ in first }
        return Set(
            new.roles.lazy.filter { before[$0.name] ?? Set($0.definition.keyIDs) != Set($0.definition.keyIDs) }.map(
                \.name
            )
        )
    }

    /// The keys that sign for a role: those of the root, or of the role that delegates to it.
    /// - Throws: ``TUFError`` with code `notDelegated` or `order` when the role above is not trusted.
    public func keys(of role: RoleName) throws -> RoleKeys {
        guard role.isDelegation else { return try self.requireRoot().payload.keys(of: role) }
        guard let parent = self.delegator(of: role), let delegator = self.targets[parent] else {
            throw TUFError(.notDelegated, role: role, "is below a role that is not trusted")
        }
        return try delegator.payload.delegations.keys(of: role)
    }

    /// What is listed of a role in the trusted metadata above it; nil when it has no metadata.
    public func listed(_ role: RoleName) -> FileMetadata? {
        role == .snapshot ? self.timestamp?.payload.snapshot : self.snapshot?.payload[role]
    }

    /// The delegation of a role, its paths cut down to those that every role above it may hold itself; nil for `targets`.
    public func delegation(of role: RoleName) throws -> DelegatedRole? {
        guard role.isDelegation else { return nil }
        guard let parent = self.delegator(of: role), let delegator = self.targets[parent],
            let delegated = delegator.payload.delegations[role]
        else { throw TUFError(.notDelegated, role: role, "is not delegated") }
        return delegated.restricted(to: try self.delegation(of: parent))
    }

    /// The role above a delegated one, where its name says which that is.
    private func delegator(of role: RoleName) -> RoleName? {
        self.format.namesSayDelegator ? role.notaryParent : nil
    }

    private func isNamed(_ role: RoleName) -> Bool {
        self.format.namesSayDelegator || !role.isDelegation
    }

    private static func requireChildren(of role: RoleName, _ targets: Targets) throws {
        for delegated in targets.delegations.roles where delegated.name.notaryParent != role {
            throw TUFError(.invalid, role: role, "delegates to \(delegated.name), which is not directly below it")
        }
    }
}

// MARK: - Delegations by their delegator

/// A targets role as one that is trusted delegates to it: its name, and the keys that count for this delegator.
///
/// Only ``DelegationSearch`` makes it, from metadata that was verified.
public struct TrustedDelegation: Sendable, Hashable {
    /// The role that is delegated to, or `targets`.
    public let role: RoleName
    /// The keys that must have signed it.
    public let keys: RoleKeys
    /// The state of the collection that it was made from.
    fileprivate let generation: Int
}

extension TrustedCollection {
    /// The delegation of a role whose name says who delegates to it.
    func delegation(to role: RoleName) throws -> TrustedDelegation {
        TrustedDelegation(role: role, keys: try self.keys(of: role), generation: self.generation)
    }

    /// A delegation that verified metadata makes.
    func delegation(to role: DelegatedRole, in delegations: Delegations) -> TrustedDelegation {
        TrustedDelegation(role: role.name, keys: delegations.keys(of: role), generation: self.generation)
    }

    /// The metadata of a role that was verified with the keys of this delegation; nil when there is none yet.
    public func targets(_ delegation: TrustedDelegation) -> Verified<Targets>? {
        self.isNamed(delegation.role) ? self.targets[delegation.role] : self.delegated[delegation]
    }

    /// Takes metadata of a role, as the snapshot lists it and as its delegator's keys have signed it.
    /// - Throws: ``TUFError`` with code `notDelegated`, `mismatch`, `thresholdNotMet`, `rollback`, `expired`, `malformed` or
    ///   `tooLarge`; `order` when the collection has changed since the delegation was found.
    public mutating func updateTargets(_ delegation: TrustedDelegation, _ bytes: [UInt8]) throws {
        let role = delegation.role
        if self.isNamed(role) { return try self.updateTargets(role, bytes) }
        guard let snapshot = self.snapshot else { throw self.misuse("no snapshot is trusted yet") }
        guard delegation.generation == self.generation else {
            throw self.misuse("\(role) was delegated by metadata that is no longer the trusted one")
        }
        let new = try self.verifiedTargets(role, bytes, in: snapshot.payload) { delegation.keys }
        try new.requireCurrent(at: self.expiryNow, role: role)
        self.delegated[delegation] = new
    }

    /// All roles that a loaded one delegates to and that have metadata, in order of priority: for who wants to know of every
    /// target. Which role a target is taken from is for ``DelegationSearch`` to say.
    public func delegations(in delegation: TrustedDelegation) -> [TrustedDelegation] {
        guard let delegations = self.targets(delegation)?.payload.delegations else { return [] }
        var roles = delegations.roles
        if let succinct = delegations.succinctRoles {
            roles = self.snapshot?.payload.meta.compactMap { succinct[RoleName($0.key)] } ?? []
        }
        return roles.filter { self.listed($0.name) != nil }.map { self.delegation(to: $0, in: delegations) }
    }

    /// The top-level targets role, as the root delegates to it.
    /// - Throws: ``TUFError`` with code `order` when no root is trusted.
    public var topLevelTargets: TrustedDelegation {
        get throws { try self.delegation(to: .targets) }
    }
}
