// SPDX-License-Identifier: Apache-2.0

import Ceremony
import FoundationEssentials
import NotaryAPI
import TUF

extension CollectionPublisher {
    /// What happens when the keys here are too few to sign all that changes.
    package enum CeremonyPolicy: Sendable, Hashable {
        /// Where a role takes more than one signature, the metadata is put aside for others to sign. Where one is enough and no
        /// key for it is here, that is a mistake.
        case whereThresholdsAsk
        /// It is put aside in any case: the keys are elsewhere, and meant to be.
        case always
        /// It is a mistake in any case.
        case never
    }
}

/// What a collection's server has, for somebody who goes on from there.
private struct PublishedState {
    /// What was read; nil for a collection that is not on the server yet.
    var view: LoadedCollection?
    /// The newest root there; or, on a first publish, one that is signed and was never sent.
    let root: Verified<Root>?
    /// The newest snapshot.
    let snapshot: Snapshot?

    var isFirst: Bool { self.view == nil }
}

// MARK: - Going on with what waits

extension CollectionPublisher {
    /// Signs what waits with the keys here, and publishes it if that is enough.
    func advance() async throws -> Outcome {
        let ceremonies = self.client.ceremonies
        let pending = try await ceremonies.metadata()
        var state = try await self.publishedState(pending)
        if try await self.isPublished(pending, &state) {
            try await self.finish()
            return Outcome(roles: pending.keys.sorted(), isFirst: false)
        }
        var ring = try await KeyRing(self.keys)
        let authority = try await self.authority(over: pending, &state)
        var signed: [SigningCeremony] = []
        for (role, metadata) in pending.sorted(by: { $0.key < $1.key }) where role != .snapshot {
            signed.append(try self.naming(role, metadata) { try authority.ceremony(metadata, role) })
        }
        var snapshot = try self.snapshot(pending[.snapshot], over: signed, state, authority, ring)
        if snapshot == nil {
            signed = signed.filter(\.isComplete) + (try await self.sign(signed.filter { !$0.isComplete }, &ring))
        }
        guard signed.allSatisfy(\.isComplete) else {
            return Outcome(roles: [], isFirst: false, pending: signed.filter { !$0.isComplete })
        }
        if snapshot == nil { snapshot = try self.snapshot(nil, over: signed, state, authority, ring) }
        if let draft = snapshot {
            let completed = try await self.sign([draft], &ring, among: signed)
            guard completed.allSatisfy(\.isComplete) else {
                return Outcome(roles: [], isFirst: false, pending: completed)
            }
            signed += completed
        }
        let uploads = try self.uploads(of: signed, state)
        if state.isFirst, let root = uploads.first(where: { $0.role == .root }) {
            // Made here, it need not be trusted on first use.
            try await self.client.cache.write([root], of: self.client.gun)
        }
        do {
            try await self.client.transport.upload(uploads, to: self.client.gun)
        } catch let error as TrustClientError where error.code == .conflict {
            throw self.stale("somebody else has published meanwhile (\(error.message))")
        }
        try await self.finish()
        return Outcome(roles: uploads.map(\.role), isFirst: state.isFirst)
    }

    /// From here on it is published, and what is left over is only cleared away: what it was made of first, so that it is not made
    /// again.
    private func finish() async throws {
        try await self.client.changelist.remove(try await self.client.ceremonies.changes())
        try await self.client.ceremonies.drop()
    }

    /// Signs with the keys here, and keeps it.
    /// - Parameter others: what waits beside it, when it is new there.
    private func sign(
        _ ceremonies: [SigningCeremony],
        _ ring: inout KeyRing,
        among others: [SigningCeremony]? = nil
    ) async throws -> [SigningCeremony] {
        var signed: [SigningCeremony] = []
        for var ceremony in ceremonies {
            let signers = try await ring.signers(for: ceremony)
            if !signers.isEmpty { try await ceremony.sign(with: signers) }
            signed.append(ceremony)
        }
        let all = (others ?? []) + signed
        let isNew = others != nil
        return try await self.client.ceremonies.withFolder { [signed] folder in
            if isNew, !signed.allSatisfy(\.isComplete) {
                try folder.write(all.map { ($0.role, $0.metadata) }, changes: try folder.changes())
            }
            guard !isNew else { return signed }
            var kept = signed
            for index in kept.indices { try folder.keep(&kept[index]) }
            return kept
        }
    }

