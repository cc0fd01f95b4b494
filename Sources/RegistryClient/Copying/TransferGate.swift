// SPDX-License-Identifier: Apache-2.0

import OCI
import Synchronization

/// Bounds how many blobs are on their way at once, and lets only one task at a time deal with one digest: what one has
/// brought, the next can mount.
final class TransferGate: Sendable {
    private struct State {
        var running = 0
        var busy: Set<Digest> = []
        var waiting: [(digest: Digest, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// Runs the body when it is the digest's turn. Waiting does not end early on cancellation: those before it do.
    func withTurn<Result>(_ digest: Digest, _ body: () async throws -> Result) async rethrows -> Result {
        await withCheckedContinuation { continuation in
            let isFree = self.state.withLock { state in
                guard state.running < self.limit, !state.busy.contains(digest) else {
                    state.waiting.append((digest, continuation))
                    return false
                }
                state.running += 1
                state.busy.insert(digest)
                return true
            }
            if isFree { continuation.resume() }
        }
        defer { self.leave(digest) }
        return try await body()
    }

    private func leave(_ digest: Digest) {
        let next: CheckedContinuation<Void, Never>? = self.state.withLock { state in
            state.running -= 1
            state.busy.remove(digest)
            guard let index = state.waiting.firstIndex(where: { !state.busy.contains($0.digest) }) else { return nil }
            let next = state.waiting.remove(at: index)
            state.running += 1
            state.busy.insert(next.digest)
            return next.continuation
        }
        next?.resume()
    }
}
