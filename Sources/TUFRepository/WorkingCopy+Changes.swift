// SPDX-License-Identifier: Apache-2.0

import TUF

extension WorkingCopy {
    /// The most bins that one delegation may have.
    private static let binLimit = 1 << 16

    /// Makes a staged change. One that changes nothing leaves everything as it is.
    /// - Throws: ``RepositoryError`` with code `invalid` or `notFound`.
    mutating func apply(_ change: StagedChange) throws {
        switch change {
        case .addTarget(let path, let file, let role):
            try RepositoryLayout.check(targetPath: path)
            try self.edit(try role ?? self.role(for: path)) {
                guard $0.targets[path] != file else { return false }
                $0.targets[path] = file
                return true
            }
        case .removeTarget(let path, let role):
            try self.edit(try role ?? self.role(for: path)) {
                guard $0.targets[path] != nil else { return false }
                $0.targets[path] = nil
                return true
            }
        case .delegate(let edit): try self.delegate(edit)
        case .removeDelegation(let role): try self.removeDelegation(role)
        case .bins(let edit): try self.makeBins(edit)
        case .keys(let edit): try self.changeKeys(edit)
        case .renew(let role):
            guard try role == .root || [.snapshot, .timestamp].contains(role) || self.targets(role) != nil else {
                throw RepositoryError(.notFound, "there is no role \(role)")
            }
            self.renewed.insert(role)
        }
    }

    /// The role that a target goes to when nobody says: the one that lists it, else the bin for its path, else `targets`.
    mutating func role(for path: String) throws -> RoleName {
        guard let top = try self.targets(.targets) else { return .targets }
        guard top.targets[path] == nil, let first = top.delegations.roles(for: path).first,
            first.matching == .hashPrefixes
        else { return .targets }
        return first.name
    }

    /// Changes a role that lists targets.
    /// - Parameter body: returns whether it changes anything.
    private mutating func edit(_ role: RoleName, _ body: (inout Targets) throws -> Bool) throws {
        // Taken out while it changes: a second reference would make each change copy all that came before it.
        if var targets = self.edited.removeValue(forKey: role) {
            defer { self.edited[role] = targets }
            _ = try body(&targets)
            return
        }
        guard var targets = try self.published(role)?.payload else {
            throw RepositoryError(.notFound, "there is no role \(role): delegate to it first")
        }
        if try body(&targets) { self.edited[role] = targets }
    }

    private mutating func editDelegations(of role: RoleName, _ body: (inout Delegations) throws -> Void) throws {
        try self.edit(role) {
            var delegations = $0.delegations
            try body(&delegations)
            guard delegations != $0.delegations else { return false }
            $0.delegations = delegations
            return true
        }
        self.forgetTables()
    }

    /// Gives a delegated role its first metadata.
    private mutating func ensureMetadata(of role: RoleName) throws {
        guard try self.targets(role) == nil else { return }
        self.edited[role] = Targets(version: 1, expires: self.expiry(role))
    }
}

// MARK: - Delegations

extension WorkingCopy {
    private mutating func delegate(_ edit: StagedChange.DelegationEdit) throws {
        try RepositoryLayout.check(delegatedRole: edit.role)
        let known = try self.delegation(of: edit.role)?.delegator
        if let known, let wanted = edit.delegator, known != wanted {
            throw RepositoryError(.invalid, "\(known) delegates to \(edit.role) already: choose another name")
        }
        try self.editDelegations(of: known ?? edit.delegator ?? .targets) { delegations in
            guard delegations.succinctRoles == nil else {
                throw RepositoryError(.invalid, "succinct roles leave no room for other delegations of the same role")
            }
            let index = delegations.roles.firstIndex { $0.name == edit.role }
            var role =
                index.map { delegations.roles[$0] }
                ?? DelegatedRole(
                    name: edit.role,
                    definition: RoleDefinition(keyIDs: []),
                    paths: [],
                    matching: .patterns
                )
            try Self.change(&role, by: edit)
            for key in edit.addKeys { delegations.keys[key.id.text] = key }
            if let index { delegations.roles[index] = role } else { delegations.roles.append(role) }
            Self.prune(&delegations)
        }
        try self.ensureMetadata(of: edit.role)
    }

    private static func change(_ role: inout DelegatedRole, by edit: StagedChange.DelegationEdit) throws {
        self.change(&role.definition, add: edit.addKeys, remove: edit.removeKeys)
        if let threshold = edit.threshold { role.definition.threshold = threshold }
        if let isByHash = edit.isByHash {
            let matching: PathMatching = isByHash ? .hashPrefixes : .patterns
            guard role.matching == matching || role.paths.allSatisfy(edit.removePaths.contains) else {
                throw RepositoryError(
                    .invalid,
                    "\(role.name) has paths of the other kind: remove them in the same change"
                )
            }
            role.matching = matching
        }
        if let isTerminating = edit.isTerminating { role.isTerminating = isTerminating }
        role.paths.removeAll { edit.removePaths.contains($0) }
        role.paths += edit.addPaths.filter { !role.paths.contains($0) }
        guard !role.paths.isEmpty else {
            throw RepositoryError(.invalid, "\(role.name) needs a path: without one it can hold no target")
        }
        if role.matching == .hashPrefixes {
            for prefix in role.paths where !self.isHashPrefix(prefix) {
                throw RepositoryError(
                    .invalid,
                    "\(prefix.prefix(80)) is no hash prefix: use digits 0-9 and a-f, at most 64"
                )
            }
        }
        try self.check(role.definition, of: role.name)
    }

