// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import DurableFiles
package import TUF

/// What a repository has, as its publisher sees it.
package struct RepositoryStatus: Sendable {
    /// One role's metadata.
    package struct Role: Sendable {
        package let role: RoleName
        package let version: Int64
        package let expires: Expiry
        /// Whether it is to be signed again.
        package let isDue: Bool
        package let threshold: Int
        package let keys: [KeyID]
        /// The keys that have signed it.
        package let signers: [KeyID]
    }

    /// The published roles but for bins.
    package let roles: [Role]
    /// How many roles are bins.
    package let binCount: Int
    package let staged: [StaticRepository.Staged]
    package let ceremonies: [SigningCeremony]
}

/// One target of a repository.
package struct ListedTarget: Sendable {
    package let path: String
    package let file: TargetFile
    package let role: RoleName

    package init(path: String, file: TargetFile, role: RoleName) {
        self.path = path
        self.file = file
        self.role = role
    }
}

/// One delegation of a repository.
package struct ListedDelegation: Sendable {
    package let delegator: RoleName
    package let role: DelegatedRole
    /// How many bins it stands for, where they are described once.
    package let binCount: Int?
}

extension StaticRepository {
    /// All published targets: each path once, from the role that readers find it in.
    /// - Parameter roles: only what these list; all for none.
    /// - Throws: ``RepositoryError``; `TUFError`.
    package func list(roles: [RoleName] = []) async throws -> [ListedTarget] {
        try await self.blocking {
            var working = try self.working()
            var found: [String: ListedTarget] = [:]
            for (role, _) in try working.allRoles() where roles.isEmpty || roles.contains(role) {
                guard let targets = try working.published(role)?.payload else { continue }
                for (path, file) in targets.targets {
                    guard found[path] == nil, try working.isCovered(path, by: role) else { continue }
                    found[path] = ListedTarget(path: path, file: file, role: role)
                }
            }
            return found.values.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
        }
    }

    /// What readers find under a path.
    /// - Throws: ``RepositoryError`` with code `notSigned` when no role that may lists it; `TUFError`.
    package func find(_ path: String) async throws -> ListedTarget {
        guard let found = try await self.list().first(where: { $0.path.utf8.elementsEqual(path.utf8) }) else {
            throw RepositoryError(.notSigned, "no role of \(self.directory) that may hold the target \(path) lists it")
        }
        return found
    }

    /// All published delegations in order.
    /// - Throws: ``RepositoryError``; `TUFError`.
    package func delegations() async throws -> [(delegation: ListedDelegation, keys: [KeyID])] {
        try await self.blocking {
            var working = try self.working()
            var listed: [(delegation: ListedDelegation, keys: [KeyID])] = []
            for (delegator, _) in try working.allRoles() {
                guard let delegations = try working.published(delegator)?.payload.delegations else { continue }
                if let bins = delegations.succinctRoles, let first = bins[bins.name(0)] {
                    let entry = ListedDelegation(delegator: delegator, role: first, binCount: bins.count)
                    listed.append((entry, bins.definition.keyIDs))
                }
                for role in delegations.roles {
                    let entry = ListedDelegation(delegator: delegator, role: role, binCount: nil)
                    listed.append((entry, role.definition.keyIDs))
                }
            }
            return listed
        }
    }

    /// The changes that take keys out of all published delegations that have them.
    /// - Throws: ``RepositoryError``; `TUFError`.
    package func edits(purging keys: Set<KeyID>) async throws -> [StagedChange.DelegationEdit] {
        try await self.delegations().compactMap { listed, ids in
            let purged = ids.filter { keys.contains($0) }
            guard !purged.isEmpty else { return nil }
            return .init(role: listed.role.name, delegator: listed.delegator, removeKeys: purged)
        }
    }

    /// Versions, expiries and keys of all roles, what is staged, and what waits for whose signatures.
    /// - Throws: ``RepositoryError``; `TUFError`.
    package func status() async throws -> RepositoryStatus {
        let ceremonies = try await self.ceremonies()
        return try await self.blocking {
            var working = try self.working()
            var roles: [RepositoryStatus.Role] = []
            func add<Content>(_ metadata: Verified<Content>?, _ role: RoleName, _ keys: RoleKeys) {
                guard let metadata else { return }
                let ids = Set(keys.keys.map(\.id))
                roles.append(
                    RepositoryStatus.Role(
                        role: role,
                        version: metadata.payload.version,
                        expires: metadata.payload.expires,
                        isDue: working.isDue(role, metadata.payload.expires),
                        threshold: keys.threshold,
                        keys: keys.keys.map(\.id),
                        signers: metadata.signatures.map(\.keyID).filter { ids.contains($0) }
                    )
                )
            }
            var bins = 0
            if let root = working.publishedRoot {
                add(root, .root, try root.payload.keys(of: .root))
                add(working.timestamp, .timestamp, try root.payload.keys(of: .timestamp))
                add(working.snapshot, .snapshot, try root.payload.keys(of: .snapshot))
                for (role, _) in try working.allRoles() {
                    guard try !working.isBin(role) else {
                        bins += 1
                        continue
                    }
                    let keys = try working.keys(of: role).keys
                    add(try working.published(role), role, keys)
                }
            }
            return RepositoryStatus(
                roles: roles,
                binCount: bins,
                staged: try self.stagedChanges(),
                ceremonies: ceremonies
            )
        }
    }

    /// Reads all that is published as a client does that knows no more than the first root: every root in turn, the timestamp,
    /// the snapshot and every role; and checks that the targets' files are there and what is listed.
    /// - Parameter checksContent: whether to read the targets' files. One that is not there may be elsewhere.
    /// - Returns: how many roles and files were read, and the paths of targets that have no file here.
    /// - Throws: `TUFError` with what a client would refuse; ``RepositoryError``.
    package func verify(
        checksContent: Bool = true
    ) async throws -> (roles: Int, files: Int, absent: [String]) {
        try await self.blocking {
            guard try self.files.exists(RepositoryLayout.metadata(.root, version: 1)) else {
                throw RepositoryError(.noRepository, "there is nothing published in \(self.directory)")
            }
            var audit = RepositoryAudit(self.files, at: self.now())
            try audit.run(checksContent: checksContent)
            return (audit.roleCount, audit.fileCount, audit.absent)
        }
    }
}

extension WorkingCopy {
    /// Whether every delegation on the way to a role covers a path.
    fileprivate mutating func isCovered(_ path: String, by role: RoleName) throws -> Bool {
        var current = role
        while current != .targets {
            guard let delegator = try self.delegation(of: current, isPublished: true)?.delegator,
                let delegated = try self.published(delegator)?.payload.delegations[current], delegated.covers(path)
            else { return false }
            current = delegator
        }
        return true
    }
}
