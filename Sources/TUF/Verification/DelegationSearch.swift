// SPDX-License-Identifier: Apache-2.0

/// Walks the roles that may hold a target, in the order in which they are asked, loading none that cannot matter.
///
/// A Notary collection is walked breadth first: a role, then its delegations in the order listed, then theirs. A delegation
/// counts only if the path is under one of its paths, and under one of each delegator's above it. A TUF repository is walked
/// depth first: a role, then its first delegation that covers the path with all that is below it, then the second; a
/// terminating one is the last.
///
/// The owner calls ``next(in:)`` until it ends, loading a role into the collection when it is told to.
public struct DelegationSearch: Sendable {
    /// What to do next.
    public enum Step: Sendable {
        /// Load this role into the collection, or skip it with ``skip(_:)``, then ask again.
        case load(TrustedDelegation)
        /// This role lists the target. Asking again goes on to roles of lower priority.
        case found(RoleName, TargetFile)
        /// No further role may hold the target.
        case end
    }

    /// The target path that is looked for.
    public let path: String

    private let start: RoleName
    private var order: Order?

    private enum Order {
        case breadthFirst(BreadthFirst)
        case depthFirst(DepthFirst)
    }

    /// Starts a search at a role: `targets` for all, or a delegated role of a Notary collection for what it and those below
    /// it hold.
    public init(for path: String, from role: RoleName = .targets) {
        self.path = path
        self.start = role
    }

    /// Leaves out a role that could not be loaded, and everything below it.
    public mutating func skip(_ delegation: TrustedDelegation) {
        switch self.order {
        case .breadthFirst(var search):
            search.skipped.insert(delegation.role)
            self.order = .breadthFirst(search)
        case .depthFirst(var search):
            search.visited.insert(delegation)
            self.order = .depthFirst(search)
        case nil: break
        }
    }

    /// The next step.
    /// - Throws: ``TUFError`` with code `tooLarge` after ``WireFormat/searchLimit`` roles, `notDelegated` when the role to
    ///   start at is not delegated, or one that may hold the target is not in the snapshot (TUF).
    public mutating func next(in collection: TrustedCollection) throws -> Step {
        switch try self.order ?? self.begin(in: collection) {
        case .breadthFirst(var search):
            defer { self.order = .breadthFirst(search) }
            return try search.next(for: self.path, in: collection)
        case .depthFirst(var search):
            defer { self.order = .depthFirst(search) }
            return try search.next(for: self.path, in: collection)
        }
    }

    private func begin(in collection: TrustedCollection) throws -> Order {
        if collection.format.namesSayDelegator { return .breadthFirst(BreadthFirst(from: self.start)) }
        return .depthFirst(DepthFirst(from: try collection.delegation(to: self.start)))
    }
}

/// Notary's order.
private struct BreadthFirst {
    /// A role that may hold the target, and the length of the shortest of its paths that lets it: none of a role below it
    /// may be shorter. It is not known yet of the role to start at.
    private struct Candidate {
        let role: RoleName
        let shortest: Int?
    }

    private var queue: [Candidate]
    private var queued: Set<RoleName>
    private var next = 0
    var skipped: Set<RoleName> = []

    init(from role: RoleName) {
        self.queue = [Candidate(role: role, shortest: nil)]
        self.queued = [role]
    }

    mutating func next(for path: String, in collection: TrustedCollection) throws -> DelegationSearch.Step {
        while self.next < self.queue.count {
            let limit = collection.format.searchLimit
            guard self.next < limit else {
                throw TUFError(.tooLarge, "more than \(limit) delegated roles for one target")
            }
            let candidate = self.queue[self.next]
            let role = candidate.role
            guard !self.skipped.contains(role), collection.listed(role) != nil,
                let shortest = try candidate.shortest
                    ?? Self.shortest(of: try collection.delegation(of: role), covering: path)
            else {
                self.next += 1
                continue
            }
            guard let targets = collection.targets[role]?.payload else {
                return .load(try collection.delegation(to: role))
            }
            self.next += 1
            for child in targets.delegations.roles {
                guard let shortest = Self.shortest(of: child, covering: path, from: shortest),
                    self.queued.insert(child.name).inserted
                else { continue }
                self.queue.append(Candidate(role: child.name, shortest: shortest))
            }
            if let file = targets.targets[path] { return .found(role, file) }
        }
        return .end
    }

    /// The length of the shortest of a role's paths that is a prefix of the target's, and no shorter than it may be; nil
    /// when the role may not hold the target. All such prefixes being prefixes of one path, lengths tell which of them
    /// are under which: that spares comparing each path with each of the role's above.
    private static func shortest(
        of delegation: DelegatedRole?,
        covering path: String,
        from minimum: Int = 0
    ) -> Int? {
        guard let delegation else { return 0 }
        return delegation.paths.lazy.filter { $0.utf8.count >= minimum && path.utf8.starts(with: $0.utf8) }
            .map(\.utf8.count).min()
    }
}

/// TUF's order (specification section 5.6.7).
private struct DepthFirst {
    private var stack: [TrustedDelegation]
    /// One role may be asked twice, by delegators that trust other keys for it.
    var visited: Set<TrustedDelegation> = []

    init(from delegation: TrustedDelegation) {
        self.stack = [delegation]
    }

    mutating func next(for path: String, in collection: TrustedCollection) throws -> DelegationSearch.Step {
        while let current = self.stack.last {
            guard !self.visited.contains(current) else {
                self.stack.removeLast()
                continue
            }
            let limit = collection.format.searchLimit
            guard self.visited.count <= limit else {
                throw TUFError(.tooLarge, "more than \(limit) delegated roles for one target")
            }
            guard collection.listed(current.role) != nil else {
                throw TUFError(.notDelegated, role: current.role, "is delegated to, but not listed in the snapshot")
            }
            guard let targets = collection.targets(current)?.payload else { return .load(current) }
            self.stack.removeLast()
            self.visited.insert(current)
            var children = targets.delegations.roles(for: path)
            if let last = children.firstIndex(where: \.isTerminating) {
                children.removeSubrange((last + 1)...)
                self.stack = []
            }
            // No more of them are asked anyway.
            self.stack += children.prefix(limit + 1).reversed().map {
                collection.delegation(to: $0, in: targets.delegations)
            }
            if let file = targets.targets[path] { return .found(current.role, file) }
        }
        return .end
    }
}