    private static func isHashPrefix(_ text: String) -> Bool {
        text.utf8.count <= 64
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private static func change(_ definition: inout RoleDefinition, add: [PublicKey], remove: [KeyID]) {
        definition.keyIDs.removeAll { remove.contains($0) }
        for key in add where !definition.keyIDs.contains(key.id) { definition.keyIDs.append(key.id) }
    }

    private static func check(_ definition: RoleDefinition, of role: RoleName) throws {
        guard definition.threshold >= 1, definition.threshold <= Int64(definition.keyIDs.count) else {
            throw RepositoryError(
                .invalid,
                "\(role) would need \(definition.threshold) signatures of \(definition.keyIDs.count) keys: a threshold is 1 or "
                    + "more, and no more than the role has keys"
            )
        }
    }

    private static func prune(_ delegations: inout Delegations) {
        let used = Set(
            delegations.roles.flatMap(\.definition.keyIDs) + (delegations.succinctRoles?.definition.keyIDs ?? [])
        )
        delegations.keys = delegations.keys.filter { used.contains(KeyID($0.key)) }
    }

    private mutating func removeDelegation(_ role: RoleName) throws {
        // A change that was published before a crash comes again.
        guard let delegator = try self.delegation(of: role)?.delegator else { return }
        try self.editDelegations(of: delegator) { delegations in
            guard delegations.succinctRoles == nil else {
                throw RepositoryError(.invalid, "\(role) is one of the bins, which are needed all")
            }
            delegations.roles.removeAll { $0.name == role }
            Self.prune(&delegations)
        }
        self.edited[role] = nil
    }

    private mutating func makeBins(_ edit: StagedChange.BinsEdit) throws {
        guard edit.count.nonzeroBitCount == 1, (2...Self.binLimit).contains(edit.count) else {
            throw RepositoryError(.invalid, "the number of bins must be a power of two from 2 to \(Self.binLimit)")
        }
        let definition = RoleDefinition(keyIDs: edit.keys.map(\.id), threshold: edit.threshold)
        try Self.check(definition, of: RoleName(edit.prefix))
        try RepositoryLayout.check(delegatedRole: RoleName(edit.prefix + "-0"))
        guard let top = try self.targets(.targets),
            let bins = SuccinctRoles(
                definition: definition,
                bitLength: edit.count.trailingZeroBitCount,
                namePrefix: edit.prefix
            )
        else { throw RepositoryError(.invalid, "there is no repository to make bins in yet") }
        let names = (0..<edit.count).map { bins.name($0) }
        if top.delegations[names[0]] != nil { return }
        guard top.delegations.succinctRoles == nil, !edit.isSuccinct || top.delegations.roles.isEmpty,
            !top.delegations.roles.contains(where: { $0.matching == .hashPrefixes })
        else {
            throw RepositoryError(
                .invalid,
                "targets delegates already in a way that leaves no room for bins: remove those delegations first"
            )
        }
        try self.edit(.targets) { targets in
            for key in edit.keys { targets.delegations.keys[key.id.text] = key }
            if edit.isSuccinct {
                targets.delegations.succinctRoles = bins
            } else {
                targets.delegations.roles += names.compactMap { bins[$0] }
            }
            return true
        }
        self.forgetTables()
        for name in names { try self.ensureMetadata(of: name) }
        // What there is moves with its paths.
        for (path, file) in top.targets {
            self.edited[bins.role(for: path).name]?.targets[path] = file
        }
        self.edited[.targets]?.targets = [:]
    }
}

// MARK: - Keys

extension WorkingCopy {
    private mutating func changeKeys(_ edit: StagedChange.KeysEdit) throws {
        guard RoleName.topLevel.contains(edit.role) else { return try self.changeDelegatedKeys(edit) }
        guard var root = self.root, var definition = root.roles[edit.role] else {
            throw RepositoryError(.incomplete, "there is no root yet")
        }
        try Self.change(&definition, by: edit)
        for key in edit.add { root.keys[key.id.text] = key }
        root.roles[edit.role] = definition
        let used = Set(root.roles.values.flatMap(\.keyIDs))
        root.keys = root.keys.filter { used.contains(KeyID($0.key)) }
        self.root = root
    }

    private static func change(_ definition: inout RoleDefinition, by edit: StagedChange.KeysEdit) throws {
        let remove =
            edit.replacesAll ? definition.keyIDs.filter { id in !edit.add.contains { $0.id == id } } : edit.remove
        self.change(&definition, add: edit.add, remove: remove)
        if let threshold = edit.threshold { definition.threshold = threshold }
        try self.check(definition, of: edit.role)
    }

    /// Of a delegated role, or of all bins whose names begin with the role's and a hyphen.
    private mutating func changeDelegatedKeys(_ edit: StagedChange.KeysEdit) throws {
        let delegator = try self.delegation(of: edit.role)?.delegator ?? .targets
        var found = false
        try self.editDelegations(of: delegator) { delegations in
            for key in edit.add { delegations.keys[key.id.text] = key }
            if var bins = delegations.succinctRoles, bins.namePrefix == edit.role.text || bins[edit.role] != nil {
                try Self.change(&bins.definition, by: edit)
                delegations.succinctRoles = bins
                found = true
            }
            for index in delegations.roles.indices {
                let role = delegations.roles[index]
                let isBin = role.matching == .hashPrefixes && role.name.text.hasPrefix("\(edit.role)-")
                guard role.name == edit.role || isBin else { continue }
                try Self.change(&delegations.roles[index].definition, by: edit)
                found = true
            }
            Self.prune(&delegations)
        }
        guard found else { throw RepositoryError(.notFound, "no role delegates to \(edit.role)") }
    }
}
