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
        var found: [any SigningKey] = []
        for key in keys {
            // A key of a kind that we cannot read is none that we have.
            guard let id = try? key.canonicalID, try await self.store.entry(id) != nil else { continue }
            found.append(try ListedPrivateKey(try await self.unlock(id), as: key))
        }
        return found
    }

    private func unlock(_ id: KeyID) async throws -> any UnlockedKey {
        if let key = self.unlocked.withLock({ $0[id] }) { return key }
        let key = try await Self.key(id, in: self.store, passphrases: self.passphrases)
        self.unlocked.withLock { $0[id] = key }
        return key
    }

    private static func key(
        _ id: KeyID,
        in store: KeyStore,
        passphrases: some PassphraseSource
    ) async throws -> any UnlockedKey {
        try await store.key(id, passphrases: passphrases)
    }
}
