// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import Logging
import Synchronization

/// The driver for PostgreSQL from version 13 on: a fixed pool of connections, each on a thread of its own.
///
/// - Isolation: a write is SERIALIZABLE, so that what a store concludes from what it reads holds when it commits, whoever else
///   writes from wherever; or it is guarded by locks that it names, and then READ COMMITTED. A read is REPEATABLE READ.
/// - A block is run again when the database says that it lost a race (40001, 40P01), and when the connection is lost before
///   the commit was asked for. Once it was asked for and no answer came, the caller gets `unknownOutcome`: only it knows
///   whether its work may be done twice.
/// - A commit has been synced to the disk when it returns, whatever the server's default for `synchronous_commit`; its `fsync`
///   must not be off.
/// - Statements are prepared once on each connection; BEGIN goes with the first statement, and ``SQLConnection/queryAll(_:)``
///   and ``SQLConnection/executeAll(_:)`` send all of theirs in one round trip.
package final class PostgreSQLDatabase: SQLDatabase {
    private let configuration: PostgreSQLConfiguration
    private let logger: Logger?
    private let state = Mutex(State())
    private let counts = PostgreSQLCounts()

    private struct State {
        var requests: Deque<PostgreSQLRequest> = []
        var workers = 0
        var idle: [PostgreSQLWorker] = []
        var isClosing = false
        var whenClosed: [CheckedContinuation<Void, Never>] = []
    }

    /// Connects once, to find out now whether that works.
    ///
    /// - Parameter logger: is told of connections that are lost.
    /// - Throws: ``DatabaseError`` with code `unavailable` when the library is missing or the server refuses.
    package init(_ configuration: PostgreSQLConfiguration, logger: Logger? = nil) async throws {
        self.configuration = configuration
        self.logger = logger
        do {
            try await self.submit(.read(nil), patience: 0) { _ in }
        } catch {
            try? await self.close()
            guard let error = error as? DatabaseError else { throw error }
            throw DatabaseError(code: error.code, message: "cannot open the PostgreSQL database: \(error.message)")
        }
    }

    package func read<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.submit(.read(nil), patience: self.configuration.patience, block)
    }

    package func read<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.submit(.read(locks), patience: self.configuration.patience, block)
    }

    package func query(_ statements: [SQLStatement]) async throws -> [[SQLRow]] {
        try await self.submit(.query, patience: self.configuration.patience) { try $0.queryAll(statements) }
    }

    @discardableResult
    package func write<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.submit(.write(nil), patience: self.configuration.patience, block)
    }

    @discardableResult
    package func write<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.submit(.write(locks), patience: self.configuration.patience, block)
    }

    package func migrate(_ migrations: [SQLMigration]) async throws {
        try await self.applyMigrations(migrations)
    }

    package func close() async throws {
        await withCheckedContinuation { continuation in
            let (isClosed, idle) = self.state.withLock { state in
                state.isClosing = true
                if state.workers > 0 { state.whenClosed.append(continuation) }
                defer { state.idle = [] }
                return (state.workers == 0, state.idle)
            }
            for worker in idle { worker.wakeUp() }
            if isClosed { continuation.resume() }
        }
    }

    package var statistics: SQLStatistics {
        var statistics = self.state.withLock { state in
            var statistics = SQLStatistics()
            statistics.connections = state.workers
            statistics.inUse = state.workers - state.idle.count
            statistics.waiting = state.requests.count
            return statistics
        }
        statistics.retries = self.counts.retries.load(ordering: .relaxed)
        statistics.lostConnections = self.counts.lostConnections.load(ordering: .relaxed)
        return statistics
    }

    // MARK: - Queue

    private func submit<Result: Sendable>(
        _ kind: PostgreSQLRequest.Kind,
        patience: Int64,
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            let request = PostgreSQLRequest(
                kind,
                patience: patience,
                block,
                continuation
            )
            let start = self.state.withLock { state -> Start in
                guard !state.isClosing else { return .refused }
                state.requests.append(request)
                if let idle = state.idle.popLast() { return .wake(idle) }
                guard state.workers < max(1, self.configuration.maximumConnections) else { return .nothing }
                state.workers += 1
                return .add
            }
            switch start {
            case .refused: request.fail(DatabaseError(code: .unavailable, message: "the database is closed"))
            case .nothing: break
            case .wake(let worker): worker.wakeUp()
            case .add:
                PostgreSQLWorker(self.configuration, self.counts, self.logger).start(
                    next: { self.next(for: $0) },
                    ended: { self.workerEnded() }
                )
            }
        }
    }

    private enum Start {
        case refused
        case nothing
        case wake(PostgreSQLWorker)
        case add
    }

    /// Waits for work, on the worker's thread; nil when there will be no more.
    private func next(for worker: PostgreSQLWorker) -> PostgreSQLRequest? {
        while true {
            let (request, isOver) = self.state.withLock { state -> (PostgreSQLRequest?, Bool) in
                if let request = state.requests.popFirst() { return (request, false) }
                guard !state.isClosing else { return (nil, true) }
                state.idle.append(worker)
                return (nil, false)
            }
            if let request { return request }
            if isOver { return nil }
            worker.sleep()
        }
    }

    private func workerEnded() {
        let waiting = self.state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.workers -= 1
            guard state.workers == 0 else { return [] }
            defer { state.whenClosed = [] }
            return state.whenClosed
        }
        for continuation in waiting { continuation.resume() }
    }
}

/// What all connections of a pool count together.
final class PostgreSQLCounts: Sendable {
    let retries = Atomic<UInt64>(0)
    let lostConnections = Atomic<UInt64>(0)
}
