// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import KeyStore
import NotaryAPI
package import TUF

/// Changes and publishes a collection with the private keys of this machine.
package struct CollectionPublisher: Sendable {
    /// The collection.
    package let client: CollectionClient
    /// The keys.
    package let keys: any SigningKeys

    private var gun: GUN { self.client.gun }

    /// Takes a collection and keys.
    package init(_ client: CollectionClient, keys: any SigningKeys) {
        self.client = client
        self.keys = keys
    }

    /// What a publish did.
    package struct Outcome: Sendable, Hashable {
        /// The roles that were sent; none when there was nothing to publish.
        package let roles: [RoleName]
        /// Whether the collection is new on the server.
        package let isFirst: Bool
    }
}

// MARK: - Publishing

extension CollectionPublisher {
    /// Publishes the staged changes, and takes them off the changelist once the server has them.
    ///
    /// When somebody else has published meanwhile, the changes are made to what they published, once. All of them can be made
    /// again without harm.
    /// - Throws: ``TrustClientError``; with code `conflict` when it happens twice. The changes stay staged then.
    package func publish() async throws -> Outcome {
        let entries = try await self.client.changelist.entries()
        let outcome = try await self.publish(entries.map(\.change))
        try await self.client.changelist.remove(entries.map(\.name))
        return outcome
    }

    /// Publishes changes that are not staged.
    package func publish(_ changes: [Change]) async throws -> Outcome {
        try await self.reporting {
            do {
                return try await self.attempt(changes)
            } catch let error as TrustClientError
                where error.code == .conflict || error.serverCode == NotaryErrorCode.updating.rawValue
            {
                // notary-server on PostgreSQL answers UPDATING when two publishers race.
                return try await self.attempt(changes)
            }
        }
    }

    private func attempt(_ changes: [Change]) async throws -> Outcome {
        var (editor, isFirst) = try await self.edit()
        for change in changes { try await editor.apply(change) }
        var ring = try await KeyRing(self.keys)
        if editor.isNearExpiry(editor.root.expires), !ring.held(try editor.root.keys(of: .root).keys).isEmpty {
            editor.renewRoot()
        }
        let uploads = try await editor.sign(&ring)
        if !uploads.isEmpty { try await self.client.transport.upload(uploads, to: self.gun) }
        return Outcome(roles: uploads.map(\.role), isFirst: isFirst && !uploads.isEmpty)
    }

    /// Reads what is there to change: from the server, or what ``initialize(rootKey:rootCertificate:serverManagesSnapshot:)``
    /// has made here.
    private func edit() async throws -> (CollectionEditor, isFirst: Bool) {
        let now = self.client.now()
        let view: LoadedCollection
        do {
            view = try await self.client.update()
        } catch let error as TrustClientError where error.code == .noTrustData {
            guard let editor = try await self.unpublished() else { throw error }
            return (editor, true)
        }
        try self.requireOnline(view)
        return (try CollectionEditor(view, at: now), false)
    }

    private func requireOnline(_ view: LoadedCollection) throws {
        guard let offline = view.offline else { return }
        guard offline.code == .noTrustData else { throw offline }
        throw TrustClientError(
            .noTrustData,
            "the trust server no longer has \(self.gun), which is cached here. If it was deleted on purpose, delete it here as "
                + "well, then initialise it again"
        )
    }

    private func unpublished() async throws -> CollectionEditor? {
        let cache = self.client.cache
        guard let rootBytes = try await cache.read(.root, of: self.gun) else { return nil }
        let root = try self.client.trust.verifyStored(try UnverifiedMetadata(rootBytes, format: .notary))
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

    private func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as TUFError {
            throw TrustClientError(error, context: self.gun.text)
        }
    }
}

// MARK: - A new collection

