// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import Synchronization

/// Tokens that were verified, by their SHA-256, so that a client's further requests cost no signature check.
///
/// Bounded by two halves: when the young half is full it becomes the old one, and the old one is dropped. What is asked
/// for again moves to the young half.
final class VerifiedTokens: Sendable {
    struct Key: Hashable {
        private let digest: SHA256Digest

        init(_ token: Substring) {
            var token = token
            self.digest = token.withUTF8 { bytes in
                var hash = SHA256()
                hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
                return hash.finalize()
            }
        }
    }

    private struct Entry {
        let claims: JSONWebToken.Claims
        let cost: Int
    }

    private struct State {
        var generation: UInt64 = 0
        var young: [Key: Entry] = [:]
        var old: [Key: Entry] = [:]
        var youngCost = 0
    }

    /// What an entry takes besides what is in its token, in bytes; roughly.
    private static let overhead = 512

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = limit
    }

    subscript(key: Key) -> JSONWebToken.Claims? {
        self.state.withLock { state in
            if let entry = state.young[key] { return entry.claims }
            guard let entry = state.old[key] else { return nil }
            self.insert(entry, key, &state)
            return entry.claims
        }
    }

    /// To be asked for before a token is verified.
    var generation: UInt64 { self.state.withLock { $0.generation } }

    /// Keeps what was verified since the generation was asked for.
    func insert(_ claims: JSONWebToken.Claims, _ key: Key, length: Int, generation: UInt64) {
        let entry = Entry(claims: claims, cost: Self.overhead + 2 * length)
        guard entry.cost <= self.limit / 8 else { return }
        self.state.withLock { state in
            guard state.generation == generation else { return }
            self.insert(entry, key, &state)
        }
    }

    /// Forgets everything: other keys are trusted now.
    func removeAll() {
        self.state.withLock { $0 = State(generation: $0.generation &+ 1) }
    }

    private func insert(_ entry: Entry, _ key: Key, _ state: inout State) {
        if state.youngCost + entry.cost > self.limit / 2 {
            state.old = state.young
            state.young = [:]
            state.youngCost = 0
        }
        state.youngCost += entry.cost - (state.young.updateValue(entry, forKey: key)?.cost ?? 0)
    }
}
