// SPDX-License-Identifier: Apache-2.0

import Ceremony
import NotaryAPI
import TUF

/// Who may sign a collection's metadata: what is trusted of it, with what waits for signatures laid over it.
struct CollectionAuthority {
    private let gun: GUN
    private let trustedRoot: Root?
    private var root: Root?
    private var targets: [RoleName: Targets]

    /// - Parameters:
    ///   - root: the trusted one; nil when nothing is published yet.
    ///   - targets: the trusted roles that may delegate.
    ///   - pending: what waits.
    init(
        gun: GUN,
        root: Root?,
        targets: [RoleName: Targets],
        pending: [RoleName: PendingMetadata]
    ) throws {
        self.gun = gun
        self.trustedRoot = root
        self.root = try pending[.root].map { try $0.payload() } ?? root
        self.targets = targets
        for (role, metadata) in pending where role.listsTargets { self.targets[role] = try metadata.payload() }
    }

    /// The keys of a role from now on, and who says so.
    func keys(of role: RoleName) throws -> (authority: String, keys: RoleKeys) {
        guard role.isDelegation else {
            guard let root = self.root else {
                throw TrustClientError(.noTrustData, "\(self.gun): no root is known here that says who signs \(role)")
            }
            return ("root \(root.version)", try root.keys(of: role))
        }
        guard let parent = role.notaryParent, let delegator = self.targets[parent],
            delegator.delegations[role] != nil
        else { throw TrustClientError(.invalid, "\(self.gun): nothing that is known here delegates to \(role)") }
        return ("\(parent) \(delegator.version)", try delegator.delegations.keys(of: role))
    }

    /// The ceremony of metadata that waits.
    /// - Throws: `CeremonyError`; ``TrustClientError`` with code `invalid` or `noTrustData` where nobody is known to sign it.
    func ceremony(_ metadata: PendingMetadata, _ role: RoleName) throws -> SigningCeremony {
        if role == .root {
            return try .root(metadata, after: self.trustedRoot, trust: RootTrust(gun: self.gun.text))
        }
        guard role != .timestamp else {
            throw TrustClientError(.invalid, "\(self.gun): the timestamp is the server's to sign")
        }
        let (authority, keys) = try self.keys(of: role)
        return try SigningCeremony(
            metadata,
            role: role,
            requirements: [SigningCeremony.Requirement(authority: authority, keys: keys)]
        )
    }
}
