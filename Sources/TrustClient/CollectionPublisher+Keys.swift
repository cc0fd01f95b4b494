// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import KeyStore
import NotaryAPI
package import TUF

// MARK: - Key rotation

extension CollectionPublisher {
    /// Who holds a role's key from now on.
    package enum KeyHolder: Sendable, Hashable {
        /// The server, which makes a new one.
        case server
        /// This machine: these keys, by canonical id, or a new one for none.
        case local([KeyID])
    }

    /// Replaces the keys of a top-level role and publishes the new root at once, or puts it aside for others to sign where the root
    /// takes more signatures than there are keys here. Staged changes stay staged.
    ///
    /// - Parameters:
    ///   - role: root, targets, snapshot or timestamp.
    ///   - holder: who has the key from now on.
    ///   - policy: what happens when the keys here are too few.
    ///   - legacyRoots: of how many roots before this one the keys sign the new one, too, as far as they are here.
    /// - Throws: ``TrustClientError`` with code `invalid` for a role that this holder cannot hold, or while other changes wait for
    ///   signatures.
    @discardableResult
    package func rotateKey(
        of role: RoleName,
        to holder: KeyHolder,
        _ policy: CeremonyPolicy = .whereThresholdsAsk,
        legacyRoots: Int = 0
    ) async throws -> Outcome {
        try await self.reporting {
            try Self.check(role, holder)
            var (editor, ring) = try await self.editRoot(policy)
            editor.formerRootKeys = try await self.rootKeys(of: editor.root, before: legacyRoots)
            let old = ring.held(try editor.root.keys(of: role).keys)
            let (new, generated) = try await self.newKeys(for: role, holder, &ring)
            let outcome: Outcome
            do {
                try editor.replaceKeys(of: role, with: new)
                outcome = try await self.send(&editor, &ring, policy, isFirst: false)
            } catch let error as TrustClientError
                where [.conflict, .rejected, .unauthorised, .noSigningKey, .invalid].contains(error.code)
            {
                // The server has certainly not taken it. After any other failure it may have: then the keys are needed.
                for id in generated { try? await self.keys.remove(id) }
                throw error
            }
            // What waits may never be published: until then the old keys are the ones that count.
            guard role != .root, outcome.pending.isEmpty else { return outcome }
            let kept = Set(new.compactMap { try? $0.canonicalID })
            for key in old {
                guard let id = try? key.canonicalID, !kept.contains(id) else { continue }
                try await self.keys.remove(id)
            }
            return outcome
        }
    }

    /// The keys that signed some roots before this one, as far as it still lists them.
    private func rootKeys(of root: Root, before count: Int) async throws -> [PublicKey] {
        let oldest = max(1, root.version - Int64(clamping: max(0, count)))
        var ids: Set<KeyID> = []
        for version in oldest..<root.version {
            let bytes = try await self.client.transport.fetch(
                .root,
                .version(version),
                of: self.gun,
                limit: WireFormat.rootLimit
            )
            // Unverified: it only chooses among keys that the root lists which is trusted.
            let listed = try JSONParser.parse(bytes)["signed"]?["roles"]?["root"]?["keyids"]?.array ?? []
            ids.formUnion(listed.compactMap { $0.string.map { KeyID($0) } })
        }
        return root.keys.values.filter { $0.type.isCertificate && ids.contains($0.id) }.sorted { $0.id < $1.id }
    }

    /// What changes of the keys of a top-level role.
    package struct KeysEdit: Sendable, Hashable {
        /// Public keys that sign from now on; of the root certificates in the collection's name.
        package var add: [PublicKey]
        /// Keys that no longer do, by the ids that the metadata or the private keys have.
        package var remove: [KeyID]
        /// Whether all keys that were there go.
        package var replacesAll: Bool
        /// How many must sign from now on; nil leaves it.
        package var threshold: Int64?

        /// Makes an edit.
        package init(add: [PublicKey] = [], remove: [KeyID] = [], replacesAll: Bool = false, threshold: Int64? = nil) {
            self.add = add
            self.remove = remove
            self.replacesAll = replacesAll
            self.threshold = threshold
        }
    }

    /// Changes the keys or the threshold of root, targets or a snapshot that is not the server's, and publishes the new root at once, or
    /// puts it aside for others to sign. Private keys are neither made nor removed. Staged changes stay staged.
    /// - Throws: ``TrustClientError`` with code `invalid` for keys that cannot be it, or while other changes wait for signatures.
    @discardableResult
    package func changeKeys(
        of role: RoleName,
        _ edit: KeysEdit,
        _ policy: CeremonyPolicy = .whereThresholdsAsk
    ) async throws -> Outcome {
        try await self.reporting {
            try Self.check(role, .local([]))
            var (editor, ring) = try await self.editRoot(policy)
            var keys = edit.replacesAll ? [] : try editor.root.keys(of: role).keys
            for id in edit.remove {
                let count = keys.count
                keys.removeAll { $0.id == id || (try? $0.canonicalID) == id }
                guard keys.count < count else {
                    throw TrustClientError(
                        .invalid,
                        "\(self.gun): \(id.text.prefix(64)) is none of the keys of \(role)"
                    )
                }
            }
            for key in edit.add where !keys.contains(where: { $0.id == key.id }) { keys.append(key) }
            try editor.replaceKeys(of: role, with: keys, threshold: edit.threshold)
            return try await self.send(&editor, &ring, policy, isFirst: false)
        }
    }

    private func editRoot(_ policy: CeremonyPolicy) async throws -> (CollectionEditor, KeyRing) {
        guard try await !self.client.ceremonies.areGoingOn() else { throw CollectionCeremonies.busy(self.gun) }
        let view = try await self.client.update()
        try self.requireOnline(view)
        let ring = try await KeyRing(self.keys)
        // Before keys are made: where nobody else is to sign, without the root's nothing can be rotated.
        let keys = try RootTrust(gun: self.gun.text).keys(of: try CollectionEditor(view, at: self.client.now()).root)
        if !ring.meets(keys), policy == .never || (policy == .whereThresholdsAsk && keys.threshold == 1) {
            throw ring.missing(keys)
        }
        return (try CollectionEditor(view, at: self.client.now()), ring)
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
        var privateKeys: [any UnlockedKey] = []
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
                    ? try await key.rootCertificate(for: self.gun.text, at: self.client.now()) : key.publicKey
            )
        }
        return (keys, generated)
    }
}
