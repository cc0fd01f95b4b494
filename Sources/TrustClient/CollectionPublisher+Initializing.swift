// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import FoundationEssentials
import KeyStore
import NotaryAPI
package import TUF

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
            let keys = try await self.serverKeys(withSnapshot: serverManagesSnapshot)
            var ring = try await KeyRing(self.keys)
            let root = try await self.rootKey(rootKey, certificate: rootCertificate, &ring)
            var signers = keys.mapValues { Signers(keys: [$0]) }
            signers[.root] = Signers(keys: [root])
            _ = try await self.create(signers, serverManagesSnapshot, &ring)
            return root.id
        }
    }

    /// Makes a new collection whose keys may be on other machines. Where the keys here are too few, its first metadata is put into
    /// `tuf/<GUN>/pending` for others to sign; the publish after that brings it to the server.
    ///
    /// - Parameters:
    ///   - signers: of root, targets and snapshot; a role that has none gets a key made here, the snapshot only if the server does
    ///     not manage it.
    ///   - serverManagesSnapshot: whether the server signs snapshots.
    /// - Returns: the ids of the root keys as the metadata names them, for pins; what waits for signatures of others.
    /// - Throws: ``TrustClientError`` with code `invalid` when the collection exists already, a threshold cannot be met, or a root key
    ///   is no certificate in the collection's name.
    package func initialize(
        signers: [RoleName: Signers],
        serverManagesSnapshot: Bool
    ) async throws -> (rootKeyIDs: [KeyID], pending: [SigningCeremony]) {
        try await self.reporting {
            for (role, signers) in signers { try self.check(signers, of: role, serverManagesSnapshot) }
            var all = try await self.serverKeys(withSnapshot: serverManagesSnapshot).mapValues { Signers(keys: [$0]) }
            var ring = try await KeyRing(self.keys)
            for (role, given) in signers where !given.keys.isEmpty { all[role] = given }
            if all[.root] == nil { all[.root] = Signers(keys: [try await self.rootKey(nil, certificate: nil, &ring)]) }
            let pending = try await self.create(all, serverManagesSnapshot, &ring)
            return (all[.root]?.keys.map(\.id) ?? [], pending)
        }
    }

    private func check(_ signers: Signers, of role: RoleName, _ serverManagesSnapshot: Bool) throws {
        func refuse(_ reason: String) -> TrustClientError { TrustClientError(.invalid, "\(self.gun): \(reason)") }
        guard [.root, .targets].contains(role) || (role == .snapshot && !serverManagesSnapshot) else {
            throw refuse("the keys of \(role) are the server's")
        }
        let count = Set(try signers.keys.map { try $0.canonicalID }).count
        guard signers.threshold >= 1, signers.threshold <= Int64(max(1, count)) else {
            throw refuse("\(role) needs a threshold from 1 to the number of its keys, which is \(max(1, count))")
        }
    }

    /// The keys that the server signs with. They are asked for first: when it cannot be reached, no key is left lying about here.
    private func serverKeys(withSnapshot: Bool) async throws -> [RoleName: PublicKey] {
        try await self.requireNew()
        let transport = self.client.transport
        var keys = [RoleName.timestamp: try await transport.serverKey(for: .timestamp, of: self.gun)]
        if withSnapshot { keys[.snapshot] = try await transport.serverKey(for: .snapshot, of: self.gun) }
        return keys
    }

    /// Writes the first metadata, after keys are made for what has none.
    private func create(
        _ signers: [RoleName: Signers],
        _ serverManagesSnapshot: Bool,
        _ ring: inout KeyRing
    ) async throws -> [SigningCeremony] {
        var signers = signers
        for role in [RoleName.targets, .snapshot] where signers[role] == nil {
            signers[role] = Signers(keys: [try await self.newKey(for: role, &ring)])
        }
        let root = Root(
            version: 1,
            expires: self.expiry(CollectionEditor.rootDays),
            keys: signers.values.flatMap(\.keys),
            roles: signers.mapValues { signers in
                var seen: Set<KeyID> = []
                let ids = signers.keys.map(\.id).filter { seen.insert($0).inserted }
                return RoleDefinition(keyIDs: ids, threshold: signers.threshold)
            }
        )
        let fit = (try? RootTrust(gun: self.gun.text).keys(of: root).keys.count) ?? 0
        guard fit == root.roles[.root]?.keyIDs.count else {
            throw TrustClientError(
                .invalid,
                "\(self.gun): each root key must be a certificate in the collection's name, as hallmark key generate "
                    + "--certificate makes it"
            )
        }
        let roles = [RoleName.root, .targets] + (serverManagesSnapshot ? [] : [.snapshot])
        let isEnough = try roles.allSatisfy { ring.meets(try root.keys(of: $0)) }
        guard !isEnough else {
            try await self.writeNew(root, signsSnapshot: !serverManagesSnapshot, &ring)
            return []
        }
        let targets = Targets(version: 1, expires: self.expiry(CollectionEditor.targetsDays))
        let pending: [RoleName: PendingMetadata] = [
            .root: try PendingMetadata(root, format: .notary), .targets: try PendingMetadata(targets, format: .notary),
        ]
        let authority = try CollectionAuthority(gun: self.gun, root: nil, targets: [:], pending: pending)
        var ceremonies: [SigningCeremony] = []
        for role in [RoleName.root, .targets] {
            guard let metadata = pending[role] else { continue }
            var ceremony = try authority.ceremony(metadata, role)
            let keys = try await ring.signers(for: ceremony)
            if !keys.isEmpty { try await ceremony.sign(with: keys) }
            ceremonies.append(ceremony)
        }
        try await self.client.ceremonies.begin(ceremonies, changes: [])
        return ceremonies.filter { !$0.isComplete }
    }

    private func expiry(_ days: Int) -> Expiry {
        Expiry(self.client.now().addingTimeInterval(Double(days) * 86400))
    }

    private func requireNew() async throws {
        guard try await self.client.cache.read(.root, of: self.gun) == nil else {
            throw TrustClientError(.invalid, "\(self.gun) is known here already; delete it here to start over")
        }
        guard try await !self.client.ceremonies.areGoingOn() else { throw CollectionCeremonies.busy(self.gun) }
        do {
            _ = try await self.client.transport.fetch(.root, .current, of: self.gun, limit: WireFormat.rootLimit)
        } catch let error as TrustClientError where error.code == .noTrustData {
            return
        }
        throw TrustClientError(.invalid, "\(self.gun) exists on the trust server already")
    }

    private func writeNew(_ root: Root, signsSnapshot: Bool, _ ring: inout KeyRing) async throws {
        let targets = Targets(version: 1, expires: self.expiry(CollectionEditor.targetsDays))
        let rootFile = try await root.signed(by: try await ring.signers(for: root.keys(of: .root)), format: .notary)
        let targetsFile = try await targets.signed(
            by: try await ring.signers(for: root.keys(of: .targets)),
            format: .notary
        )
        var files = [MetadataUpload(role: .targets, bytes: targetsFile.bytes)]
        if signsSnapshot {
            let snapshot = Snapshot(
                version: 1,
                expires: self.expiry(CollectionEditor.snapshotDays),
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
        let key: any UnlockedKey
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
        return try await key.rootCertificate(for: self.gun.text, at: self.client.now())
    }

    func newKey(for role: RoleName, _ ring: inout KeyRing) async throws -> PublicKey {
        let key = try await self.generate(role)
        ring.add(key)
        return key.publicKey
    }

    func generate(_ role: RoleName) async throws -> any UnlockedKey {
        let key = try await PrivateKey.generate(.p256)
        try await self.keys.add(key, role: role, gun: role == .root ? nil : self.gun)
        return key
    }
}
