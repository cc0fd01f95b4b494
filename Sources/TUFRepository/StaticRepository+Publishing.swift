// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import FoundationEssentials
package import TUF

/// What a publish did.
package struct PublishOutcome: Sendable {
    /// The roles that have new metadata, with their versions, in the order in which they were written.
    package let published: [(role: RoleName, version: Int64)]
    /// The metadata that waits for signatures; then nothing was published.
    package let pending: [SigningCeremony]
    /// Whether keys of the root before were not at hand to sign, so that readers were refused between the writing of the new root
    /// and that of the new timestamp.
    package let hadGap: Bool

    static let nothing = PublishOutcome(published: [], pending: [], hadGap: false)
}

extension StaticRepository {
    /// Publishes what is staged, or what waited for signatures and has them now.
    ///
    /// Everything is read as a client would before the first file is written. When signatures are missing, the metadata is put
    /// into `pending` for others to sign, and nothing is published.
    /// - Throws: ``RepositoryError``; `TUFError` with what a client would refuse.
    package func publish() async throws -> PublishOutcome {
        try await self.locked { try await self.advance(stagedChanges: true) }
    }

    /// Signs online roles again that are due: the timestamp, the snapshot, and bins; or other roles too.
    /// - Parameters:
    ///   - includingOthers: whether to sign `targets` and delegated roles as well that are due, if their keys are at hand.
    ///   - includingRoot: whether to sign the root as well if it is due.
    /// - Returns: what was published; nothing when nothing is due.
    /// - Throws: as ``publish()``.
    package func refresh(includingOthers: Bool = false, includingRoot: Bool = false) async throws -> PublishOutcome {
        try await self.locked {
            var working = try await self.blocking {
                var working = try self.working()
                guard working.snapshot != nil else {
                    throw RepositoryError(.incomplete, "nothing is published yet that could be signed again")
                }
                let pending = try self.pending.names().map(\.role)
                for role in try self.due(in: &working, includingOthers: includingOthers) where !pending.contains(role) {
                    working.renewed.insert(role)
                }
                if includingRoot, let root = working.root, working.isDue(.root, root.expires), !pending.contains(.root)
                {
                    working.renewed.insert(.root)
                }
                return working
            }
            var release = Release(roles: try working.changedRoles())
            guard try await self.complete(&release, &working) else {
                throw RepositoryError(
                    .incomplete,
                    "not all keys are at hand to sign \(release.all.filter { !$0.isComplete }.map(\.role.text)) again"
                )
            }
            return try await self.write(release, of: working, changes: [], isPending: false)
        }
    }

    /// The roles of ``refresh(includingOthers:)`` that are due, but for snapshot and timestamp, which are looked at anyway.
    private func due(in working: inout WorkingCopy, includingOthers: Bool) throws -> [RoleName] {
        guard let top = try working.published(.targets)?.payload else { return [] }
        let hasBins = top.delegations.succinctRoles != nil || !top.delegations.roles.isEmpty
        guard includingOthers || hasBins else { return [] }
        return try working.allRoles().map(\.role).filter { role in
            guard try includingOthers || working.isBin(role), let targets = try working.published(role) else {
                return false
            }
            return working.isDue(role, targets.payload.expires)
        }
    }

    /// Goes on with what waits if anything does, else with what is staged.
    func advance(stagedChanges: Bool) async throws -> PublishOutcome {
        var (working, release, changes, isPending) = try await self.blocking {
            var working = try self.working()
            let all = try self.pending.metadata()
            let pending = all.filter { !self.isObsolete($0.value, $0.key, in: working) }
            let staged = try self.stagedChanges()
            if !pending.isEmpty {
                let release = try self.takeUp(pending, in: &working)
                return (working, release, staged.filter(\.isPending), true)
            }
            guard stagedChanges else { return (working, Release(), [Staged](), !all.isEmpty) }
            for change in staged {
                do {
                    try working.apply(change.change)
                } catch let error as RepositoryError {
                    throw RepositoryError(error.code, "\(change.change.summary): \(error.message)")
                }
            }
            return (working, Release(roles: try working.changedRoles()), staged, !all.isEmpty)
        }
        guard try await self.complete(&release, &working) else {
            let ceremonies = release.all
            let names = changes.map(\.name)
            try await self.blocking {
                try self.pending.write(ceremonies.map { ($0.role, $0.metadata) }, changes: names)
            }
            return PublishOutcome(published: [], pending: ceremonies.filter { !$0.isComplete }, hadGap: false)
        }
        return try await self.write(release, of: working, changes: changes, isPending: isPending)
    }

