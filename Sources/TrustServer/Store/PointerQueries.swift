// SPDX-License-Identifier: Apache-2.0

import NotaryAPI
import Synchronization

/// Asks the database which timestamps are newest, for many readers at once.
///
/// Whoever asks while queries are under way waits for the next one, which is then made for all who wait: no reader gets an answer
/// that was found before it asked, and a thousand readers of one collection cost as much as two.
final class PointerQueries: Sendable {
    /// What was asked for, in the same order.
    typealias Query = @Sendable ([GUN]) async throws -> [TimestampPointer?]

    /// How many queries run at once.
    private static let limit = 2
    /// How many collections one query asks for.
    private static let batch = 64

    private struct Waiting: Sendable {
        let gun: GUN
        let continuation: CheckedContinuation<Turn, any Error>
    }

    private enum Turn: Sendable {
        case answered(TimestampPointer?)
        /// It is on whoever gets this to ask, for these too.
        case asks([Waiting])
    }

    private struct State {
        var running = 0
        var waiting: [Waiting] = []
    }

    private let query: Query
    private let state = Mutex(State())

    init(query: @escaping Query) {
        self.query = query
    }

    /// The newest timestamp of a collection; nil when it has none.
    func pointer(of gun: GUN) async throws -> TimestampPointer? {
        let turn: Turn = try await withCheckedThrowingContinuation { continuation in
            let asks = self.state.withLock { state in
                guard state.running >= Self.limit else {
                    state.running += 1
                    return true
                }
                state.waiting.append(Waiting(gun: gun, continuation: continuation))
                return false
            }
            if asks { continuation.resume(returning: .asks([])) }
        }
        switch turn {
        case .answered(let pointer): return pointer
        case .asks(let others): return try await self.ask(gun, others)
        }
    }

    /// How many readers wait for a query that has not begun.
    var waitingCount: Int { self.state.withLock { $0.waiting.count } }

    private func ask(_ gun: GUN, _ others: [Waiting]) async throws -> TimestampPointer? {
        var guns = [gun]
        var positions = [gun: 0]
        for other in others where positions[other.gun] == nil {
            positions[other.gun] = guns.count
            guns.append(other.gun)
        }
        do {
            let pointers = try await self.query(guns)
            self.handOver()
            func answer(_ gun: GUN) -> TimestampPointer? {
                positions[gun].flatMap { pointers.indices.contains($0) ? pointers[$0] : nil }
            }
            for other in others { other.continuation.resume(returning: .answered(answer(other.gun))) }
            return answer(gun)
        } catch is CancellationError {
            // Only this reader has gone.
            if let next = others.first {
                next.continuation.resume(returning: .asks(Array(others.dropFirst())))
            } else {
                self.handOver()
            }
            throw CancellationError()
        } catch {
            self.handOver()
            for other in others { other.continuation.resume(throwing: error) }
            throw error
        }
    }

    /// The first of those who came meanwhile asks for the others.
    private func handOver() {
        let next = self.state.withLock { state -> [Waiting] in
            let next = Array(state.waiting.prefix(Self.batch))
            state.waiting.removeFirst(next.count)
            if next.isEmpty { state.running -= 1 }
            return next
        }
        next.first?.continuation.resume(returning: .asks(Array(next.dropFirst())))
    }
}
