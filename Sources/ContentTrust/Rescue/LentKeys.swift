// SPDX-License-Identifier: Apache-2.0

import KeyStore
import NotaryAPI
import TUF
import TrustClient

/// Keys of files that are used once, before those of a store, and put into none.
struct LentKeys: SigningKeys {
    private let keys: [KeyID: PrivateKey]
    private let roles: [KeyID: RoleName]
    private let store: any SigningKeys

    /// - Parameter files: paths, and what is in them.
    init(
        _ files: [(path: String, bytes: [UInt8])],
        before store: any SigningKeys,
        passphrases: any PassphraseSource
    ) async throws {
        var keys: [KeyID: PrivateKey] = [:]
        var roles: [KeyID: RoleName] = [:]
        for (path, bytes) in files {
            do {
                let file = try PrivateKeyPEM(String(decoding: bytes, as: UTF8.self))
                let key = try await file.unlocked(by: passphrases)
                keys[key.publicKey.id] = key
                roles[key.publicKey.id] = file.attributes.role
            } catch let error as KeyStoreError {
                throw KeyStoreError(error.code, "\(path): \(error.message)")
            }
        }
        self.keys = keys
        self.roles = roles
        self.store = store
    }

    func available() async throws -> [AvailableKey] {
        let stored = try await self.store.available()
        let lent = self.keys.keys.filter { id in !stored.contains { $0.id == id } }.sorted()
        return lent.map { AvailableKey(id: $0, role: self.roles[$0] ?? RoleName(""), gun: nil) } + stored
    }

    func key(_ id: KeyID) async throws -> any UnlockedKey {
        if let key = self.keys[id] { return key }
        return try await self.store.key(id)
    }

    func add(_ key: PrivateKey, role: RoleName, gun: GUN?) async throws {
        try await self.store.add(key, role: role, gun: gun)
    }

    func remove(_ id: KeyID) async throws { try await self.store.remove(id) }
}