    /// Signs a release as far as the keys at hand go.
    /// - Returns: whether every threshold is met.
    private func complete(_ release: inout Release, _ working: inout WorkingCopy) async throws -> Bool {
        // A snapshot that waits lists the roles with the signatures that they have now.
        let isListed = release.snapshot != nil
        for index in release.roles.indices where !isListed || !release.roles[index].isComplete {
            try await self.sign(&release.roles[index])
        }
        guard release.roles.allSatisfy(\.isComplete) else { return false }
        if release.snapshot == nil { release.snapshot = try working.changedSnapshot(after: release) }
        if release.snapshot != nil {
            try await self.sign(&release.snapshot)
            guard release.snapshot?.isComplete ?? false else { return false }
        }
        if release.timestamp == nil { release.timestamp = try working.changedTimestamp(after: release) }
        if release.timestamp != nil {
            try await self.sign(&release.timestamp)
            guard release.timestamp?.isComplete ?? false else { return false }
        }
        return true
    }

    private func sign(_ ceremony: inout SigningCeremony?) async throws {
        guard var signed = ceremony else { return }
        try await self.sign(&signed)
        ceremony = signed
    }

    private func sign(_ ceremony: inout SigningCeremony) async throws {
        let signed = Set(ceremony.metadata.signatures.map(\.keyID))
        let missing = ceremony.keys.filter { !signed.contains($0.id) }
        let keys = try await self.keys.signingKeys(among: missing, for: ceremony.role)
        if !keys.isEmpty { try await ceremony.sign(with: keys) }
    }
}

// MARK: - Writing

extension StaticRepository {
    private func write(
        _ release: Release,
        of working: WorkingCopy,
        changes: [Staged],
        isPending: Bool
    ) async throws -> PublishOutcome {
        try await self.blocking {
            var hasGap = false
            if !release.isEmpty {
                var verification = ReleaseVerification(release, of: working)
                try verification.check()
                hasGap = release.root != nil && !verification.isReadableBeforeRotation()
                try self.files.removeTemporaryFiles(in: RepositoryLayout.metadata)
                try self.writeContent(of: changes, isConsistent: working.isConsistent)
            }
            let order = Self.order(release, hasGap: hasGap)
            let isUnseen = { (role: RoleName) in role.listsTargets || role == .snapshot }
            for ceremony in order where isUnseen(ceremony.role) { try self.write(ceremony) }
            if !working.isConsistent { try self.writeCopies(of: release, in: working) }
            for ceremony in order where !isUnseen(ceremony.role) { try self.write(ceremony) }
            // From here on it is published, and what is left over is only cleared away.
            if isPending { try self.pending.removeAll() }
            if !changes.isEmpty {
                try self.files.remove(changes.map { "\(RepositoryLayout.changes)/\($0.name)" })
                try self.removeUnusedContent()
            }
            return PublishOutcome(
                published: order.map { ($0.role, $0.metadata.version ?? 0) },
                pending: [],
                hadGap: hasGap
            )
        }
    }

    /// What nobody is told of comes first, and then what tells. A new root comes last, when everything can be read with both;
    /// where that is not so, right before the timestamp.
    private static func order(_ release: Release, hasGap: Bool) -> [SigningCeremony] {
        let root = [release.root].compactMap { $0 }
        let last = [release.timestamp].compactMap { $0 }
        return release.targets + [release.snapshot].compactMap { $0 } + (hasGap ? root + last : last + root)
    }

    private func write(_ ceremony: SigningCeremony) throws {
        try self.files.replace(
            RepositoryLayout.metadata(ceremony.role, version: ceremony.metadata.version ?? 0),
            with: ceremony.metadata.bytes
        )
    }

    /// Puts in place what readers of a repository that is not consistent find: all of it, as a crash may have left some of what
    /// was never published.
    private func writeCopies(of release: Release, in working: WorkingCopy) throws {
        var working = working
        for role in try working.allRoles().map(\.role) + [.snapshot] {
            let published = role == .snapshot ? working.snapshot?.bytes : try working.published(role)?.bytes
            guard let bytes = release.bytes(of: role) ?? published else { continue }
            let path = RepositoryLayout.copy(role)
            guard try self.files.read(path, limit: WireFormat.metadataLimit) != bytes else { continue }
            try self.files.replace(path, with: bytes)
        }
    }

    private func writeContent(of changes: [Staged], isConsistent: Bool) throws {
        for staged in changes {
            guard case .addTarget(let path, let file, _) = staged.change, let digest = file.hashes.sha256 else {
                continue
            }
            let content = "\(RepositoryLayout.content)/\(Hexadecimal.encode(digest))"
            // It need not be here: only its hashes may have been told.
            guard try self.files.exists(content) else { continue }
            for name in RepositoryLayout.names(of: path, file, isConsistent: isConsistent) {
                if isConsistent, try self.files.exists(name) { continue }
                try self.files.link(content, to: name)
            }
        }
    }
}
