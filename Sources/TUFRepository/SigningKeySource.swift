// SPDX-License-Identifier: Apache-2.0

import Foundation
package import KeyStore
import Synchronization
package import TUF

/// Where a publisher's private keys come from.
package protocol SigningKeySource: Sendable {
    /// Those of the keys that this source can sign with, under the ids that they are listed by.
    func signingKeys(among keys: [PublicKey], for role: RoleName) async throws -> [any SigningKey]
}

/// The keys of a trust directory. Each is unlocked once, when it is first needed.
package final class StoredSigningKeys: SigningKeySource {
    private let store: KeyStore
    private let passphrases: any PassphraseSource
    private let unlocked = Mutex<[KeyID: any UnlockedKey]>([:])

    /// - Parameter passphrases: opens the keys.
    package init(_ store: KeyStore, passphrases: any PassphraseSource) {
        self.store = store
        self.passphrases = passphrases
    }

    /// Makes a key and stores it encrypted.
    /// - Throws: `KeyStoreError`.
    package func generate(_ algorithm: PrivateKey.Algorithm, for role: RoleName) async throws -> PublicKey {
        let key = try await PrivateKey.generate(algorithm)
        let entry = try await self.store.add(key, role: role, passphrases: self.passphrases)
        self.unlocked.withLock { $0[entry.id] = key }
        return try key.publicKey.spelled(in: .tuf)
    }

    /// Makes a key for each role and stores it encrypted: all of them or, when a passphrase is not to be had, none.
    /// - Throws: `KeyStoreError`.
    package func generate(
        _ algorithm: PrivateKey.Algorithm,
        for roles: [RoleName]
    ) async throws -> [RoleName: PublicKey] {
        var made: [RoleName: PublicKey] = [:]
        do {
            for role in roles { made[role] = try await self.generate(algorithm, for: role) }
            return made
        } catch {
            for key in made.values { try? await self.store.remove(try key.canonicalID) }
            throw error
        }
    }

    package func signingKeys(among keys: [PublicKey], for role: RoleName) async throws -> [any SigningKey] {
        let stored = Set(try await self.store.list().map(\.id))
        // A key of a kind that we cannot read is none that we have.
        let held = keys.filter { key in (try? key.canonicalID).map { stored.contains($0) } ?? false }
        let known = self.unlocked.withLock { $0 }
        let locked = try held.map { try $0.canonicalID }.filter { known[$0] == nil }
        let opened = try await Self.keys(locked, in: self.store, passphrases: self.passphrases)
        self.unlocked.withLock { $0.merge(opened) { old, _ in old } }
        return try held.compactMap { key in
            let id = try key.canonicalID
            return try (known[id] ?? opened[id]).map { try ListedPrivateKey($0, as: key) }
        }
    }

    private static func keys(
        _ ids: [KeyID],
        in store: KeyStore,
        passphrases: some PassphraseSource
    ) async throws -> [KeyID: any UnlockedKey] {
        try await store.keys(ids, passphrases: passphrases)
    }
}
