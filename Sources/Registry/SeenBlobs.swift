// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import OCI
import Synchronization

/// Remembers which blobs clients were told of, and brings it to the database now and then: a client that hears of a blob
/// does not push it, so the blob must not be collected before the client's manifest comes.
final class SeenBlobs: Sendable {
    /// How many are remembered before they must be written.
    private static let capacity = 20_000
    /// How many are written in one transaction.
    private static let batch = 1_000

    private let store: RegistryStore
    private let pending = Mutex<[Digest: Int64]>([:])

    init(store: RegistryStore) {
        self.store = store
    }

    /// Remembers that a client was told of a blob.
    /// - Returns: False when there is no room: ``flush()`` first.
    func note(_ digest: Digest, at time: Date) -> Bool {
        let seconds = Int64(time.timeIntervalSince1970)
        return self.pending.withLock { pending in
            guard pending.count < Self.capacity || pending[digest] != nil else { return false }
            pending[digest] = seconds
            return true
        }
    }

    /// Writes what is remembered now. What cannot be written is remembered on.
    func flush() async throws {
        var rest = self.pending.withLock { Array($0) }[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.batch)
            rest = rest.dropFirst(Self.batch)
            try await self.store.noteSeen(Dictionary(uniqueKeysWithValues: batch.map { ($0.key, $0.value) }))
            self.pending.withLock { pending in
                for (digest, time) in batch where pending[digest] == time { pending[digest] = nil }
            }
        }
    }
}
