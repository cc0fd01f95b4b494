// SPDX-License-Identifier: Apache-2.0

package import Ceremony
import DurableFiles
import Foundation
import KeyStore
import NotaryAPI
package import TUF
import TrustClient

// MARK: - A new collection

extension ManagedCollection {
    /// Makes the collection on this machine; the next publish brings it to the server.
    ///
    /// Nothing is left of one that could not be made: no key, no file.
    /// - Parameters:
    ///   - rootKeyFile: a private key, PEM, to import and sign the root with. By default the certificate's, or the first root key
    ///     here, or a new one.
    ///   - rootCertificateFile: a certificate of the root key, PEM, that its authorities' may follow. By default a new one in the
    ///     collection's name.
    ///   - serverManagesSnapshot: whether the server signs snapshots (Docker), or a key made here (`notary init`).
    /// - Returns: the id of the root key as metadata names it, for pins.
    /// - Throws: `TrustClientError` with code `invalid` when the collection exists already; `KeyStoreError`, `TUFError`.
    package func initialize(
        rootKeyFile: String? = nil,
        rootCertificateFile: String? = nil,
        serverManagesSnapshot: Bool = false
    ) async throws -> KeyID {
        try await self.refuseImageName()
        guard try await self.cache.read(.root, of: self.gun) == nil else {
            throw TrustClientError(.invalid, "\(self.gun) is known here already; hallmark delete forgets it here")
        }
        let certificate = try await self.rootCertificate(rootCertificateFile)
        return try await self.open { publisher, keys in
            let rootKey = try await self.importKey(rootKeyFile, role: .root, notedBy: keys)
            return try await self.initialize(
                publisher,
                keys,
                rootKey: rootKey,
                rootCertificate: certificate,
                serverManagesSnapshot: serverManagesSnapshot
            )
        }
    }

    /// Makes the collection with keys of several holders. Where the keys here are too few, its first metadata waits for signatures of
    /// others, and the publish after that brings it to the server.
    /// - Parameters:
    ///   - signers: files of public keys, PEM, and thresholds, of root (certificates in the collection's name), targets and snapshot. A
    ///     role that has none gets a key made here.
    /// - Returns: the ids of the root keys as metadata names them, for pins; what waits.
    /// - Throws: as ``initialize(rootKeyFile:rootCertificateFile:serverManagesSnapshot:)``.
    package func initialize(
        signers files: [RoleName: (files: [String], threshold: Int64)],
        serverManagesSnapshot: Bool
    ) async throws -> (rootKeyIDs: [KeyID], pending: [SigningCeremony]) {
        try await self.refuseImageName()
        var signers: [RoleName: Signers] = [:]
        for (role, given) in files {
            var keys: [PublicKey] = []
            for file in given.files { keys.append(try await self.publicKey(file, of: role)) }
            signers[role] = Signers(keys: keys, threshold: given.threshold)
        }
        return try await self.open { [signers] publisher, keys in
            do {
                return try await publisher.initialize(signers: signers, serverManagesSnapshot: serverManagesSnapshot)
            } catch {
                let isMade = (try? await self.cache.read(.root, of: self.gun)) != nil
                if !isMade, (try? await self.ceremonies.areGoingOn()) != true { await self.forgetNew(keys) }
                throw error
            }
        }
    }

    /// A key of somebody's, from a file: of the root a certificate, of other roles the bare key.
    private func publicKey(_ path: String, of role: RoleName) async throws -> PublicKey {
        let bytes = try await Self.read(path, limit: PublicKeyFile.limit)
        do {
            guard role == .root else {
                return try PublicKeyFile.listedKey(bytes, at: self.now()).withoutCertificate
            }
            return try PublicKeyFile.rootCertificate(bytes, for: self.gun.text, at: self.now())
        } catch {
            throw TrustClientError(.invalid, "\(path) cannot be a key of the \(role) of \(self.gun): \(error)")
        }
    }

    func initialize(
        _ publisher: CollectionPublisher,
        _ keys: NotedKeys,
        rootKey: KeyID? = nil,
        rootCertificate: PublicKey? = nil,
        serverManagesSnapshot: Bool
    ) async throws -> KeyID {
        do {
            return try await publisher.initialize(
                rootKey: rootKey,
                rootCertificate: rootCertificate,
                serverManagesSnapshot: serverManagesSnapshot
            )
        } catch {
            // With its root it is made, whatever went wrong then.
            if (try? await self.cache.read(.root, of: self.gun)) == nil { await self.forgetNew(keys) }
            throw error
        }
    }

    private func rootCertificate(_ path: String?) async throws -> PublicKey? {
        guard let path else { return nil }
        return try await self.rootCertificate(path)
    }

    /// A certificate that may sign the collection's root, from a file.
    func rootCertificate(_ path: String) async throws -> PublicKey {
        let bytes = try await Self.read(path, limit: PublicKeyFile.limit)
        do {
            return try PublicKeyFile.rootCertificate(bytes, for: self.gun.text, at: self.now())
        } catch {
            throw TrustClientError(.invalid, "\(path) cannot be the root certificate of \(self.gun): \(error)")
        }
    }
}

// MARK: - Rotation

extension ManagedCollection {
    /// What a rotation did.
    package struct Rotation: Sendable {
        /// The role.
        package let role: RoleName
        /// The canonical ids of its new keys; none when the server has made one.
        package let keyIDs: [KeyID]
        /// Whether the server holds the key from now on.
        package let isServerManaged: Bool
        /// The new root, and what else changes with it, that waits for signatures of others.
        package let pending: [SigningCeremony]
    }

