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

    private var oldTimestamp: Verified<Timestamp>?
    private var oldSnapshot: Verified<Snapshot>?
    private var oldTargets: [RoleName: Verified<Targets>] = [:]
    private let expiryNow: Expiry

    /// Starts an update in which nothing is trusted yet.
    public init(trust: RootTrust, format: WireFormat, at now: Date) {
        self.trust = trust
        self.format = format
        self.now = now
        self.expiryNow = Expiry(now)
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

    /// Takes a newer root, or the first one. Everything below the root has to come again after it.
    ///
    /// When the keys of timestamp or snapshot have changed, what was remembered of those roles no longer binds: that is how
    /// a collection recovers after a thief of the old keys has run the versions up.
    /// - Throws: ``TUFError``; see ``RootTrust/verify(_:after:at:)``.
    public mutating func updateRoot(_ bytes: [UInt8]) throws {
        guard bytes.count <= WireFormat.rootLimit else {
            throw TUFError(.tooLarge, role: .root, "has more than \(WireFormat.rootLimit) bytes")
        }
        let candidate = try UnverifiedMetadata(bytes, format: self.format)
        let new = try self.trust.verify(candidate, after: self.root?.payload, at: self.now)
        if let old = self.root {
            if old.payload.version == new.payload.version, old.bytes != new.bytes, old.payload != new.payload {
                throw TUFError(.rollback, role: .root, "version \(new.payload.version) was trusted with other content")
            }
            try self.forgetRotated(old.payload, new.payload)
        }
        self.root = new
        self.timestamp = nil
        self.snapshot = nil
        self.targets = [:]
    }

    /// Checks that the newest root has not expired: to be called when no newer one is to be had.
    /// - Throws: ``TUFError`` with code `expired` or `order`.
    public func requireCurrentRoot() throws {
        try self.requireRoot().requireCurrent(at: self.expiryNow, role: .root)
    }

    private mutating func forgetRotated(_ old: Root, _ new: Root) throws {
        func changed(_ role: RoleName) throws -> Bool {
            Set(try old.keys(of: role).keys) != Set(try new.keys(of: role).keys)
        }
        let timestampChanged = try changed(.timestamp)
        let snapshotChanged = try changed(.snapshot)
        if timestampChanged || snapshotChanged { self.oldTimestamp = nil }
        if snapshotChanged || timestampChanged { self.oldSnapshot = nil }
        if snapshotChanged { self.oldTargets = [:] }
        if try changed(.targets) { self.oldTargets[.targets] = nil }
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
    /// is ignored, as after a rotation.
    public mutating func rememberTimestamp(_ bytes: [UInt8]) {
        self.oldTimestamp = try? self.verified(bytes, .timestamp, limit: WireFormat.timestampLimit)
    }

    /// Takes a snapshot of an earlier update as the lowest that will do.
    public mutating func rememberSnapshot(_ bytes: [UInt8]) {
        self.oldSnapshot = try? self.verified(bytes, .snapshot, limit: WireFormat.metadataLimit)
    }

    /// Takes the current timestamp. One of the version that is already known changes nothing, whatever it says.
    /// - Throws: ``TUFError`` with code `thresholdNotMet`, `rollback`, `expired`, `malformed` or `tooLarge`.
    public mutating func updateTimestamp(_ bytes: [UInt8]) throws {
        try self.requireCurrentRoot()
        var new: Verified<Timestamp> = try self.verified(bytes, .timestamp, limit: WireFormat.timestampLimit)
        if let old = self.oldTimestamp {
            try self.requireNotOlder(new.payload.version, than: old.payload.version, .timestamp)
            if new.payload.version == old.payload.version { new = old }
        }
        try new.requireCurrent(at: self.expiryNow, role: .timestamp)
        self.timestamp = new
        self.snapshot = nil
        self.targets = [:]
    }

    /// Takes the snapshot that the timestamp lists.
    /// - Throws: ``TUFError`` with code `mismatch` (also when it lists another root than the trusted one: fetch that
    ///   first), `thresholdNotMet`, `rollback`, `expired`, `malformed` or `tooLarge`.
    public mutating func updateSnapshot(_ bytes: [UInt8]) throws {
        guard let timestamp = self.timestamp else { throw self.misuse("no timestamp is trusted yet") }
        try timestamp.payload.snapshot.verify(bytes, role: .snapshot)
        let new: Verified<Snapshot> = try self.verified(bytes, .snapshot, limit: WireFormat.metadataLimit)
        if let old = self.oldSnapshot {
            try self.requireNotOlder(new.payload.version, than: old.payload.version, .snapshot)
            guard new.payload.version > old.payload.version || new.payload == old.payload else {
                throw TUFError(.rollback, role: .snapshot, "version \(new.payload.version) was seen with other content")
            }
        }
        try new.requireCurrent(at: self.expiryNow, role: .snapshot)
        try new.payload[.root]?.verify(try self.requireRoot().bytes, role: .root)
        self.snapshot = new
        self.targets = [:]
    }

    private func verified<Content: Payload>(
        _ bytes: [UInt8],
        _ role: RoleName,
        limit: Int
    ) throws -> Verified<Content> {
        guard bytes.count <= limit else { throw TUFError(.tooLarge, role: role, "has more than \(limit) bytes") }
        return try UnverifiedMetadata(bytes, format: self.format).verified(
            by: try self.requireRoot().payload.keys(of: role)
        )
    }

    private func requireNotOlder(_ version: Int64, than known: Int64, _ role: RoleName) throws {
        guard version >= known else {
            throw TUFError(
                .rollback,
                role: role,
                "version \(version) is older than version \(known), which was trusted before"
            )
        }
    }
}

// MARK: - Targets and delegations

extension TrustedCollection {
    /// Takes metadata of a targets role from an earlier update as the lowest that will do. The role above it must be
    /// trusted; what that role's keys did not sign is ignored.
    public mutating func rememberTargets(_ role: RoleName, _ bytes: [UInt8]) {
        guard let keys = try? self.keys(of: role), let metadata = try? UnverifiedMetadata(bytes, format: self.format)
        else { return }
        self.oldTargets[role] = try? metadata.verified(by: keys)
    }

    /// Takes `targets` or a delegated role, as the snapshot lists it.
    /// - Throws: ``TUFError`` with code `notDelegated`, `mismatch`, `thresholdNotMet`, `rollback`, `expired`, `malformed` or
    ///   `tooLarge`.
    public mutating func updateTargets(_ role: RoleName, _ bytes: [UInt8]) throws {
        guard let snapshot = self.snapshot else { throw self.misuse("no snapshot is trusted yet") }
        guard let listed = snapshot.payload[role] else {
            throw TUFError(.notDelegated, role: role, "is not listed in the snapshot")
        }
        try listed.verify(bytes, role: role)
        let keys = try self.keys(of: role)
        let new: Verified<Targets> = try UnverifiedMetadata(bytes, format: self.format).verified(by: keys)
        if let old = self.oldTargets[role] {
            try self.requireNotOlder(new.payload.version, than: old.payload.version, role)
            guard new.payload.version > old.payload.version || new.payload == old.payload else {
                throw TUFError(.rollback, role: role, "version \(new.payload.version) was seen with other content")
            }
        }
        try new.requireCurrent(at: self.expiryNow, role: role)
        try Self.requireChildren(of: role, new.payload)
        self.targets[role] = new
    }

    /// The keys that sign for a role: those of the root, or of the role that delegates to it.
    /// - Throws: ``TUFError`` with code `notDelegated` or `order` when the role above is not trusted.
    public func keys(of role: RoleName) throws -> RoleKeys {
        guard role.isDelegation else { return try self.requireRoot().payload.keys(of: role) }
        guard let parent = role.notaryParent, let delegator = self.targets[parent] else {
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
        guard let parent = role.notaryParent, let delegator = self.targets[parent],
            let delegated = delegator.payload.delegations[role]
        else { throw TUFError(.notDelegated, role: role, "is not delegated") }
        return delegated.restricted(to: try self.delegation(of: parent))
    }

    private static func requireChildren(of role: RoleName, _ targets: Targets) throws {
        for delegated in targets.delegations.roles where delegated.name.notaryParent != role {
            throw TUFError(.invalid, role: role, "delegates to \(delegated.name), which is not directly below it")
        }
    }
}