extension CollectionPublisher {
    /// Makes a new collection on this machine; the next publish brings it to the server.
    ///
    /// - Parameters:
    ///   - rootKey: the canonical id of the root key; by default the first root key here, or a new one.
    ///   - rootCertificate: a certificate of that key; by default a new one in the collection's name.
    ///   - serverManagesSnapshot: whether the server signs snapshots (Docker), or a key made here (`notary init`).
    /// - Returns: the id of the root key as the metadata names it, for pins.
    /// - Throws: ``TrustClientError`` with code `invalid` when the collection exists already.
    package func initialize(
        rootKey: KeyID? = nil,
        rootCertificate: PublicKey? = nil,
        serverManagesSnapshot: Bool
    ) async throws -> KeyID {
        try await self.reporting {
            try await self.requireNew()
            // The server's keys first: when it cannot be reached, no key is left lying about here.
            let transport = self.client.transport
            let timestampKey = try await transport.serverKey(for: .timestamp, of: self.gun)
            let serverSnapshotKey =
                serverManagesSnapshot ? try await transport.serverKey(for: .snapshot, of: self.gun) : nil
            var ring = try await KeyRing(self.keys)
            let root = try await self.rootKey(rootKey, certificate: rootCertificate, &ring)
            let targetsKey = try await self.newKey(for: .targets, &ring)
            let snapshotKey: PublicKey
            if let serverSnapshotKey {
                snapshotKey = serverSnapshotKey
            } else {
                snapshotKey = try await self.newKey(for: .snapshot, &ring)
            }
            try await self.writeNew(
                [.root: root, .targets: targetsKey, .snapshot: snapshotKey, .timestamp: timestampKey],
                signsSnapshot: serverSnapshotKey == nil,
                &ring
            )
            return root.id
        }
    }

    private func requireNew() async throws {
        guard try await self.client.cache.read(.root, of: self.gun) == nil else {
            throw TrustClientError(.invalid, "\(self.gun) is known here already; delete it here to start over")
        }
        do {
            _ = try await self.client.transport.fetch(.root, .current, of: self.gun, limit: WireFormat.rootLimit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            return
        }
        throw TrustClientError(.invalid, "\(self.gun) exists on the trust server already")
    }

    private func writeNew(
        _ keys: [RoleName: PublicKey],
        signsSnapshot: Bool,
        _ ring: inout KeyRing
    ) async throws {
        let now = self.client.now()
        func expiry(_ days: Int) -> Expiry { Expiry(now.addingTimeInterval(Double(days) * 86400)) }
        let root = Root(
            version: 1,
            expires: expiry(CollectionEditor.rootDays),
            keys: Array(keys.values),
            roles: keys.mapValues { RoleDefinition(keyIDs: [$0.id]) }
        )
        let targets = Targets(version: 1, expires: expiry(CollectionEditor.targetsDays))
        let rootFile = try await root.signed(by: try await ring.signers(for: root.keys(of: .root)), format: .notary)
        let targetsFile = try await targets.signed(
            by: try await ring.signers(for: root.keys(of: .targets)),
            format: .notary
        )
        var files = [MetadataUpload(role: .targets, bytes: targetsFile.bytes)]
        if signsSnapshot {
            let snapshot = Snapshot(
                version: 1,
                expires: expiry(CollectionEditor.snapshotDays),
                meta: ["root": FileMetadata(of: rootFile.bytes), "targets": FileMetadata(of: targetsFile.bytes)]
            )
            let signers = try await ring.signers(for: root.keys(of: .snapshot))
            files.append(
                MetadataUpload(role: .snapshot, bytes: try await snapshot.signed(by: signers, format: .notary).bytes)
            )
        }
        // The root last: with it the collection exists here.
        files.append(MetadataUpload(role: .root, bytes: rootFile.bytes))
        try await self.client.cache.write(files, of: self.gun)
    }

    /// The certificate of a root key for this collection.
    private func rootKey(_ id: KeyID?, certificate: PublicKey?, _ ring: inout KeyRing) async throws -> PublicKey {
        if let certificate, id == nil {
            guard !ring.held([certificate]).isEmpty else {
                throw TrustClientError(.noSigningKey, "the key of the root certificate \(certificate.id) is not here")
            }
            return certificate
        }
        let available = try await self.keys.available()
        let key: PrivateKey
        if let id {
            guard available.contains(where: { $0.id == id }) else {
                throw TrustClientError(.noSigningKey, "the root key \(id) is not here: import it first")
            }
            key = try await self.keys.key(id)
        } else if let first = available.first(where: { $0.role == .root }) {
            key = try await self.keys.key(first.id)
        } else {
            key = try await self.generate(.root)
        }
        ring.add(key)
        if let certificate {
            guard try certificate.canonicalID == key.publicKey.id else {
                throw TrustClientError(.invalid, "the root certificate is not of the root key \(key.publicKey.id)")
            }
            return certificate
        }
        return try PublicKey.rootCertificate(
            for: self.gun.text,
            signedBy: key.certificateKey,
            at: self.client.now()
        )
    }

    private func newKey(for role: RoleName, _ ring: inout KeyRing) async throws -> PublicKey {
        let key = try await self.generate(role)
        ring.add(key)
        return key.publicKey
    }

    private func generate(_ role: RoleName) async throws -> PrivateKey {
        let key = try await PrivateKey.generate(.p256)
        try await self.keys.add(key, role: role, gun: role == .root ? nil : self.gun)
        return key
    }
}

// MARK: - Key rotation

extension CollectionPublisher {
    /// Who holds a role's key from now on.
    package enum KeyHolder: Sendable, Hashable {
        /// The server, which makes a new one.
        case server
        /// This machine: these keys, by canonical id, or a new one for none.
        case local([KeyID])
    }

