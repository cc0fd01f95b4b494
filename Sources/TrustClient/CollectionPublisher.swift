// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import FoundationEssentials
import NotaryAPI
package import TUF

/// Changes and publishes a collection with the private keys of this machine.
package struct CollectionPublisher: Sendable {
    /// The collection.
    package let client: CollectionClient
    /// The keys.
    package let keys: any SigningKeys

    var gun: GUN { self.client.gun }

    /// Takes a collection and keys.
    package init(_ client: CollectionClient, keys: any SigningKeys) {
        self.client = client
        self.keys = keys
    }

    /// What a publish did.
    package struct Outcome: Sendable {
        /// The roles that were sent; none when there was nothing to publish.
        package let roles: [RoleName]
        /// Whether the collection is new on the server.
        package let isFirst: Bool
        /// The metadata that waits for signatures of others. The staged changes that it was made of stay staged.
        package let pending: [SigningCeremony]

        init(roles: [RoleName], isFirst: Bool, pending: [SigningCeremony] = []) {
            self.roles = roles
            self.isFirst = isFirst
            self.pending = pending
        }

        static let nothing = Outcome(roles: [], isFirst: false)
    }
}

// MARK: - Publishing

extension CollectionPublisher {
    /// Publishes what waited for signatures and has them now, else the staged changes, and takes these off the changelist once the
    /// server has them.
    ///
    /// Where the keys here are too few, the metadata is put into `tuf/<GUN>/pending` for others to sign, nothing is sent, and
    /// the outcome says what is missing. While something waits, other staged changes are published if they touch none of it; once
    /// it is published, the rest follows.
    ///
    /// When somebody else has published meanwhile, the changes are made to what they published, once. All of them can be made
    /// again without harm. What waits for signatures cannot: signatures are on bytes.
    /// - Throws: ``TrustClientError``; with code `conflict` when it happens twice, or to what waits. The changes stay staged
    ///   then. `CeremonyError` for a signature on what waits that cannot count.
    package func publish(_ policy: CeremonyPolicy = .whereThresholdsAsk) async throws -> Outcome {
        try await self.reporting {
            guard try await self.client.ceremonies.areGoingOn() else { return try await self.publishStaged(policy) }
            let outcome = try await self.advance()
            guard outcome.pending.isEmpty else {
                let roles = try await self.publishWhatNeedNotWait()
                return Outcome(roles: roles, isFirst: false, pending: outcome.pending)
            }
            guard try await !self.client.changelist.entries().isEmpty else { return outcome }
            let rest = try await self.publishStaged(policy)
            return Outcome(roles: outcome.roles + rest.roles, isFirst: outcome.isFirst, pending: rest.pending)
        }
    }

    private func publishStaged(_ policy: CeremonyPolicy) async throws -> Outcome {
        try await self.publish(try await self.client.changelist.entries(), policy)
    }

    private func publish(_ entries: [Changelist.Entry], _ policy: CeremonyPolicy) async throws -> Outcome {
        let outcome = try await self.publish(entries.map(\.change), policy, staged: entries.map(\.name))
        if outcome.pending.isEmpty { try await self.client.changelist.remove(entries.map(\.name)) }
        return outcome
    }

    /// Publishes changes that are not staged.
    /// - Throws: as ``publish(_:)``; with code `invalid` when signatures are missing on other changes of the same roles.
    package func publish(
        _ changes: [Change],
        _ policy: CeremonyPolicy = .whereThresholdsAsk
    ) async throws -> Outcome {
        try await self.reporting { try await self.publish(changes, policy, staged: []) }
    }

    /// - Parameter staged: the names of the changes' files.
    private func publish(_ changes: [Change], _ policy: CeremonyPolicy, staged: [String]) async throws -> Outcome {
        do {
            return try await self.attempt(changes, policy, staged)
        } catch let error as TrustClientError
            where error.code == .conflict || error.serverCode == NotaryErrorCode.updating.rawValue
        {
            // notary-server on PostgreSQL answers UPDATING when two publishers race.
            return try await self.attempt(changes, policy, staged)
        }
    }

    private func attempt(_ changes: [Change], _ policy: CeremonyPolicy, _ staged: [String]) async throws -> Outcome {
        var (editor, isFirst) = try await self.edit()
        for change in changes { try await editor.apply(change) }
        var ring = try await KeyRing(self.keys)
        let waiting = Set(try await self.client.ceremonies.metadata().keys)
        if editor.isNearExpiry(editor.root.expires), !waiting.contains(.root),
            ring.meets(try editor.root.keys(of: .root))
        {
            editor.renewRoot()
        }
        guard waiting.isDisjoint(with: editor.changed) else { throw CollectionCeremonies.busy(self.gun) }
        return try await self.send(&editor, &ring, policy, isFirst: isFirst, staged: staged)
    }

