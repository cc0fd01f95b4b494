// SPDX-License-Identifier: Apache-2.0

import Database
import Synchronization

/// A database that counts what the writer is asked to do, and lets a test act just before it.
final class WatchedDatabase: SQLDatabase {
    private let database: any SQLDatabase
    /// Runs before each write.
    private let beforeWrite: @Sendable () async throws -> Void
    private let statements = Mutex(0)

    /// How many statements ran in write transactions, those of attempts that failed included.
    var writerStatements: Int { self.statements.withLock { $0 } }

    init(_ database: any SQLDatabase, beforeWrite: @escaping @Sendable () async throws -> Void = {}) {
        self.database = database
        self.beforeWrite = beforeWrite
    }

    func read<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.database.read(block)
    }

    func write<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.beforeWrite()
        return try await self.database.write { connection in
            let counting = Connection(connection: connection)
            defer { self.statements.withLock { $0 += counting.count.withLock { $0 } } }
            return try block(counting)
        }
    }

    func migrate(_ migrations: [SQLMigration]) async throws { try await self.database.migrate(migrations) }
    var statistics: SQLStatistics { self.database.statistics }
    func close() async throws {}

    private final class Connection: SQLConnection {
        private let connection: any SQLConnection
        let count = Mutex(0)

        init(connection: any SQLConnection) {
            self.connection = connection
        }

        func query(_ sql: String, _ parameters: [SQLValue]) throws -> [SQLRow] {
            self.count.withLock { $0 += 1 }
            return try self.connection.query(sql, parameters)
        }

        func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int {
            self.count.withLock { $0 += 1 }
            return try self.connection.execute(sql, parameters)
        }
    }
}
