// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GRDB
import Synchronization

/// Copies the write-ahead log into the database file, on a connection of its own: left to the writer, every so many commits
/// one would wait for all of it, two syncs included.
///
/// What a checkpoint has copied whole, the next commit overwrites: the log stays short, and its blocks stay allocated.
final class SQLiteCheckpointer: Sendable {
    /// How many commits there are between two checkpoints at least: commits meanwhile wait for the disk behind its syncs, and
    /// are to be fewer than one in a hundred.
    static let interval = 256
    /// At how many pages of the log the writer does it after all: they came faster than they could be copied.
    static let maximumLogPages = 8192

    private let path: String
    private let queue = DispatchQueue(label: "hallmark.database.checkpoint")
    private let state = Mutex((commits: 0, isRunning: false))
    /// Opened for the first checkpoint: most that start a server, or a command, never come to one.
    private let connection = Mutex<DatabaseQueue?>(nil)
    /// Told of a checkpoint that failed.
    private let failed: @Sendable (GRDB.DatabaseError) -> Void

    init(path: String, failed: @escaping @Sendable (GRDB.DatabaseError) -> Void) {
        self.path = path
        self.failed = failed
    }

    /// To be called after each commit.
    func noteCommit() {
        let isDue = self.state.withLock { state in
            state.commits += 1
            guard state.commits >= Self.interval, !state.isRunning else { return false }
            state = (commits: 0, isRunning: true)
            return true
        }
        guard isDue else { return }
        self.queue.async {
            do {
                try self.checkpoint()
            } catch let error as GRDB.DatabaseError {
                // Whatever it was, the log still has everything, and the next one tries again.
                self.failed(error)
            } catch {}
            self.state.withLock { $0.isRunning = false }
        }
    }

    private func checkpoint() throws {
        try self.connection.withLock { connection in
            let opened = try connection ?? DatabaseQueue(path: self.path)
            connection = opened
            _ = try opened.writeWithoutTransaction { try $0.checkpoint(.passive) }
        }
    }

    /// Waits for a running checkpoint. No commit may follow.
    func close() throws {
        try self.queue.sync { try self.connection.withLock { try $0?.close() } }
    }
}