    /// Signs and uploads what has changed, or puts it aside for others to sign.
    func send(
        _ editor: inout CollectionEditor,
        _ ring: inout KeyRing,
        _ policy: CeremonyPolicy,
        isFirst: Bool,
        staged: [String] = []
    ) async throws -> Outcome {
        guard try editor.isDue(ring) else { return .nothing }
        let unmet = try editor.requirements(ring).filter { !ring.meets($0) }
        if let first = unmet.first {
            let isMeant = { (keys: RoleKeys) in
                policy == .always || (policy != .never && unmet.contains { $0.role == keys.role && $0.threshold > 1 })
            }
            guard unmet.allSatisfy(isMeant) else { throw ring.missing(first) }
            return try await self.begin(&editor, staged: staged)
        }
        let uploads = try await editor.sign(&ring)
        if !uploads.isEmpty { try await self.client.transport.upload(uploads, to: self.gun) }
        return Outcome(roles: uploads.map(\.role), isFirst: isFirst && !uploads.isEmpty)
    }

    private func begin(_ editor: inout CollectionEditor, staged: [String]) async throws -> Outcome {
        try editor.advance()
        let drafts = try editor.drafts()
        // Where the snapshot alone is due, there is nothing yet that it would list anew.
        guard !drafts.isEmpty else { return .nothing }
        try await self.client.ceremonies.begin(drafts, changes: staged)
        return try await self.advance()
    }

    /// Publishes staged changes of roles that no signatures are missing for.
    private func publishWhatNeedNotWait() async throws -> [RoleName] {
        let waiting = Set(try await self.client.ceremonies.changes())
        let entries = try await self.client.changelist.entries().filter { !waiting.contains($0.name) }
        guard !entries.isEmpty else { return [] }
        do {
            return try await self.publish(entries, .never).roles
        } catch let error as TrustClientError
            where [.invalid, .noSigningKey, .noTrustData].contains(error.code)
        {
            // They stay staged for the publish after this one, which will say what is wrong with them.
            return []
        }
    }

    /// Reads what is there to change: from the server, or what ``initialize(rootKey:rootCertificate:serverManagesSnapshot:)``
    /// has made here.
    func edit() async throws -> (CollectionEditor, isFirst: Bool) {
        let now = self.client.now()
        let view: LoadedCollection
        do {
            view = try await self.client.update()
        } catch let error as TrustClientError where error.code == .noTrustData {
            guard let editor = try await self.unpublished() else {
                guard try await self.client.ceremonies.areGoingOn() else { throw error }
                throw CollectionCeremonies.busy(self.gun)
            }
            return (editor, true)
        }
        try self.requireOnline(view)
        return (try CollectionEditor(view, at: now), false)
    }

    func requireOnline(_ view: LoadedCollection) throws {
        guard let offline = view.offline else { return }
        guard offline.code == .noTrustData else { throw offline }
        throw TrustClientError(
            .noTrustData,
            "the trust server no longer has \(self.gun), which is cached here. If it was deleted on purpose, delete it here as "
                + "well, then initialise it again"
        )
    }

    /// A root that was made here and never sent.
    func unpublishedRoot() async throws -> Verified<Root>? {
        guard let bytes = try await self.client.cache.read(.root, of: self.gun) else { return nil }
        return try self.client.trust.verifyStored(try UnverifiedMetadata(bytes, format: .notary))
    }

    private func unpublished() async throws -> CollectionEditor? {
        let cache = self.client.cache
        guard let root = try await self.unpublishedRoot() else { return nil }
        guard let targetsBytes = try await cache.read(.targets, of: self.gun) else { return nil }
        let targets: Verified<Targets> = try UnverifiedMetadata(targetsBytes, format: .notary).verified(
            by: try root.payload.keys(of: .targets)
        )
        let now = self.client.now()
        var snapshot = Snapshot(version: 0, expires: Expiry(now), meta: [:])
        if let bytes = try await cache.read(.snapshot, of: self.gun) {
            let kept: Verified<Snapshot> = try UnverifiedMetadata(bytes, format: .notary).verified(
                by: try root.payload.keys(of: .snapshot)
            )
            snapshot = kept.payload
        }
        return CollectionEditor(
            unpublished: root,
            targets: targets.payload,
            snapshot: snapshot,
            gun: self.gun,
            at: now
        )
    }

    func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as TUFError {
            throw TrustClientError(error, context: self.gun.text)
        }
    }
}
