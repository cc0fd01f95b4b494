// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import GRDB
import Synchronization

/// The embedded driver: one SQLite file in WAL mode, in which every acknowledged commit has been synced to the disk.
///
/// Writers share commits. Blocks that wait while another commit is being synced run in the next transaction together,
/// each in a savepoint of its own, so that one that throws is undone alone; then one COMMIT (one sync) covers them all,
/// and only then does any of them return. Readers never wait for writers.
///
/// Blocks run on threads of the driver. Constraints must not be `DEFERRED`: they would fail the commit that others share.
package final class SQLiteDatabase: SQLDatabase {
    /// How many blocks share one commit at most, which bounds how long the first of them waits.
    static let maximumBatch = 256

    private let pool: DatabasePool
    private let path: String
    private let maximumReaders: Int
    private let checkpointer: SQLiteCheckpointer
    private let state: SharedState

    /// Shared with the checkpointer, which may learn that the disk fails.
    private final class SharedState: Sendable {
        private let mutex = Mutex(State())

        func withLock<Result>(_ body: (inout sending State) throws -> sending Result) rethrows -> sending Result {
            try self.mutex.withLock(body)
        }
    }

    private struct State {
        var writes: [SQLiteRequest] = []
        var reads: [SQLiteRequest] = []
        var writerRuns = false
        var readersRunning = 0
        var commits = 0
        var isClosing = false
        /// Set when a sync failed: what the kernel says about later ones can no longer be believed.
        var failure: DatabaseError?
        /// The one that closes, waiting for running work.
        var whenIdle: CheckedContinuation<Void, Never>?
        var isClosed = false
        var whenClosed: [CheckedContinuation<Void, Never>] = []

        var isIdle: Bool { !self.writerRuns && self.readersRunning == 0 && self.writes.isEmpty && self.reads.isEmpty }
    }

    /// Opens the file, or makes it (mode 0600) when there is none; its directory must exist.
    ///
    /// - Throws: ``DatabaseError`` with code `corrupt` when the file is not an SQLite database, `unavailable` when it
    ///   cannot be opened, `storageFull` when it cannot be written.
    package init(path: String) async throws {
        self.path = path
        self.maximumReaders = max(2, min(8, ProcessInfo.processInfo.activeProcessorCount))
        let readers = self.maximumReaders
        let state = SharedState()
        self.state = state
        self.checkpointer = SQLiteCheckpointer(path: path) { error in
            guard let failure = Self.syncFailure(error.extendedResultCode, error, path: path) else { return }
            state.withLock { $0.failure = failure }
        }
        self.pool = try await BlockingWork.wait { try SQLiteFile.open(path: path, maximumReaders: readers) }
    }

    package func read<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.submit(block, isWrite: false)
    }

    @discardableResult
    package func write<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.submit(block, isWrite: true)
    }

    package func close() async throws {
        let isFirst = self.state.withLock { state in
            defer { state.isClosing = true }
            return !state.isClosing
        }
        guard isFirst else {
            await withCheckedContinuation { continuation in
                let isClosed = self.state.withLock { state in
                    if !state.isClosed { state.whenClosed.append(continuation) }
                    return state.isClosed
                }
                if isClosed { continuation.resume() }
            }
            return
        }
        await withCheckedContinuation { continuation in
            let isIdle = self.state.withLock { state in
                if !state.isIdle { state.whenIdle = continuation }
                return state.isIdle
            }
            if isIdle { continuation.resume() }
        }
        defer {
            let waiting = self.state.withLock { state in
                state.isClosed = true
                defer { state.whenClosed = [] }
                return state.whenClosed
            }
            for continuation in waiting { continuation.resume() }
        }
        let (pool, checkpointer) = (self.pool, self.checkpointer)
        do {
            try await BlockingWork.wait {
                let lastCheckpoint = Result { try checkpointer.close() }
                // Leaves everything in the one file, for whoever copies it. Should it fail, the log still has it all.
                _ = try? pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
                try pool.close()
                try lastCheckpoint.get()
            }
        } catch {
            throw DatabaseError.translating(error)
        }
    }

    /// How many transactions were committed so far: with many writers, far fewer than their calls.
    package var commits: Int { self.state.withLock { $0.commits } }

    /// How many blocks wait for the writer.
    package var queuedWrites: Int { self.state.withLock { $0.writes.count } }

    package var statistics: SQLStatistics {
        self.state.withLock { state in
            var statistics = SQLStatistics()
            statistics.connections = self.maximumReaders + 1
            statistics.inUse = state.readersRunning + (state.writerRuns ? 1 : 0)
            statistics.waiting = state.reads.count + state.writes.count
            return statistics
        }
    }

    // MARK: - Queues

    private enum Start {
        case nothing
        case writer
        case reader
    }

    private func submit<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result,
        isWrite: Bool
    ) async throws -> Result {
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            let request = SQLiteRequest(block, continuation)
            let start: Swift.Result<Start, DatabaseError> = self.state.withLock { state in
                if state.isClosing {
                    return .failure(DatabaseError(code: .unavailable, message: "\(self.path) is closed"))
                }
                if isWrite {
                    if let failure = state.failure { return .failure(failure) }
                    state.writes.append(request)
                    guard !state.writerRuns else { return .success(.nothing) }
                    state.writerRuns = true
                    return .success(.writer)
                }
                state.reads.append(request)
                guard state.readersRunning < self.maximumReaders else { return .success(.nothing) }
                state.readersRunning += 1
                return .success(.reader)
            }
            switch start {
            case .failure(let error): continuation.resume(throwing: error)
            case .success(.nothing): break
            case .success(.writer): self.pool.asyncWriteWithoutTransaction { self.drainWrites(on: $0) }
            case .success(.reader): self.pool.asyncUnsafeRead { self.drainReads($0) }
            }
        }
    }

    /// Called with the lock held when a worker ends: hands over to ``close()`` when that waits.
    private static func leave(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard state.isIdle else { return nil }
        defer { state.whenIdle = nil }
        return state.whenIdle
    }

    // MARK: - Readers

    private func drainReads(_ opened: Result<GRDB.Database, any Error>) {
        while let batch = self.nextReads() {
            switch opened {
            case .failure(let error):
                for request in batch { request.fail(DatabaseError.translating(error)) }
            case .success(let database):
                self.run(batch, on: SQLiteConnection(database: database))
            }
        }
    }

    /// A share of what waits, so that a slow block holds up few others; nil (and one worker less) when nothing waits.
    private func nextReads() -> [SQLiteRequest]? {
        let (batch, idle): ([SQLiteRequest]?, CheckedContinuation<Void, Never>?) = self.state.withLock { state in
            guard !state.reads.isEmpty else {
                state.readersRunning -= 1
                return (nil, Self.leave(&state))
            }
            let count = min(32, (state.reads.count + self.maximumReaders - 1) / self.maximumReaders)
            let batch = Array(state.reads.prefix(count))
            state.reads.removeFirst(count)
            return (batch, nil)
        }
        idle?.resume()
        return batch
    }

    /// One view of the data serves all of the batch: it begins after each of them was asked for.
    private func run(_ batch: [SQLiteRequest], on connection: SQLiteConnection) {
        do {
            try connection.run("BEGIN DEFERRED TRANSACTION")
        } catch {
            for request in batch { request.fail(error) }
            return
        }
        for request in batch {
            do {
                try request.run(connection)()
            } catch {
                request.fail(error)
            }
        }
        // A reader has nothing to lose: if this fails, so does the next BEGIN, and says so.
        try? connection.run("COMMIT TRANSACTION")
    }

    // MARK: - Writer

    private func drainWrites(on database: GRDB.Database) {
        let connection = SQLiteConnection(database: database)
        while let batch = self.nextWrites() {
            if let failure = self.state.withLock({ $0.failure }) {
                for request in batch { request.fail(failure) }
            } else {
                self.commit(batch, on: connection)
            }
        }
    }

    private func nextWrites() -> [SQLiteRequest]? {
        let (batch, idle): ([SQLiteRequest]?, CheckedContinuation<Void, Never>?) = self.state.withLock { state in
            guard !state.writes.isEmpty else {
                state.writerRuns = false
                return (nil, Self.leave(&state))
            }
            let batch = Array(state.writes.prefix(Self.maximumBatch))
            state.writes.removeFirst(batch.count)
            return (batch, nil)
        }
        idle?.resume()
        return batch
    }

    private func commit(_ batch: [SQLiteRequest], on connection: SQLiteConnection) {
        guard batch.count > 1 else {
            for request in batch { self.commitAlone(request, on: connection) }
            return
        }
        do {
            try connection.run("BEGIN IMMEDIATE TRANSACTION")
        } catch {
            for request in batch { request.fail(error) }
            return
        }
        var succeeded: [(request: SQLiteRequest, finish: @Sendable () -> Void)] = []
        for (index, request) in batch.enumerated() {
            do {
                try connection.run("SAVEPOINT one_of_batch")
                let finish = try request.run(connection)
                try connection.run("RELEASE SAVEPOINT one_of_batch")
                succeeded.append((request, finish))
            } catch {
                request.fail(error)
                if self.undo(on: connection) { continue }
                // SQLite gave up the whole transaction (a full disk, say). The others did nothing wrong: each gets a
                // transaction of its own.
                for other in succeeded { self.commitAlone(other.request, on: connection) }
                for other in batch.dropFirst(index + 1) { self.commitAlone(other, on: connection) }
                return
            }
        }
        do {
            try connection.run("COMMIT TRANSACTION")
        } catch {
            self.abandon(error, on: connection)
            for other in succeeded { other.request.fail(error) }
            return
        }
        self.noteCommit()
        for other in succeeded { other.finish() }
    }

    /// Undoes one block of a batch. False when the whole transaction is gone.
    private func undo(on connection: SQLiteConnection) -> Bool {
        guard connection.database.isInsideTransaction else { return false }
        do {
            try connection.run("ROLLBACK TRANSACTION TO SAVEPOINT one_of_batch")
            try connection.run("RELEASE SAVEPOINT one_of_batch")
            return true
        } catch {
            try? connection.run("ROLLBACK TRANSACTION")
            return false
        }
    }

    private func commitAlone(_ request: SQLiteRequest, on connection: SQLiteConnection) {
        do {
            try connection.run("BEGIN IMMEDIATE TRANSACTION")
            let finish = try request.run(connection)
            try connection.run("COMMIT TRANSACTION")
            self.noteCommit()
            finish()
        } catch {
            self.abandon(error, on: connection)
            request.fail(error)
        }
    }

    private func abandon(_ error: any Error, on connection: SQLiteConnection) {
        let code = connection.database.lastErrorCode
        if connection.database.isInsideTransaction { try? connection.run("ROLLBACK TRANSACTION") }
        guard let failure = Self.syncFailure(code, error, path: self.path) else { return }
        self.state.withLock { $0.failure = failure }
    }

    private func noteCommit() {
        self.state.withLock { $0.commits += 1 }
        self.checkpointer.noteCommit()
    }

    /// What is to be said from now on if this was a sync that failed.
    private static func syncFailure(_ code: ResultCode, _ error: any Error, path: String) -> DatabaseError? {
        guard code == .SQLITE_IOERR_FSYNC || code == .SQLITE_IOERR_DIR_FSYNC else { return nil }
        return DatabaseError(
            code: .storageFull,
            message: "a sync of \(path) to the disk failed, so later ones cannot be believed; check the disk, "
                + "then start again (\(error))"
        )
    }
}

/// A block that waits for its turn, with its result type hidden.
struct SQLiteRequest: Sendable {
    /// Runs the block; what it returns tells the caller, and is called when the commit is durable.
    let run: @Sendable (SQLiteConnection) throws -> @Sendable () -> Void
    /// Tells the caller that it failed.
    let fail: @Sendable (any Error) -> Void

    init<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result,
        _ continuation: CheckedContinuation<Result, any Error>
    ) {
        self.run = { connection in
            let result = try block(connection)
            return { continuation.resume(returning: result) }
        }
        self.fail = { continuation.resume(throwing: $0) }
    }
}
