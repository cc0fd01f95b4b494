// SPDX-License-Identifier: Apache-2.0

package import Ceremony
package import TUF

/// Metadata that waits for signatures in `pending`, which may be copied, signed elsewhere and merged.
extension StaticRepository {
    var pending: PendingFolder { PendingFolder(self.files, format: .tuf) }

    /// What is published already, or overtaken: a crash may have left it.
    func isObsolete(_ metadata: PendingMetadata, _ role: RoleName, in working: WorkingCopy) -> Bool {
        let published: Int64? =
            switch role {
            case .root: working.publishedRoot?.payload.version
            case .snapshot: working.snapshot?.payload.version
            case .timestamp: working.timestamp?.payload.version
            default: working.snapshot?.payload[role]?.version
            }
        return published.map { $0 >= metadata.version ?? 0 } ?? false
    }

    /// Takes up what waits: the roles and the root are from now on as it says.
    func takeUp(_ pending: [RoleName: PendingMetadata], in working: inout WorkingCopy) throws -> Release {
        if let root = pending[.root] { working.root = try root.payload() }
        for (role, metadata) in pending where role.listsTargets { working.edited[role] = try metadata.payload() }
        var release = Release()
        for (role, metadata) in pending.sorted(by: { $0.key < $1.key }) {
            let ceremony = try working.ceremony(metadata, role)
            switch role {
            case .snapshot: release.snapshot = ceremony
            case .timestamp: release.timestamp = ceremony
            default: release.roles.append(ceremony)
            }
        }
        return release
    }

    /// The ceremonies that are going on.
    /// - Throws: ``RepositoryError``; `TUFError`.
    package func ceremonies() async throws -> [SigningCeremony] {
        try await self.blocking {
            var working = try self.working()
            let pending = try self.pending.metadata().filter { !self.isObsolete($0.value, $0.key, in: working) }
            return try self.takeUp(pending, in: &working).all
        }
    }

    /// The ceremony of metadata in a file, which may be a copy of what waits here or come from somewhere else, and the trusted
    /// metadata that it would follow.
    /// - Throws: ``RepositoryError`` with code `invalid` when it is no version that may come next; as ``SigningCeremony``.
    package func ceremony(
        of metadata: PendingMetadata,
        role: RoleName
    ) async throws -> (ceremony: SigningCeremony, trusted: PendingMetadata?) {
        try await self.blocking {
            var working = try self.working()
            guard !self.isObsolete(metadata, role, in: working) else {
                throw RepositoryError(
                    .invalid,
                    "version \(metadata.version ?? 0) of \(role) is published already, or a later one is"
                )
            }
            // Who may sign can be part of what waits.
            var pending =
                (try? self.pending.metadata())?.filter { !self.isObsolete($0.value, $0.key, in: working) } ?? [:]
            pending[role] = metadata
            if let root = pending[.root] { working.root = try root.payload() }
            for (role, metadata) in pending where role.listsTargets { working.edited[role] = try metadata.payload() }
            let trusted: [UInt8]? =
                switch role {
                case .root: working.publishedRoot?.bytes
                case .snapshot: working.snapshot?.bytes
                case .timestamp: working.timestamp?.bytes
                default: try working.published(role)?.bytes
                }
            return (
                try working.ceremony(metadata, role), try trusted.map { try PendingMetadata($0, format: .tuf) }
            )
        }
    }

    /// Takes the signatures of another copy of what waits here.
    /// - Throws: ``RepositoryError`` with code `notFound` when nothing of the role waits; as ``SigningCeremony/merge(_:)``.
    package func merge(_ copy: PendingMetadata, role: RoleName) async throws -> [KeyID] {
        try await self.locked {
            try await self.blocking {
                var working = try self.working()
                let pending = try self.pending.metadata().filter { !self.isObsolete($0.value, $0.key, in: working) }
                guard pending[role] != nil else {
                    throw RepositoryError(.notFound, "nothing of \(role) waits for signatures")
                }
                let release = try self.takeUp(pending, in: &working)
                guard var ceremony = release.all.first(where: { $0.role == role }) else { return [] }
                let new = try ceremony.merge(copy)
                try self.pending.write(ceremony.metadata, role)
                return new
            }
        }
    }
}
