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

    private var queue: [RoleName]
    private var queued: Set<RoleName>
    private var next = 0
    private var skipped: Set<RoleName> = []

    /// Starts a search at a role: `targets` for all, or a delegated role for what it and those below it hold.
    public init(for path: String, from role: RoleName = .targets) {
        self.path = path
        self.queue = [role]
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
            let role = self.queue[self.next]
            if self.skipped.contains(role) || collection.listed(role) == nil {
                self.next += 1
                continue
            }
            let delegation = try collection.delegation(of: role)
            guard delegation?.covers(self.path) ?? true else {
                self.next += 1
                continue
            }
            guard let targets = collection.targets[role]?.payload else { return .load(role) }
            self.next += 1
            for child in targets.delegations.roles where child.restricted(to: delegation).covers(self.path) {
                if self.queued.insert(child.name).inserted { self.queue.append(child.name) }
            }
            if let file = targets.targets[self.path] { return .found(role, file) }
        }
        return .end
    }
}