    /// What is sent: each checked once more as a client would.
    private func uploads(of ceremonies: [SigningCeremony], _ state: PublishedState) throws -> [MetadataUpload] {
        var uploads = ceremonies.map { MetadataUpload(role: $0.role, bytes: $0.metadata.bytes) }
        for ceremony in ceremonies {
            let metadata = try UnverifiedMetadata(ceremony.metadata.bytes, format: .notary)
            if ceremony.role == .root {
                let trust = RootTrust(gun: self.client.gun.text)
                _ = try trust.verify(metadata, after: state.root?.payload, at: self.client.now())
            }
            for requirement in ceremony.requirements { try requirement.keys.verify(metadata) }
        }
        if state.isFirst, let root = state.root, !uploads.contains(where: { $0.role == .root }) {
            uploads.insert(MetadataUpload(role: .root, bytes: root.bytes), at: 0)
        }
        return uploads
    }
}

// MARK: - Whether it still follows

extension CollectionPublisher {
    private func publishedState(_ pending: [RoleName: PendingMetadata]) async throws -> PublishedState {
        if let root = pending[.root], root.version == 1 {
            guard try await self.hasBegun(with: root) else {
                return PublishedState(view: nil, root: nil, snapshot: nil)
            }
        }
        do {
            let view = try await self.client.update()
            try self.requireOnline(view)
            return PublishedState(view: view, root: view.trusted.root, snapshot: view.trusted.snapshot?.payload)
        } catch let error as TrustClientError where error.code == .noTrustData {
            guard let made = try await self.unpublishedRoot() else { throw error }
            return PublishedState(view: nil, root: made, snapshot: nil)
        }
    }

