// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NotaryAPI
package import TUF

/// Takes a collection along to a server that knows nothing of it, with nothing of the old server's but what it serves.
///
/// Root, targets and delegations keep their keys and content. Only what the old server signed with gets other keys, the new server's: they
/// are named by the next root, which those who know the collection follow as they follow any rotation.
package struct CollectionMove: Sendable {
    /// What was sent.
    package struct Outcome: Sendable {
        /// The roles.
        package let roles: [RoleName]
        /// The version of the root that names the new server's keys.
        package let rootVersion: Int64
        /// Whether the server signs the snapshot; otherwise its publisher does, as before.
        package let serverManagesSnapshot: Bool
        /// Delegated roles that were left behind, and why.
        package let warnings: [CollectionWarning]
    }

    /// The collection at its new server.
    private let publisher: CollectionPublisher
    /// The way to the old one; nil to take what is kept here.
    private let source: (any TrustTransport)?

    package init(_ publisher: CollectionPublisher, from source: (any TrustTransport)?) {
        self.publisher = publisher
        self.source = source
    }

    private var client: CollectionClient { self.publisher.client }

    /// Reads, signs and publishes: all of it or nothing.
    /// - Throws: ``TrustClientError``: with code `conflict` when the new server has the collection already, `noSigningKey` without the
    ///   root key, or that of a role that has expired; `rollback` when the old server is behind what is known here.
    package func run() async throws -> Outcome {
        try await self.publisher.reporting {
            guard try await !self.client.ceremonies.areGoingOn() else {
                throw CollectionCeremonies.busy(self.client.gun)
            }
            try await self.requireUnknown()
            var view = try await self.client.moving(from: self.source ?? KeptOnly()).update()
            let delegations = try await view.delegations()
            var ring = try await KeyRing(self.publisher.keys)
            var editor = try CollectionEditor(view, at: self.client.now())
            let served = try await self.takeServersKeys(&editor, ring)
            try await self.renewCertificates(&editor, &ring)
            let unchanged = try await self.renewExpired(&editor, view, [.targets] + delegations.map(\.role.name), ring)
            if let unmet = try editor.requirements(ring).first(where: { !ring.meets($0) }) { throw ring.missing(unmet) }
            let uploads = try await editor.sign(&ring) + unchanged
            // It is not stored: to a server of ours it says which versions have been.
            let timestamp = view.trusted.timestamp.map { [MetadataUpload(role: .timestamp, bytes: $0.bytes)] } ?? []
            try await self.client.transport.upload(uploads + timestamp, to: self.client.gun)
            try await self.catchUp(with: view, uploads.first { $0.role == .snapshot }, editor, &ring)
            return Outcome(
                roles: uploads.map(\.role).sorted(),
                rootVersion: editor.root.version,
                serverManagesSnapshot: served,
                warnings: view.warnings.filter { if case .delegationSkipped = $0 { true } else { false } }
            )
        }
    }

    /// Has the new server go on until its versions are above those of the old one, which docker and notary insist on although the keys
    /// are others.
    /// - Parameter snapshot: the publisher's, if it is not the server's.
    private func catchUp(
        with old: LoadedCollection,
        _ snapshot: MetadataUpload?,
        _ editor: CollectionEditor,
        _ ring: inout KeyRing
    ) async throws {
        func missing(_ role: RoleName, _ known: Int64?) async throws -> Int64 {
            let limit = role == .timestamp ? WireFormat.timestampLimit : WireFormat.metadataLimit
            let bytes = try await self.client.transport.fetch(role, .current, of: self.client.gun, limit: limit)
            let version = try UnverifiedMetadata(bytes, format: .notary).claimedVersion ?? 0
            return max(0, (known ?? 0) - version + 1)
        }
        var count = try await missing(.timestamp, old.trusted.timestamp?.payload.version)
        if snapshot == nil { count = max(count, try await missing(.snapshot, old.trusted.snapshot?.payload.version)) }
        guard count <= Self.catchUpLimit else {
            throw TrustClientError(
                .rejected,
                "\(self.client.gun): the new server begins \(count) versions below those that clients have seen; bring the collection to "
                    + "a server that goes on from them, such as hallmark serve"
            )
        }
        var next = try snapshot.map { try PendingMetadata($0.bytes, format: .notary).payload(as: Snapshot.self) }
        for _ in 0..<count {
            guard next != nil else {
                // An update with nothing in it has the server sign both anew.
                try await self.client.transport.upload([], to: self.client.gun)
                continue
            }
            next?.version += 1
            guard let payload = next else { return }
            let signers = try await ring.signers(for: try editor.root.keys(of: .snapshot))
            let bytes = try await payload.signed(by: signers, format: .notary).bytes
            try await self.client.transport.upload([MetadataUpload(role: .snapshot, bytes: bytes)], to: self.client.gun)
        }
    }

    /// The most updates that are sent for their versions alone.
    private static let catchUpLimit: Int64 = 50_000

    private func requireUnknown() async throws {
        do {
            _ = try await self.client.transport.fetch(.root, .current, of: self.client.gun, limit: WireFormat.rootLimit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            return
        }
        throw TrustClientError(
            .conflict,
            "the trust server has \(self.client.gun) already: whoever began it there, it is not to be replaced"
        )
    }

    /// Names the new server's keys where the old one's were.
    /// - Returns: whether the snapshot's is among them.
    private func takeServersKeys(_ editor: inout CollectionEditor, _ ring: KeyRing) async throws -> Bool {
        let (transport, gun) = (self.client.transport, self.client.gun)
        try editor.replaceKeys(
            of: .timestamp,
            with: [try await transport.serverKey(for: .timestamp, of: gun)],
            threshold: 1
        )
        let listed = Set(editor.root.roles[.root]?.keyIDs ?? [])
        editor.formerRootKeys = editor.root.keys.values.filter { $0.type.isCertificate && !listed.contains($0.id) }
        guard try !CollectionEditor.isSnapshotOurs(editor.root.keys(of: .snapshot), ring) else { return false }
        try editor.replaceKeys(
            of: .snapshot,
            with: [try await transport.serverKey(for: .snapshot, of: gun)],
            threshold: 1
        )
        return true
    }

    /// Gives root keys whose certificates have ended new ones, where the key alone can: no server takes a root without.
    private func renewCertificates(_ editor: inout CollectionEditor, _ ring: inout KeyRing) async throws {
        let now = self.client.now()
        let ended = try editor.root.keys(of: .root).keys.filter { key in
            guard let certificate = key.certificate, certificate.notAfter < now else { return false }
            return key.isSelfSigned
        }
        let ids = Set(ring.held(ended).map(\.id))
        guard !ids.isEmpty else { return }
        let keys = try await CollectionRescue.keys(
            after: editor.root,
            replacing: ids,
            &ring,
            of: self.client.gun,
            at: now
        )
        try editor.replaceKeys(of: .root, with: keys)
    }

    /// Has signed again what has expired, which no server would take.
    /// - Returns: what goes as it is.
    private func renewExpired(
        _ editor: inout CollectionEditor,
        _ view: LoadedCollection,
        _ roles: [RoleName],
        _ ring: KeyRing
    ) async throws -> [MetadataUpload] {
        var unchanged: [MetadataUpload] = []
        for role in roles {
            guard let metadata = view.trusted.targets[role] else { continue }
            if metadata.payload.expires < editor.expiry(days: 0) {
                try await editor.renew(role)
            } else {
                unchanged.append(MetadataUpload(role: role, bytes: metadata.bytes))
            }
        }
        return unchanged
    }
}

/// A server that is not asked: what is kept here is all there is.
private struct KeptOnly: TrustTransport {
    private var error: TrustClientError {
        TrustClientError(.unreachable, "no server is asked; --from names the one that the collection comes from")
    }

    func fetch(_ role: RoleName, _ reference: MetadataReference, of gun: GUN, limit: Int) async throws -> [UInt8] {
        throw self.error
    }
    func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws { throw self.error }
    func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey { throw self.error }
    func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey { throw self.error }
    func delete(_ gun: GUN) async throws { throw self.error }
    func ping() async throws { throw self.error }
}
