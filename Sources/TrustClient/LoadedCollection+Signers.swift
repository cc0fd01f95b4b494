// SPDX-License-Identifier: Apache-2.0

package import TUF

/// Where a target is listed, and from where the keys here can take it.
package struct RevocableTarget: Sendable, Hashable {
    /// The target's path.
    package let name: String
    /// The roles that list it and of which enough keys are here, or of which others have to sign as well.
    package let roles: [RoleName]
    /// The other roles that list it.
    package let otherRoles: [RoleName]

    /// Whether it still counts (Docker) once it is taken from ``roles``.
    package var isStillReleased: Bool { self.otherRoles.contains { $0 == .releases || $0 == .targets } }
}

/// What it takes to remove a signer.
package struct SignerRemoval: Sendable, Hashable {
    /// The changes, for one publish.
    package let changes: [Change]
    /// What would no longer work afterwards; nil for nothing.
    package let objection: String?
}

extension LoadedCollection {
    /// All targets with the roles that list them, by name.
    /// - Parameters:
    ///   - name: only this one; nil for all.
    ///   - keys: what may sign here, by which it is told who can take a target out.
    package mutating func revocableTargets(
        _ name: String? = nil,
        with keys: some SigningKeys
    ) async throws -> [RevocableTarget] {
        let ring = try await KeyRing(keys)
        var isHeld: [RoleName: Bool] = [:]
        var roles: ByteOrderedMap<[RoleName]> = ByteOrderedMap()
        for entry in try await self.entries() where name.map({ $0.utf8.elementsEqual(entry.name.utf8) }) ?? true {
            roles[entry.name] = (roles[entry.name] ?? []) + [entry.role]
            guard isHeld[entry.role] == nil else { continue }
            isHeld[entry.role] = !ring.held((try? self.trusted.keys(of: entry.role).keys) ?? []).isEmpty
        }
        return roles.map { name, roles in
            RevocableTarget(
                name: name,
                roles: roles.filter { isHeld[$0] == true },
                otherRoles: roles.filter { isHeld[$0] != true }
            )
        }
    }

    /// What it takes to remove a signer (Docker): their role goes, and their keys go from `targets/releases`, unless another signer
    /// has the same. Where their signature was one that `targets/releases` needs, it is signed again with the keys here.
    /// - Throws: ``TrustClientError`` with code `invalid` when there is no such signer, or too few could sign from then on.
    package mutating func removal(of signer: String, with keys: some SigningKeys) async throws -> SignerRemoval {
        let role = RoleName("targets/\(signer)")
        guard let delegations = self.trusted.targets[.targets]?.payload.delegations, delegations[role] != nil else {
            throw TrustClientError(.invalid, "no signer \(signer) for repository \(self.gun)")
        }
        func ids(of role: RoleName) -> Set<KeyID> {
            Set(((try? delegations.keys(of: role).keys) ?? []).map { (try? $0.canonicalID) ?? $0.id })
        }
        let others = delegations.roles.map(\.name).filter {
            $0 != role && $0 != .releases && $0.notaryParent == .targets
        }
        let kept = others.reduce(into: Set<KeyID>()) { $0.formUnion(ids(of: $1)) }
        let leaving = ids(of: role).subtracting(kept)
        guard let releases = try? delegations.keys(of: .releases), !ids(of: .releases).isDisjoint(with: leaving) else {
            return SignerRemoval(changes: [.removeDelegation(role)], objection: nil)
        }
        let ring = try await KeyRing(keys)
        let remaining = releases.keys.filter { key in
            !leaving.contains((try? key.canonicalID) ?? key.id)
        }
        let threshold = releases.threshold
        let rest = RoleKeys(role: .releases, keys: remaining, threshold: threshold)
        guard !remaining.isEmpty else {
            return SignerRemoval(
                // A role without keys could never be signed, and every reader would be warned of it.
                changes: [.removeDelegation(.releases), .removeDelegation(role)],
                objection:
                    "\(signer) is the last signer of \(self.gun): no tag that was signed as \(RoleName.releases) would count"
            )
        }
        guard ids(of: .releases).subtracting(leaving).count >= threshold else {
            throw TrustClientError(
                .invalid,
                "\(self.gun): \(RoleName.releases) must be signed by \(threshold) keys, and without \(signer) it has "
                    + "\(remaining.count). Add a signer first, or lower the threshold with hallmark delegation add"
            )
        }
        var changes: [Change] = [.removeKeys(leaving.sorted { $0.text < $1.text }, from: .releases)]
        var objection: String?
        if let bytes = try await self.listedBytes(of: .releases) {
            let metadata = try UnverifiedMetadata(bytes, format: .notary)
            if (try? metadata.verified(as: Targets.self, by: rest)) == nil {
                if ring.meets(rest) {
                    changes.append(.witness(.releases))
                } else {
                    objection =
                        "what \(self.gun) has released is signed by \(signer): none of its tags would count until another signer "
                        + "signs one"
                }
            }
        }
        return SignerRemoval(changes: changes + [.removeDelegation(role)], objection: objection)
    }
}
