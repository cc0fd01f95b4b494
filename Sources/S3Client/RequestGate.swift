// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets only so many in at the same time; the others wait in the order in which they came.
final class RequestGate: Sendable {
    /// The right to run; given back when nobody holds it any more, or before.
    final class Permit: Sendable {
        private let gate: RequestGate
        private let isHeld = Mutex(true)

        fileprivate init(_ gate: RequestGate) { self.gate = gate }

        func giveBack() {
            let wasHeld = self.isHeld.withLock { isHeld in
                defer { isHeld = false }
                return isHeld
            }
            if wasHeld { self.gate.release() }
        }

        deinit { self.giveBack() }
    }

    private struct State {
        var free: Int
        var number: UInt64 = 0
        var waiting: [(number: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    private let state: Mutex<State>

    /// - Parameter limit: how many may run.
    init(limit: Int) { self.state = Mutex(State(free: limit)) }

    /// Waits for a permit.
    /// - Parameter sleep: returns when waiting has lasted too long.
    /// - Returns: nil when that came first.
    /// - Throws: `CancellationError`.
    func enter(orAfter sleep: @escaping @Sendable () async throws -> Void) async throws -> Permit? {
        if self.takeFree() { return Permit(self) }
        return try await withThrowingTaskGroup(of: Permit?.self) { group in
            group.addTask { await self.wait() ? Permit(self) : nil }
            group.addTask {
                try await sleep()
                return nil
            }
            defer { group.cancelAll() }
            let permit = try await group.next() ?? nil
            if permit == nil { try Task.checkCancellation() }
            return permit
        }
    }

    private func takeFree() -> Bool {
        self.state.withLock { state in
            guard state.free > 0 else { return false }
            state.free -= 1
            return true
        }
    }

    private func wait() async -> Bool {
        let number = self.state.withLock { state in
            state.number += 1
            return state.number
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = self.state.withLock { state in
                    if Task.isCancelled { return false }
                    if state.free > 0 {
                        state.free -= 1
                        return true
                    }
                    state.waiting.append((number, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let continuation = self.state.withLock { state in
                state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0).continuation }
            }
            continuation?.resume(returning: false)
        }
    }

    private func release() {
        let next = self.state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst().continuation }
            state.free += 1
            return nil
        }
        next?.resume(returning: true)
    }
}