    /// Changes the keys or the threshold of a top-level role: keys of others, of which there are public halves. The new root is
    /// published at once, or waits for signatures of others.
    /// - Parameters:
    ///   - files: public keys that sign from now on, PEM; of the root certificates in the collection's name.
    ///   - removed: ids of keys that no longer do.
    ///   - keepsOthers: whether the keys that are there stay.
    ///   - threshold: how many must sign from now on; nil leaves it.
    /// - Throws: `TrustClientError`, with code `invalid` for what the role cannot have.
    package func changeKeys(
        of role: RoleName,
        adding files: [String],
        removing removed: [KeyID],
        keepsOthers: Bool,
        threshold: Int64?
    ) async throws -> Rotation {
        var keys: [PublicKey] = []
        for file in files { keys.append(try await self.publicKey(file, of: role)) }
        let edit = CollectionPublisher.KeysEdit(
            add: keys,
            remove: removed,
            replacesAll: !keepsOthers && removed.isEmpty,
            threshold: threshold
        )
        return try await self.open { publisher, _ in
            let outcome = try await publisher.changeKeys(of: role, edit)
            let ids = edit.add.map { (try? $0.canonicalID) ?? $0.id }
            return Rotation(role: role, keyIDs: ids, isServerManaged: false, pending: outcome.pending)
        }
    }

    /// Replaces the key of a top-level role and publishes the new root at once. Staged changes stay staged. A collection that was
    /// initialised here is published first.
    ///
    /// - Parameters:
    ///   - serverManaged: whether the server makes the new key and signs with it from now on.
    ///   - keyFiles: private keys, PEM, to import and use, or ids of keys that are here; a new one is made when there are none.
    ///   - legacyRoots: of how many roots before this one the keys sign the new one, too, as far as they are here, for readers that
    ///     know no newer ones.
    /// - Throws: `TrustClientError`, with code `invalid` for a role that this holder cannot have; `KeyStoreError`.
    package func rotateKey(
        of role: RoleName,
        serverManaged: Bool,
        keyFiles: [String] = [],
        legacyRoots: Int = 0
    ) async throws -> Rotation {
        guard RoleName.topLevel.contains(role) else {
            throw TrustClientError(
                .invalid,
                "\(role) has no key that could be rotated: hallmark delegation add and remove change who signs for a delegation"
            )
        }
        guard role != .timestamp || serverManaged else {
            throw TrustClientError(.invalid, "the timestamp key is always the server's: say --server-managed")
        }
        return try await self.open { publisher, keys in
            var imported: [KeyID] = []
            var pending: [SigningCeremony] = []
            do {
                for file in keyFiles {
                    if let id = try await self.importKey(file, role: role, notedBy: keys) { imported.append(id) }
                }
                pending = try await self.rotate(
                    publisher,
                    role,
                    to: serverManaged ? .server : .local(imported),
                    legacyRoots
                )
            } catch {
                if Self.isCertainlyUnsent(error) { await keys.removeAdded() }
                throw error
            }
            return Rotation(
                role: role,
                keyIDs: imported.isEmpty ? keys.added : imported,
                isServerManaged: serverManaged,
                pending: pending
            )
        }
    }

    private func rotate(
        _ publisher: CollectionPublisher,
        _ role: RoleName,
        to holder: CollectionPublisher.KeyHolder,
        _ legacyRoots: Int
    ) async throws -> [SigningCeremony] {
        do {
            return try await publisher.rotateKey(of: role, to: holder, legacyRoots: legacyRoots).pending
        } catch let error as TrustClientError where error.code == .noTrustData {
            guard try await self.cache.read(.root, of: self.gun) != nil,
                try await self.cache.read(.timestamp, of: self.gun) == nil
            else { throw error }
            _ = try await publisher.publish([])
            return try await publisher.rotateKey(of: role, to: holder, legacyRoots: legacyRoots).pending
        }
    }

    /// A key that is there already, also on a token, named by its id or how that begins.
    private static func key(named name: String, in store: KeyStore) async throws -> KeyID? {
        let isID = name.utf8.count >= 7 && name.utf8.count <= 64 && name.allSatisfy { $0.isHexDigit }
        guard isID, !FileManager.default.fileExists(atPath: name) else { return nil }
        return try await store.entry(matching: name).id
    }

    /// Imports a private key of somebody's file, or finds one that is here.
    /// - Returns: its id; nil for no file.
    private func importKey(_ path: String?, role: RoleName, notedBy keys: NotedKeys) async throws -> KeyID? {
        guard let path else { return nil }
        let store = try await self.settings.keyStore()
        let known = Set(try await store.list().map(\.id))
        if let id = try await Self.key(named: path, in: store) { return id }
        let bytes = try await Self.read(path, limit: 64 << 10)
        var file: PrivateKeyPEM
        do {
            file = try PrivateKeyPEM(String(decoding: bytes, as: UTF8.self))
        } catch let error as KeyStoreError {
            throw KeyStoreError(error.code, "\(path): \(error.message)")
        }
        file.attributes.role = role
        file.attributes.gun = self.gun.text
        let id = try await store.importKey(file, passphrases: self.passphrases).id
        if !known.contains(id) { keys.note(id) }
        return id
    }

    static func read(_ path: String, limit: Int) async throws -> [UInt8] {
        do {
            guard let bytes = try await BlockingWork.run({ try DurableFile.read(path, limit: limit) }) else {
                throw TrustClientError(.storage, "there is no file \(path)")
            }
            return bytes
        } catch let error as FileSystemError {
            throw TrustClientError(.storage, error.description)
        }
    }
}
