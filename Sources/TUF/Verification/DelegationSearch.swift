// SPDX-License-Identifier: Apache-2.0

/// Walks the roles that may hold a target, in the order in which they are asked, loading none that cannot matter.
///
/// Notary's order is breadth first: a role, then its delegations in the order listed, then theirs. A delegation counts only
/// if the path is under one of its paths, and under one of each delegator's above it.
///
/// The owner calls ``next(in:)`` until it ends, loading a role into the collection when it is told to.
public struct DelegationSearch: Sendable {
    /// What to do next.
    public enum Step: Sendable {
        /// Load this role into the collection, or skip it with ``skip(_:)``, then ask again.
        case load(RoleName)
        /// This role lists the target. Asking again goes on to roles of lower priority.
        case found(RoleName, TargetFile)
        /// No further role may hold the target.
        case end
    }

    /// The target path that is looked for.
    public let path: String

    /// A role that may hold the target, and the length of the shortest of its paths that lets it: none of a role below it
    /// may be shorter. It is not known yet of the role to start at.
    private struct Candidate {
        let role: RoleName
        let shortest: Int?
    }

    private var queue: [Candidate]
    private var queued: Set<RoleName>
    private var next = 0
    private var skipped: Set<RoleName> = []

    /// Starts a search at a role: `targets` for all, or a delegated role for what it and those below it hold.
    public init(for path: String, from role: RoleName = .targets) {
        self.path = path
        self.queue = [Candidate(role: role, shortest: nil)]
        self.queued = [role]
    }

    /// Leaves out a role that could not be loaded, and everything below it.
    public mutating func skip(_ role: RoleName) {
        self.skipped.insert(role)
    }

    /// The next step.
    /// - Throws: ``TUFError`` with code `tooLarge` after ``WireFormat/delegationLimit`` roles, `notDelegated` when the role to
    ///   start at is not delegated.
    public mutating func next(in collection: TrustedCollection) throws -> Step {
        while self.next < self.queue.count {
            guard self.next < WireFormat.delegationLimit else {
                throw TUFError(.tooLarge, "more than \(WireFormat.delegationLimit) delegated roles for one target")
            }
            let candidate = self.queue[self.next]
            let role = candidate.role
            guard !self.skipped.contains(role), collection.listed(role) != nil,
                let shortest = try candidate.shortest ?? self.shortest(of: try collection.delegation(of: role))
            else {
                self.next += 1
                continue
            }
            guard let targets = collection.targets[role]?.payload else { return .load(role) }
            self.next += 1
            for child in targets.delegations.roles {
                guard let shortest = self.shortest(of: child, from: shortest),
                    self.queued.insert(child.name).inserted
                else { continue }
                self.queue.append(Candidate(role: child.name, shortest: shortest))
            }
            if let file = targets.targets[self.path] { return .found(role, file) }
        }
        return .end
    }

    /// The length of the shortest of a role's paths that is a prefix of the target's, and no shorter than it may be; nil
    /// when the role may not hold the target. All such prefixes being prefixes of one path, lengths tell which of them
    /// are under which: that spares comparing each path with each of the role's above.
    private func shortest(of delegation: DelegatedRole?, from minimum: Int = 0) -> Int? {
        guard let delegation else { return 0 }
        return delegation.paths.lazy.filter { $0.utf8.count >= minimum && self.path.utf8.starts(with: $0.utf8) }
            .map(\.utf8.count).min()
    }
}
