// SPDX-License-Identifier: Apache-2.0

import KeyStore
import Synchronization
import TUF

/// Decrypted keys in memory, at most so many: those not used for longest go first. The library wipes a key when the last
/// reference to it goes.
final class KeyCache: Sendable {
    struct Entry: Sendable {
        let key: PrivateKey
        let role: RoleName
        /// When the database was last told that this key signs, in Unix milliseconds; nil when it never was.
        var lastUsed: Int64?
    }

    private struct State {
        var entries: [KeyID: (entry: Entry, turn: UInt64)] = [:]
        var turn: UInt64 = 0
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    var count: Int { self.state.withLock { $0.entries.count } }

    func entry(_ id: KeyID) -> Entry? {
        self.state.withLock { state in
            state.turn &+= 1
            guard let entry = state.entries[id]?.entry else { return nil }
            state.entries[id]?.turn = state.turn
            return entry
        }
    }

    func insert(_ entry: Entry, for id: KeyID) {
        self.state.withLock { state in
            state.turn &+= 1
            state.entries[id] = (entry, state.turn)
            guard state.entries.count > self.limit else { return }
            // A quarter at once, so that a full cache does not sort for every key.
            let oldest = state.entries.sorted { $0.value.turn < $1.value.turn }
            for (id, _) in oldest.prefix(max(1, self.limit / 4)) { state.entries[id] = nil }
        }
    }

    /// Notes that the database knows of the use.
    func markUsed(_ id: KeyID, at instant: Int64) {
        self.state.withLock { $0.entries[id]?.entry.lastUsed = instant }
    }

    func remove(_ id: KeyID) {
        self.state.withLock { $0.entries[id] = nil }
    }
}
