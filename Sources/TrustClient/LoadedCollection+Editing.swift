// SPDX-License-Identifier: Apache-2.0

package import TUF

extension LoadedCollection {
    /// The content of a delegated role for somebody who is about to sign it anew: it may have expired.
    /// - Parameter vouching: too few keys may have signed it as well.
    /// - Returns: nil when it has no metadata.
    /// - Throws: ``TrustClientError`` with code `signature` when too few keys have signed it and nobody vouches for it.
    mutating func content(of role: RoleName, vouching: Bool) async throws -> Targets? {
        if try await self.open(role), let verified = self.trusted.targets[role] { return verified.payload }
        // A server's snapshot goes on listing roles that nobody delegates to any more.
        guard (try? self.trusted.keys(of: role)) != nil, let bytes = try await self.listedBytes(of: role) else {
            return nil
        }
        let metadata = try UnverifiedMetadata(bytes, format: .notary)
        do {
            return try metadata.verified(as: Targets.self, by: try self.trusted.keys(of: role)).payload
        } catch let error as TUFError where vouching && error.code == .thresholdNotMet {
            return try Targets(try JSONParser.parse(bytes)["signed"] ?? .null, format: .notary)
        } catch let error as TUFError where error.code == .thresholdNotMet {
            throw TrustClientError(
                .signature,
                "\(error). Look at what it holds, and witness \(role) to sign it with the keys of today",
                refusal: error
            )
        }
    }

    /// The version that metadata of a role claims, which the snapshot lists although nobody delegates to it any more.
    mutating func listedVersion(of role: RoleName) async throws -> Int64? {
        guard let bytes = try? await self.listedBytes(of: role) else { return nil }
        return try? UnverifiedMetadata(bytes, format: .notary).claimedVersion
    }
}

// MARK: - What can be signed here

extension LoadedCollection {
    /// The roles that a new tag is signed into (Docker): every delegation directly below `targets` whose paths allow it and of
    /// which a key is here; `targets` itself when there are no delegations.
    /// - Throws: ``TrustClientError`` with code `noSigningKey` when there are delegations and no key of any.
    package func signableRoles(for name: String, with keys: some SigningKeys) async throws -> [RoleName] {
        let ring = try await KeyRing(keys)
        guard let delegations = self.trusted.targets[.targets]?.payload.delegations, !delegations.roles.isEmpty else {
            return [.targets]
        }
        let roles = delegations.roles.filter { role in
            role.name.notaryParent == .targets && role.covers(name)
                && !ring.held((try? delegations.keys(of: role.name).keys) ?? []).isEmpty
        }
        guard !roles.isEmpty else {
            throw TrustClientError(
                .noSigningKey,
                "no valid signing keys for delegation roles of \(self.gun): import a key of one of "
                    + delegations.roles.map(\.name.text).joined(separator: ", ")
            )
        }
        return roles.map(\.name)
    }

    /// The roles that list a target and of which a key is here: those from which it can be revoked.
    package mutating func revocableRoles(for name: String, with keys: some SigningKeys) async throws -> [RoleName] {
        let ring = try await KeyRing(keys)
        return try await self.entries().filter { $0.name.utf8.elementsEqual(name.utf8) }.map(\.role).filter { role in
            !ring.held((try? self.trusted.keys(of: role).keys) ?? []).isEmpty
        }
    }
}
