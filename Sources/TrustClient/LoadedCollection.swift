// SPDX-License-Identifier: Apache-2.0

package import NotaryAPI
package import TUF

/// A collection as it was verified at one moment. Delegated roles are loaded from cache or server as they are needed.
package struct LoadedCollection: Sendable {
    private var state: CollectionUpdate
    private var skipped: Set<RoleName> = []

    init(_ state: CollectionUpdate) {
        self.state = state
    }

    /// The collection's name.
    package var gun: GUN { self.state.client.gun }
    /// What is trusted of it.
    package var trusted: TrustedCollection { self.state.trusted }
    /// What a reader should know.
    package var warnings: [CollectionWarning] { self.state.warnings }
    /// Which root keys have become trusted just now; nil for a collection that was known.
    package var firstUse: FirstUse? { self.state.firstUse }

    /// How current this is.
    package var freshness: Freshness? {
        self.trusted.timestamp.map {
            Freshness(version: $0.payload.version, expires: $0.payload.expires, isFromServer: self.state.offline == nil)
        }
    }

    /// Why the server could not be asked; nil when this is what it said just now.
    package var offline: TrustClientError? { self.state.offline }

    /// Metadata of a role as the snapshot lists it, whoever has signed it; nil when none is listed.
    package func listedBytes(of role: RoleName) async throws -> [UInt8]? {
        try await self.state.listedBytes(of: role)
    }

    /// The ids of the keys of a top-level role, as the root names them.
    package func keyIDs(of role: RoleName) -> [KeyID] {
        self.trusted.root?.payload.roles[role]?.keyIDs ?? []
    }
}

/// A target, and who says so.
package struct FoundTarget: Sendable, Hashable {
    /// The target's path.
    package let name: String
    /// Which bytes it names.
    package let file: TargetFile
    /// The role that lists it.
    package let role: RoleName

    /// Makes one.
    package init(name: String, file: TargetFile, role: RoleName) {
        self.name = name
        self.file = file
        self.role = role
    }
}

/// A delegated role and its keys.
package struct DelegationInfo: Sendable, Hashable {
    /// Name, threshold and paths as its delegator has them.
    package let role: DelegatedRole
    /// Its keys as they are listed.
    package let keys: [PublicKey]

    /// The canonical ids of its keys, in the order in which they are listed; of one that cannot be read the id that it is listed by.
    package var canonicalKeyIDs: [KeyID] {
        self.role.definition.keyIDs.map { id in
            self.keys.first { $0.id == id }.flatMap { try? $0.canonicalID } ?? id
        }
    }
}

/// Somebody who signs tags (Docker): a delegation directly below `targets` other than `targets/releases`.
package struct NamedSigner: Sendable, Hashable {
    /// The part of the role's name after `targets/`.
    package let name: String
    /// The canonical ids of their keys.
    package let keyIDs: [KeyID]
}

extension RoleName {
    /// The role in which Docker keeps the tags that are to be used.
    package static let releases = RoleName("targets/releases")
}

// MARK: - Looking up

extension LoadedCollection {
    /// Looks a target up as `notary` does: through the subtree of each role in turn.
    /// - Returns: nil when none of them has it.
    /// - Throws: ``TrustClientError`` when metadata that it needs cannot be had or must not be trusted.
    package mutating func lookup(_ name: String, in roles: [RoleName] = [.targets]) async throws -> FoundTarget? {
        for role in roles {
            if let found = try await self.search(name, from: role) { return found }
        }
        return nil
    }

    /// Looks a tag up as Docker does: in `targets/releases` and below it, then in all; accepted only when it is found in exactly
    /// `targets/releases` or `targets`.
    /// - Throws: ``TrustClientError`` with code `notSigned` when it is found nowhere, or in another role.
    package mutating func lookupReleased(_ name: String) async throws -> FoundTarget {
        guard let found = try await self.lookup(name, in: [.releases, .targets]) else {
            throw self.notSigned(name)
        }
        guard found.role == .releases || found.role == .targets else {
            throw TrustClientError(
                .notSigned,
                "no trust data for \(name) in \(self.gun): it is signed by \(found.role) only, and counts once it is in "
                    + "\(RoleName.releases) or targets"
            )
        }
        return found
    }

    /// That nobody who may has signed a name; and which roles might have, that were left out.
    package func notSigned(_ name: String) -> TrustClientError {
        let skipped = self.warnings.filter { if case .delegationSkipped = $0 { true } else { false } }
        let reasons = ["nobody who may has signed it"] + skipped.map(\.description)
        return TrustClientError(
            .notSigned,
            "no valid trust data for \(name) in \(self.gun): \(reasons.joined(separator: "; "))"
        )
    }

    private mutating func search(_ name: String, from start: RoleName) async throws -> FoundTarget? {
        try await self.reporting { view in
            guard try await view.open(start) else { return nil }
            var search = DelegationSearch(for: name, from: start)
            while true {
                switch try search.next(in: view.state.trusted) {
                case .found(let role, let file): return FoundTarget(name: name, file: file, role: role)
                case .load(let delegation): if try await !view.load(delegation.role) { search.skip(delegation) }
                case .end: return nil
                }
            }
        }
    }

