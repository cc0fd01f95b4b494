// SPDX-License-Identifier: Apache-2.0

import Ceremony
import FoundationEssentials
import TUF

/// Reads a release as a client would that has everything before it, so that nothing is published which clients refuse.
struct ReleaseVerification {
    private var working: WorkingCopy
    private let release: Release

    init(_ release: Release, of working: WorkingCopy) {
        self.release = release
        self.working = working
    }

    /// Reads it with the root that it brings, or that there is.
    /// - Throws: `TUFError` with what a client would refuse.
    mutating func check() throws {
        let root = self.release.root?.metadata.bytes
        guard let trusted = self.working.publishedRoot?.bytes ?? root else {
            throw RepositoryError(.incomplete, "there is no root yet")
        }
        try self.check(trusted: trusted, next: self.working.publishedRoot == nil ? nil : root)
    }

    /// Whether it can be read with the old root too, so that it may be there before the new one.
    mutating func isReadableBeforeRotation() -> Bool {
        guard let trusted = self.working.publishedRoot?.bytes else { return true }
        return (try? self.check(trusted: trusted, next: nil)) != nil
    }

    private mutating func check(trusted: [UInt8], next: [UInt8]?) throws {
        var client = TrustedCollection(trust: .succession, format: .tuf, at: self.working.now)
        try client.rememberRoot(trusted)
        if let timestamp = self.working.timestamp { client.rememberTimestamp(timestamp.bytes) }
        if let snapshot = self.working.snapshot { client.rememberSnapshot(snapshot.bytes) }
        if let next { try client.updateRoot(next) }
        try client.requireCurrentRoot()
        guard let timestamp = self.release.timestamp?.metadata.bytes ?? self.working.timestamp?.bytes,
            let snapshot = self.release.snapshot?.metadata.bytes ?? self.working.snapshot?.bytes
        else { throw RepositoryError(.incomplete, "there is no timestamp yet") }
        try client.updateTimestamp(timestamp)
        try client.updateSnapshot(snapshot)
        try self.checkTargets(&client, keysChange: next != nil || self.working.publishedRoot == nil)
    }

    /// The roles that change, those that lead to them, and those whose delegation changes.
    private mutating func checkTargets(_ client: inout TrustedCollection, keysChange: Bool) throws {
        let changed = self.release.targets.map(\.role)
        guard !changed.isEmpty || keysChange else { return }
        try client.updateTargets(.targets, try self.bytes(.targets))
        let top = try client.topLevelTargets
        var known = [RoleName.targets: top]
        self.learn(client.delegations(in: top), &known)
        var trusted: Set<RoleName> = [.targets]
        for role in changed { try self.trust(role, &client, &known, &trusted) }
        for delegator in changed {
            guard let new = self.working.edited[delegator]?.delegations,
                new != (try self.working.published(delegator)?.payload.delegations ?? Delegations())
            else { continue }
            for role in WorkingCopy.names(in: new) { try self.trust(role, &client, &known, &trusted) }
        }
    }

    /// Loads a role, and before it those that lead to it.
    private mutating func trust(
        _ role: RoleName,
        _ client: inout TrustedCollection,
        _ known: inout [RoleName: TrustedDelegation],
        _ trusted: inout Set<RoleName>
    ) throws {
        guard !trusted.contains(role) else { return }
        guard client.listed(role) != nil else {
            throw TUFError(.notDelegated, role: role, "is delegated to, but not listed in the snapshot")
        }
        if known[role] == nil, let delegator = try self.working.delegation(of: role)?.delegator {
            try self.trust(delegator, &client, &known, &trusted)
        }
        guard let delegation = known[role] else {
            throw RepositoryError(.notFound, "no role delegates to \(role)")
        }
        try client.updateTargets(delegation, try self.bytes(role))
        trusted.insert(role)
        self.learn(client.delegations(in: delegation), &known)
    }

    private func learn(_ delegations: [TrustedDelegation], _ known: inout [RoleName: TrustedDelegation]) {
        for delegation in delegations where known[delegation.role] == nil { known[delegation.role] = delegation }
    }

    private mutating func bytes(_ role: RoleName) throws -> [UInt8] {
        if let bytes = self.release.bytes(of: role) { return bytes }
        guard let published = try self.working.published(role) else {
            throw RepositoryError(.incomplete, "there is no metadata of \(role) yet")
        }
        return published.bytes
    }
}
