// SPDX-License-Identifier: Apache-2.0

import Ceremony
package import KeyStore
package import NotaryAPI
package import TUF

/// A private key that may be used here.
package struct AvailableKey: Sendable, Hashable {
    /// Its canonical id.
    package let id: KeyID
    /// What it was made to sign: a top-level role, or a free name.
    package let role: RoleName
    /// The collection it was made for, if it is for one.
    package let gun: String?

    /// Makes a description.
    package init(id: KeyID, role: RoleName, gun: String?) {
        self.id = id
        self.role = role
        self.gun = gun
    }
}

/// The private keys that a publisher has.
package protocol SigningKeys: Sendable {
    /// All keys, in the order of their ids. Nothing is unlocked for it.
    func available() async throws -> [AvailableKey]

    /// Unlocks a key.
    func key(_ id: KeyID) async throws -> any UnlockedKey

    /// Unlocks several keys, at once where that saves time.
    func keys(_ ids: [KeyID]) async throws -> [KeyID: any UnlockedKey]

    /// Stores a new key.
    func add(_ key: PrivateKey, role: RoleName, gun: GUN?) async throws

    /// Removes a key for good.
    func remove(_ id: KeyID) async throws
}

extension SigningKeys {
    package func keys(_ ids: [KeyID]) async throws -> [KeyID: any UnlockedKey] {
        var keys: [KeyID: any UnlockedKey] = [:]
        for id in ids { keys[id] = try await self.key(id) }
        return keys
    }
}

/// The keys of a trust directory and of its token, unlocked with what a passphrase source says.
package struct StoredKeys: SigningKeys {
    private let store: KeyStore
    private let passphrases: any PassphraseSource

    /// Takes a store and the source that unlocks it.
    package init(_ store: KeyStore, passphrases: any PassphraseSource) {
        self.store = store
        self.passphrases = passphrases
    }

    package func available() async throws -> [AvailableKey] {
        try await self.store.list().map { AvailableKey(id: $0.id, role: $0.role, gun: $0.gun) }
    }

    package func key(_ id: KeyID) async throws -> any UnlockedKey {
        try await self.store.key(id, passphrases: self.passphrases)
    }

    package func keys(_ ids: [KeyID]) async throws -> [KeyID: any UnlockedKey] {
        try await self.store.keys(ids, passphrases: self.passphrases)
    }

    package func add(_ key: PrivateKey, role: RoleName, gun: GUN?) async throws {
        try await self.store.add(key, role: role, gun: gun?.text, passphrases: self.passphrases)
    }

    /// Removes a key's file. A key on a token stays there until somebody says that it is to be destroyed.
    package func remove(_ id: KeyID) async throws {
        do {
            try await self.store.remove(id)
        } catch let error as KeyStoreError where error.code == .notFound {
            guard try await self.store.entry(id)?.isOnToken == true else { throw error }
        }
    }
}

/// The keys of one publish: each is unlocked once.
struct KeyRing {
    private let keys: any SigningKeys
    private let available: Set<KeyID>
    private var unlocked: [KeyID: any UnlockedKey] = [:]

    init(_ keys: any SigningKeys) async throws {
        self.keys = keys
        self.available = Set(try await keys.available().map(\.id))
    }

    /// Which of these keys are here.
    func held(_ keys: [PublicKey]) -> [PublicKey] {
        keys.filter { key in
            guard let id = try? key.canonicalID else { return false }
            return self.available.contains(id) || self.unlocked[id] != nil
        }
    }

    /// Whether as many of a role's keys are here as must sign.
    func meets(_ role: RoleKeys) -> Bool {
        Set(self.held(role.keys).compactMap { try? $0.canonicalID }).count >= max(1, role.threshold)
    }

    /// Adds a key that was made just now.
    mutating func add(_ key: any UnlockedKey) {
        self.unlocked[key.publicKey.id] = key
    }

    /// Unlocks the private half of a key that is here.
    mutating func privateKey(of key: PublicKey) async throws -> any UnlockedKey {
        let id = try key.canonicalID
        let privateKey: any UnlockedKey
        if let known = self.unlocked[id] { privateKey = known } else { privateKey = try await self.keys.key(id) }
        self.unlocked[id] = privateKey
        return privateKey
    }

    private mutating func signer(_ key: PublicKey) async throws -> any SigningKey {
        try ListedPrivateKey(try await self.privateKey(of: key), as: key)
    }

    /// Unlocks every key of a role that is here, under the names that the metadata has for them.
    /// - Throws: ``TrustClientError`` with code `noSigningKey` when fewer keys are here than must sign.
    mutating func signers(for role: RoleKeys) async throws -> [any SigningKey] {
        guard self.meets(role) else { throw self.missing(role) }
        var signers: [any SigningKey] = []
        for key in self.held(role.keys) { signers.append(try await self.signer(key)) }
        return signers
    }

    /// Unlocks every key that may sign what waits, is here, and has not signed it.
    mutating func signers(for ceremony: SigningCeremony) async throws -> [any SigningKey] {
        let signed = Set(ceremony.metadata.signatures.map(\.keyID))
        var signers: [any SigningKey] = []
        for key in self.held(ceremony.keys) where !signed.contains(key.id) {
            signers.append(try await self.signer(key))
        }
        return signers
    }

    /// Unlocks the keys of several roles that are here, all at once: each takes a good part of a second.
    mutating func unlock(_ roles: [RoleKeys]) async throws {
        var locked: [KeyID] = []
        for id in roles.flatMap({ self.held($0.keys) }).compactMap({ try? $0.canonicalID })
        where self.unlocked[id] == nil && !locked.contains(id) {
            locked.append(id)
        }
        guard locked.count > 1 else { return }
        for (id, key) in try await self.keys.keys(locked) { self.unlocked[id] = key }
    }

    /// Why a role cannot be signed here.
    func missing(_ role: RoleKeys) -> TrustClientError {
        let ids = role.keys.map { (try? $0.canonicalID) ?? $0.id }.map(\.text)
        return TrustClientError(
            .noSigningKey,
            "\(role.role) must be signed by \(role.threshold) of the keys \(ids.joined(separator: ", ")); "
                + "\(self.held(role.keys).count) of them are here. Import the key, or ask who has it"
        )
    }
}