    /// All targets of the subtrees of these roles, each name once: from the role that is asked first. Sorted by name.
    package mutating func list(_ roles: [RoleName] = [.targets]) async throws -> [FoundTarget] {
        var found = ByteOrderedMap<FoundTarget>()
        for role in roles {
            for target in try await self.entries(of: role) where found[target.name] == nil {
                found[target.name] = target
            }
        }
        return found.values
    }

    /// The tags that Docker would pull: those listed by `targets/releases`, then by `targets`, no other role.
    package mutating func listReleased() async throws -> [FoundTarget] {
        try await self.list([.releases, .targets]).filter { $0.role == .releases || $0.role == .targets }
    }

    /// Every target of every role of a subtree, in the order in which the roles are asked; a name occurs once for each role that
    /// lists it and may.
    package mutating func entries(of start: RoleName = .targets) async throws -> [FoundTarget] {
        try await self.reporting { view in
            var found: [FoundTarget] = []
            try await view.walk(from: start) { role, delegation, targets in
                for (name, file) in targets.targets where delegation?.covers(name) ?? true {
                    found.append(FoundTarget(name: name, file: file, role: role))
                }
            }
            return found
        }
    }

    /// All delegations, each after the one above it.
    package mutating func delegations() async throws -> [DelegationInfo] {
        try await self.reporting { view in
            var found: [DelegationInfo] = []
            try await view.walk(from: .targets) { _, _, targets in
                for role in targets.delegations.roles {
                    let keys = (try? targets.delegations.keys(of: role.name).keys) ?? []
                    found.append(DelegationInfo(role: role, keys: keys))
                }
            }
            return found
        }
    }

    /// The people who sign tags (Docker).
    package var signers: [NamedSigner] {
        let delegations = self.trusted.targets[.targets]?.payload.delegations ?? Delegations()
        return delegations.roles.filter { $0.name != .releases && $0.name.notaryParent == .targets }.map { role in
            let keys = (try? delegations.keys(of: role.name).keys) ?? []
            return NamedSigner(
                name: String(role.name.text.dropFirst("targets/".count)),
                keyIDs: keys.map { (try? $0.canonicalID) ?? $0.id }
            )
        }
    }
}

// MARK: - Loading

extension LoadedCollection {
    /// Loads a role and those above it.
    /// - Returns: false when it is not delegated, has no metadata, or is left out.
    mutating func open(_ role: RoleName) async throws -> Bool {
        guard role.isDelegation else { return role == .targets }
        guard let parent = role.notaryParent, try await self.openParent(parent),
            self.trusted.targets[parent]?.payload.delegations[role] != nil
        else { return false }
        return try await self.load(role)
    }

    private mutating func openParent(_ parent: RoleName) async throws -> Bool {
        // By component and not by recursion: a name is at most 255 bytes, but it comes from outside.
        var path = RoleName.targets
        for component in parent.text.split(separator: "/").dropFirst() {
            let next = RoleName("\(path.text)/\(component)")
            guard self.trusted.targets[path]?.payload.delegations[next] != nil, try await self.load(next) else {
                return false
            }
            path = next
        }
        return path == parent
    }

    /// Loads a role whose delegator is loaded. One that has expired or lacks signatures is left out with a warning.
    mutating func load(_ role: RoleName) async throws -> Bool {
        guard !self.skipped.contains(role), self.trusted.listed(role) != nil else { return false }
        do {
            try await self.state.loadTargets(role)
            return true
        } catch let error as TUFError where error.code == .expired || error.code == .thresholdNotMet {
            self.skipped.insert(role)
            self.state.warn(.delegationSkipped(role, reason: error.message))
            return false
        }
    }

    /// Visits the roles of a subtree, breadth first, with the delegation that bounds each.
    mutating func walk(
        from start: RoleName,
        _ visit: (RoleName, DelegatedRole?, Targets) throws -> Void
    ) async throws {
        guard try await self.open(start) else { return }
        var queue = [start]
        var next = 0
        while next < queue.count {
            guard next < WireFormat.delegationLimit else {
                throw TUFError(.tooLarge, "more than \(WireFormat.delegationLimit) delegated roles")
            }
            let role = queue[next]
            next += 1
            if role != start, try await !self.load(role) { continue }
            guard let targets = self.trusted.targets[role]?.payload else { continue }
            try visit(role, try self.trusted.delegation(of: role), targets)
            queue += targets.delegations.roles.map(\.name)
        }
    }

    private mutating func reporting<Result>(
        _ body: (inout LoadedCollection) async throws -> Result
    ) async throws -> Result {
        do {
            return try await body(&self)
        } catch let error as TUFError {
            throw TrustClientError(error, context: self.gun.text)
        }
    }
}
