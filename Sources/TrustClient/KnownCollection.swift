// SPDX-License-Identifier: Apache-2.0

package import NotaryAPI
package import TUF

/// What this machine knows of a collection, without its server.
package struct KnownCollection: Sendable {
    /// A role as it was read last, or as it was made here.
    package struct Role: Sendable, Hashable {
        /// The role.
        package let role: RoleName
        /// Its version.
        package let version: Int64
        /// When it stops being trusted.
        package let expires: Expiry
        /// How many of its keys must sign.
        package let threshold: Int
        /// The canonical ids of its keys.
        package let keyIDs: [KeyID]
    }

    /// The roles of which there is metadata here that their keys have signed: root, timestamp, snapshot, targets, and the
    /// delegated ones after the role that delegates to them.
    package let roles: [Role]
    /// Whether it was ever read from its server; otherwise it was initialised here, and may not be published yet.
    package let wasRead: Bool
}

extension MetadataCache {
    /// Reads what is kept here of a collection. Nothing is asked, nothing of it need be current.
    /// - Returns: nil when nothing is kept.
    /// - Throws: ``TrustClientError`` with code `signature` for a root that must not be trusted, or `storage`.
    package func known(_ gun: GUN) async throws -> KnownCollection? {
        guard let bytes = try await self.read(.root, of: gun) else { return nil }
        let root = try TrustClientError.refusing(gun) {
            try RootTrust(gun: gun.text).verifyStored(try UnverifiedMetadata(bytes, format: .notary)).payload
        }
        var reader = KeptRoles(cache: self, gun: gun)
        if let keys = try? root.keys(of: .root) { reader.note(root, keys) }
        let timestamp: Timestamp? = try await reader.read(.timestamp, by: try? root.keys(of: .timestamp))
        let _: Snapshot? = try await reader.read(.snapshot, by: try? root.keys(of: .snapshot))
        var queue: [Targets] = []
        if let top: Targets = try await reader.read(.targets, by: try? root.keys(of: .targets)) { queue.append(top) }
        var next = 0
        while next < queue.count, next < WireFormat.delegationLimit {
            let delegations = queue[next].delegations
            next += 1
            for role in delegations.roles where (try? RoleName(notaryDelegation: role.name.text)) != nil {
                let keys = try? delegations.keys(of: role.name)
                if let targets: Targets = try await reader.read(role.name, by: keys) { queue.append(targets) }
            }
        }
        return KnownCollection(roles: reader.roles, wasRead: timestamp != nil)
    }
}

/// Reads roles' files, and notes those that their keys have signed.
private struct KeptRoles {
    let cache: MetadataCache
    let gun: GUN
    private(set) var roles: [KnownCollection.Role] = []

    init(cache: MetadataCache, gun: GUN) {
        self.cache = cache
        self.gun = gun
    }

    mutating func read<Content: Payload>(_ role: RoleName, by keys: RoleKeys?) async throws -> Content? {
        guard let keys, let bytes = try await self.cache.read(role, of: self.gun),
            let verified: Verified<Content> = try? UnverifiedMetadata(bytes, format: .notary).verified(by: keys)
        else { return nil }
        self.note(verified.payload, keys)
        return verified.payload
    }

    mutating func note(_ payload: some Payload, _ keys: RoleKeys) {
        self.roles.append(
            KnownCollection.Role(
                role: keys.role,
                version: payload.version,
                expires: payload.expires,
                threshold: keys.threshold,
                keyIDs: keys.keys.map { (try? $0.canonicalID) ?? $0.id }
            )
        )
    }
}
