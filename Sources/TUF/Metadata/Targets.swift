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
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

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
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

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
    /// The roles that share all paths out by their hash, in place of ``roles`` (TUF only).
    public var succinctRoles: SuccinctRoles?
    /// Members that this version does not know.
    public var additionalMembers: ByteOrderedMap<JSONValue> = ByteOrderedMap()

    /// Makes delegations; none by default.
    public init(keys: ByteOrderedMap<PublicKey> = [:], roles: [DelegatedRole] = []) {
        self.keys = keys
        self.roles = roles
    }

    /// The role of a name.
    public subscript(name: RoleName) -> DelegatedRole? {
        self.succinctRoles?[name] ?? self.roles.first { $0.name == name }
    }

    /// The roles that may hold a path, in order of priority.
    public func roles(for path: String) -> [DelegatedRole] {
        if let succinct = self.succinctRoles { return [succinct.role(for: path)] }
        let digest = self.roles.contains { $0.matching == .hashPrefixes } ? PathHash.digest(path) : []
        let hash = Hexadecimal.encode(digest)
        return self.roles.filter { $0.covers(path, hash: hash) }
    }

    /// The keys and threshold of a delegated role.
    /// - Throws: ``TUFError`` with code `notDelegated` when there is no such role here.
    public func keys(of role: RoleName) throws -> RoleKeys {
        guard let delegated = self[role] else { throw TUFError(.notDelegated, role: role, "is not delegated") }
        return self.keys(of: delegated)
    }

    /// The keys and threshold of one of these roles.
    func keys(of delegated: DelegatedRole) -> RoleKeys {
        RoleKeys(role: delegated.name, definition: delegated.definition, keys: self.keys)
    }
}

/// A role that is trusted with some paths.
public struct DelegatedRole: Sendable, Hashable {
    /// The role's name.
    public var name: RoleName
    /// Who signs for it.
    public var definition: RoleDefinition
    /// The paths it may hold, as ``matching`` says.
    public var paths: [String]
    /// What the paths say.
    public var matching: PathMatching
    /// Whether a path that this role may hold is looked for in no role of lower priority (TUF only).
    public var isTerminating: Bool

    /// Makes a delegation.
    public init(
        name: RoleName,
        definition: RoleDefinition,
        paths: [String],
        matching: PathMatching = .prefixes,
        isTerminating: Bool = false
    ) {
        self.name = name
        self.definition = definition
        self.paths = paths
        self.matching = matching
        self.isTerminating = isTerminating
    }

    /// Whether the role may hold a target of this path.
    public func covers(_ path: String) -> Bool {
        self.covers(path, hash: self.matching == .hashPrefixes ? Hexadecimal.encode(PathHash.digest(path)) : "")
    }

    fileprivate func covers(_ path: String, hash: String) -> Bool {
        switch self.matching {
        case .prefixes: self.paths.contains { path.utf8.starts(with: $0.utf8) }
        case .patterns: self.paths.contains { PathPattern($0).matches(path) }
        case .hashPrefixes: self.paths.contains { hash.utf8.starts(with: $0.utf8) }
        }
    }

    /// This role with only those of its paths, which are prefixes, that its delegator may hold itself; all of them under
    /// `targets`.
    public func restricted(to delegator: DelegatedRole?) -> DelegatedRole {
        guard let delegator else { return self }
        let prefixes = PathPrefixes(delegator.paths)
        var copy = self
        copy.paths = self.paths.filter { prefixes.cover($0) }
        return copy
    }

    /// Equality of bytes, in names and paths.
    public static func == (left: DelegatedRole, right: DelegatedRole) -> Bool {
        left.name == right.name && left.definition == right.definition && left.matching == right.matching
            && left.isTerminating == right.isTerminating
            && left.paths.elementsEqual(right.paths) { $0.utf8.elementsEqual($1.utf8) }
    }
}