    /// Whether the server has the collection already, with the very root that was made here. It is never trusted on first use: who
    /// makes a collection knows its root.
    /// - Throws: ``TrustClientError`` with code `conflict` when it has another.
    private func hasBegun(with root: PendingMetadata) async throws -> Bool {
        let client = self.client
        let bytes: [UInt8]
        do {
            bytes = try await client.transport.fetch(.root, .version(1), of: client.gun, limit: WireFormat.rootLimit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            return false
        }
        guard try PendingMetadata(bytes, format: .notary).hasSameContent(as: root) else {
            throw self.stale("somebody else has made the collection, with another root")
        }
        if try await client.cache.read(.root, of: client.gun) == nil {
            let trust = RootTrust(gun: client.gun.text)
            _ = try trust.verify(try UnverifiedMetadata(bytes, format: .notary), after: nil, at: client.now())
            try await client.cache.write([MetadataUpload(role: .root, bytes: bytes)], of: client.gun)
        }
        return true
    }

    /// Whether the server has exactly what waits: then it was published, and only not cleared away.
    /// - Throws: ``TrustClientError`` with code `conflict` when it has something else at least as new.
    private func isPublished(_ pending: [RoleName: PendingMetadata], _ state: inout PublishedState) async throws -> Bool
    {
        var overtaken: [(role: RoleName, version: Int64)] = []
        var isSame = true
        for (role, metadata) in pending.sorted(by: { $0.key < $1.key }) {
            guard let known = try await self.version(of: role, &state), let version = metadata.version, known >= version
            else {
                isSame = false
                continue
            }
            // A snapshot is made again when it no longer fits.
            if role == .snapshot { continue }
            overtaken.append((role, known))
            let bytes = try await self.client.transport.fetch(
                role,
                .version(version),
                of: self.client.gun,
                limit: role == .root ? WireFormat.rootLimit : WireFormat.metadataLimit
            )
            if try !PendingMetadata(bytes, format: .notary).hasSameContent(as: metadata) { isSame = false }
        }
        guard let first = overtaken.first else { return false }
        if isSame { return true }
        throw self.stale("the server has version \(first.version) of \(first.role) already")
    }

    private func version(of role: RoleName, _ state: inout PublishedState) async throws -> Int64? {
        switch role {
        case .root: return state.view == nil ? nil : state.root?.payload.version
        case .snapshot: return state.snapshot?.version
        default: return try await state.view?.listedVersion(of: role)
        }
    }

    private func stale(_ reason: String) -> TrustClientError {
        TrustClientError(
            .conflict,
            "\(self.client.gun): what waits for signatures can no longer be published: \(reason). Drop it with hallmark reset "
                + "--pending, publish again to make the staged changes to what is there now, and have that signed"
        )
    }

    /// Says in which file something is wrong.
    private func naming<Result>(
        _ role: RoleName,
        _ metadata: PendingMetadata,
        _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let error as CeremonyError {
            let name = VersionedName(role, version: metadata.version ?? 0).text
            throw CeremonyError(
                error.code,
                "\(self.client.ceremonies.directory)/\(PendingFolder.name)/\(name): \(error.message)"
            )
        }
    }

    private func authority(
        over pending: [RoleName: PendingMetadata],
        _ state: inout PublishedState
    ) async throws -> CollectionAuthority {
        var targets: [RoleName: Targets] = [:]
        if let view = state.view { targets[.targets] = view.trusted.targets[.targets]?.payload }
        for role in pending.keys {
            for ancestor in role.notaryAncestors where targets[ancestor] == nil && pending[ancestor] == nil {
                targets[ancestor] = try await state.view?.content(of: ancestor, vouching: false)
            }
        }
        return try CollectionAuthority(
            gun: self.client.gun,
            root: state.root?.payload,
            targets: targets,
            pending: pending
        )
    }
}

// MARK: - The snapshot over it

extension CollectionPublisher {
    /// The snapshot that waits, if it lists what is there; else, once that is signed, a new one where it is not the server's.
    private func snapshot(
        _ waiting: PendingMetadata?,
        over signed: [SigningCeremony],
        _ state: PublishedState,
        _ authority: CollectionAuthority,
        _ ring: KeyRing
    ) throws -> SigningCeremony? {
        guard signed.allSatisfy(\.isComplete) else { return nil }
        let keys = try authority.keys(of: .snapshot).keys
        guard CollectionEditor.isSnapshotOurs(keys, ring) || waiting != nil else { return nil }
        var next = state.snapshot ?? Snapshot(version: 0, expires: Expiry(self.client.now()), meta: [:])
        let (version, isLast) = next.version.addingReportingOverflow(1)
        guard !isLast else { throw TrustClientError(.invalid, "\(self.client.gun): the snapshot has no next version") }
        next.version = version
        next.expires = Expiry(self.client.now().addingTimeInterval(Double(CollectionEditor.snapshotDays) * 86400))
        if let root = state.root { next[.root] = FileMetadata(of: root.bytes) }
        for ceremony in signed { next[ceremony.role] = FileMetadata(of: ceremony.metadata.bytes) }
        try Self.forget(whatIsNoLongerDelegatedBy: signed, in: &next)
        if let waiting {
            let payload: Snapshot = try waiting.payload()
            if payload.version == version, payload.meta == next.meta {
                return try authority.ceremony(waiting, .snapshot)
            }
        }
        return try authority.ceremony(try PendingMetadata(next, format: .notary), .snapshot)
    }

    private static func forget(whatIsNoLongerDelegatedBy signed: [SigningCeremony], in snapshot: inout Snapshot) throws
    {
        for ceremony in signed where ceremony.role.listsTargets {
            let delegations = try ceremony.metadata.payload(as: Targets.self).delegations
            let below = ceremony.role.text + "/"
            for name in snapshot.meta.keys where name.hasPrefix(below) {
                let child = below + (name.dropFirst(below.count).split(separator: "/").first.map(String.init) ?? "")
                if delegations[RoleName(child)] == nil { snapshot.meta[name] = nil }
            }
        }
    }
}
