// SPDX-License-Identifier: Apache-2.0

/// A role that names content, and may delegate names to other roles.
public struct Targets: Payload {
    /// Counts up with each new metadata of the role.
    public var version: Int64
    /// When this metadata stops being trusted.
    public var expires: Expiry
    /// The content by target path.
    public var targets: TargetMap
    /// The roles that this one trusts with some of its paths, first come first asked.
    public var delegations: Delegations
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = [:]

    /// Makes a targets role.
    public init(
        version: Int64,
        expires: Expiry,
        targets: TargetMap = [:],
        delegations: Delegations = Delegations()
    ) {
        self.version = version
        self.expires = expires
        self.targets = targets
        self.delegations = delegations
    }
}

/// One target: which bytes its path names.
public struct TargetFile: Sendable, Hashable {
    /// The size in bytes.
    public var length: Int64
    /// The hashes of the content.
    public var hashes: Hashes
    /// Whatever the publisher says of it.
    public var custom: JSONValue?
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = [:]

    /// Makes a target.
    public init(length: Int64, hashes: Hashes, custom: JSONValue? = nil) {
        self.length = length
        self.hashes = hashes
        self.custom = custom
    }
}

/// The delegations of one targets role.
public struct Delegations: Sendable, Hashable {
    /// The keys of all delegated roles, by the id they are listed under.
    public var keys: ByteOrderedMap<PublicKey>
    /// The delegated roles in order of priority.
    public var roles: [DelegatedRole]
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = [:]

    /// Makes delegations; none by default.
    public init(keys: ByteOrderedMap<PublicKey> = [:], roles: [DelegatedRole] = []) {
        self.keys = keys
        self.roles = roles
    }

    /// The role of a name.
    public subscript(name: RoleName) -> DelegatedRole? {
        self.roles.first { $0.name == name }
    }

    /// The keys and threshold of a delegated role.
    /// - Throws: ``TUFError`` with code `notDelegated` when there is no such role here.
    public func keys(of role: RoleName) throws -> RoleKeys {
        guard let delegated = self[role] else { throw TUFError(.notDelegated, role: role, "is not delegated") }
        return RoleKeys(role: role, definition: delegated.definition, keys: self.keys)
    }
}

/// A role that is trusted with some paths.
public struct DelegatedRole: Sendable, Hashable {
    /// The role's name.
    public var name: RoleName
    /// Who signs for it.
    public var definition: RoleDefinition
    /// The paths it may hold: prefixes in a Notary collection, where the empty one covers all.
    public var paths: [String]

    /// Makes a delegation.
    public init(name: RoleName, definition: RoleDefinition, paths: [String]) {
        self.name = name
        self.definition = definition
        self.paths = paths
    }

    /// Whether the role may hold a target of this path (Notary: by prefix of bytes).
    public func covers(_ path: String) -> Bool {
        self.paths.contains { path.utf8.starts(with: $0.utf8) }
    }

    /// This role with only those of its paths that its delegator may hold itself; all of them under `targets`.
    public func restricted(to delegator: DelegatedRole?) -> DelegatedRole {
        guard let delegator else { return self }
        let prefixes = PathPrefixes(delegator.paths)
        var copy = self
        copy.paths = self.paths.filter { prefixes.cover($0) }
        return copy
    }

    /// Equality of bytes, in names and paths.
    public static func == (left: DelegatedRole, right: DelegatedRole) -> Bool {
        left.name == right.name && left.definition == right.definition
            && left.paths.elementsEqual(right.paths) { $0.utf8.elementsEqual($1.utf8) }
    }
}
