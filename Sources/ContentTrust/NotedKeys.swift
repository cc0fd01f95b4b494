// SPDX-License-Identifier: Apache-2.0

import KeyStore
import NotaryAPI
import Synchronization
import TUF
import TrustClient

/// Keys that remember which of them were added meanwhile, so that they can be named, or taken back.
final class NotedKeys: SigningKeys {
    private let keys: any SigningKeys
    private let noted = Mutex<[KeyID]>([])

    init(_ keys: any SigningKeys) {
        self.keys = keys
    }

    /// The ids of the keys that were added.
    var added: [KeyID] { self.noted.withLock { $0 } }

    /// Notes a key that came another way.
    func note(_ id: KeyID) { self.noted.withLock { $0.append(id) } }

    /// Removes the keys that were added.
    func removeAdded() async {
        for id in self.added { try? await self.remove(id) }
    }

    func available() async throws -> [AvailableKey] { try await self.keys.available() }

    func key(_ id: KeyID) async throws -> any UnlockedKey { try await self.keys.key(id) }

    func keys(_ ids: [KeyID]) async throws -> [KeyID: any UnlockedKey] { try await self.keys.keys(ids) }

    func add(_ key: PrivateKey, role: RoleName, gun: GUN?) async throws {
        try await self.keys.add(key, role: role, gun: gun)
        self.note(key.publicKey.id)
    }

    func remove(_ id: KeyID) async throws {
        try await self.keys.remove(id)
        self.noted.withLock { $0.removeAll { $0 == id } }
    }
}