    /// Replaces the keys of a top-level role and publishes the new root at once. Staged changes stay staged.
    ///
    /// - Throws: ``TrustClientError`` with code `invalid` for a role that this holder cannot hold.
    package func rotateKey(of role: RoleName, to holder: KeyHolder) async throws {
        try await self.reporting {
            try Self.check(role, holder)
            let view = try await self.client.update()
            try self.requireOnline(view)
            var editor = try CollectionEditor(view, at: self.client.now())
            var ring = try await KeyRing(self.keys)
            let old = ring.held(try editor.root.keys(of: role).keys)
            // Before keys are made: without the root's nothing can be rotated.
            _ = try await ring.signers(for: try editor.root.keys(of: .root))
            let (new, generated) = try await self.newKeys(for: role, holder, &ring)
            try editor.replaceKeys(of: role, with: new)
            do {
                let uploads = try await editor.sign(&ring)
                try await self.client.transport.upload(uploads, to: self.gun)
            } catch let error as TrustClientError
                where [.conflict, .rejected, .unauthorised, .noSigningKey].contains(error.code)
            {
                // The server has certainly not taken it. After any other failure it may have: then the keys are needed.
                for id in generated { try? await self.keys.remove(id) }
                throw error
            }
            guard role != .root else { return }
            let kept = Set(new.compactMap { try? $0.canonicalID })
            for key in old {
                guard let id = try? key.canonicalID, !kept.contains(id) else { continue }
                try await self.keys.remove(id)
            }
        }
    }

    private static func check(_ role: RoleName, _ holder: KeyHolder) throws {
        switch (role, holder) {
        case (.timestamp, .server), (.snapshot, _), (.targets, .local), (.root, .local): return
        case (.timestamp, .local):
            throw TrustClientError(.invalid, "the timestamp key is always the server's")
        case (.targets, .server), (.root, .server):
            throw TrustClientError(.invalid, "the server cannot hold the key of \(role)")
        default:
            throw TrustClientError(.invalid, "\(role) has no key that can be rotated: change the delegation's keys")
        }
    }

    private func newKeys(
        for role: RoleName,
        _ holder: KeyHolder,
        _ ring: inout KeyRing
    ) async throws -> (keys: [PublicKey], generated: [KeyID]) {
        guard case .local(let ids) = holder else {
            return ([try await self.client.transport.rotateServerKey(for: role, of: self.gun)], [])
        }
        var privateKeys: [PrivateKey] = []
        var generated: [KeyID] = []
        if ids.isEmpty {
            privateKeys = [try await self.generate(role)]
            generated = privateKeys.map(\.publicKey.id)
        } else {
            for id in ids { privateKeys.append(try await self.keys.key(id)) }
        }
        var keys: [PublicKey] = []
        for key in privateKeys {
            ring.add(key)
            keys.append(
                role == .root
                    ? try PublicKey.rootCertificate(
                        for: self.gun.text,
                        signedBy: key.certificateKey,
                        at: self.client.now()
                    ) : key.publicKey
            )
        }
        return (keys, generated)
    }
}
