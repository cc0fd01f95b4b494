// SPDX-License-Identifier: Apache-2.0

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
        var trusted: [RoleName: TrustedDelegation] = [:]
        for role in changed where role != .targets { _ = try self.trust(role, &client, &trusted) }
        for delegator in changed {
            guard let new = self.working.edited[delegator]?.delegations,
                new != (try self.working.published(delegator)?.payload.delegations ?? Delegations())
            else { continue }
            let by = delegator == .targets ? nil : try self.trust(delegator, &client, &trusted)
            for role in WorkingCopy.names(in: new) {
                guard client.listed(role) != nil else {
                    throw TUFError(.notDelegated, role: role, "is delegated to, but not listed in the snapshot")
                }
                if trusted[role] == nil {
                    let delegation = try client.delegation(to: role, by: by)
                    try client.updateTargets(delegation, try self.bytes(role))
                    trusted[role] = delegation
                }
            }
        }
    }

    private mutating func trust(
        _ role: RoleName,
        _ client: inout TrustedCollection,
        _ trusted: inout [RoleName: TrustedDelegation]
    ) throws -> TrustedDelegation {
        if let known = trusted[role] { return known }
        guard let delegator = try self.working.delegation(of: role)?.delegator else {
            throw RepositoryError(.notFound, "no role delegates to \(role)")
        }
        let by = delegator == .targets ? nil : try self.trust(delegator, &client, &trusted)
        let delegation = try client.delegation(to: role, by: by)
        try client.updateTargets(delegation, try self.bytes(role))
        trusted[role] = delegation
        return delegation
    }

    private mutating func bytes(_ role: RoleName) throws -> [UInt8] {
        if let bytes = self.release.bytes(of: role) { return bytes }
        guard let published = try self.working.published(role) else {
            throw RepositoryError(.incomplete, "there is no metadata of \(role) yet")
        }
        return published.bytes
    }
}
