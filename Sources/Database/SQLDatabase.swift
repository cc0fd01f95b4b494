// SPDX-License-Identifier: Apache-2.0

/// An SQL database behind one of two drivers: SQLite (embedded default) or PostgreSQL.
///
/// SQL is the portable subset of ``PortableSQL``, with `?` for parameters; a driver rewrites what differs. Blocks run
/// on a thread of the driver's own, never on the cooperative pool, so they may take their time but must not wait for
/// other tasks.
package protocol SQLDatabase: Sendable {
    /// Reads in one consistent view of the data.
    func read<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result

    /// Runs statements that only read, and returns the rows of each. Each sees what is committed when it is run: they have no
    /// view in common, which makes this the cheapest way to read.
    func query(_ statements: [SQLStatement]) async throws -> [[SQLRow]]

    /// Runs the block in one transaction: all of it is durable when this returns, none of it is there when this throws.
    /// Several writes may share one commit. A block may be run again when the database reports a serialization failure,
    /// so it must have no effect but on the connection.
    @discardableResult
    func write<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result

    /// Reads while holding locks that writers of ``write(locking:_:)`` take: what they were doing is in the view or has not
    /// begun. For one statement; each further one has a view of its own.
    func read<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result

    /// Runs the block as ``write(_:)`` does, but kept from others by the locks alone, which it takes first and which cost less
    /// than what the database must do to keep any two blocks apart.
    ///
    /// Only for a block in which each statement decides by itself (`ON CONFLICT`, an UPDATE with its condition), or
    /// concludes only from rows that nobody changes without one of these locks. SQLite has one writer anyway.
    @discardableResult
    func write<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result

    /// Applies those of the migrations that are not applied yet, in order, each in one transaction.
    func migrate(_ migrations: [SQLMigration]) async throws

    /// What it has to do now, and had to do so far.
    var statistics: SQLStatistics { get }

    /// Waits for running work, then closes. Later calls throw `unavailable`.
    func close() async throws
}

extension SQLDatabase {
    package func query(_ statements: [SQLStatement]) async throws -> [[SQLRow]] {
        try await self.read { try $0.queryAll(statements) }
    }

    /// Runs one statement that only reads.
    package func query(_ sql: String, _ parameters: SQLValue...) async throws -> [SQLRow] {
        try await self.query([SQLStatement(sql, parameters)]).first ?? []
    }

    package func read<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.read(block)
    }

    @discardableResult
    package func write<Result: Sendable>(
        locking locks: [SQLLock],
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result {
        try await self.write(block)
    }
}

/// How busy a database is.
package struct SQLStatistics: Sendable, Hashable {
    /// Connections that are there.
    package var connections = 0
    /// Connections with work to do.
    package var inUse = 0
    /// Calls that wait for a connection.
    package var waiting = 0
    /// Transactions that were run again, because they lost a race or their connection, since it was opened.
    package var retries: UInt64 = 0
    /// Connections that were lost since it was opened.
    package var lostConnections: UInt64 = 0

    package init() {}
}

/// A connection inside a transaction. Valid only within the block that it was given to.
package protocol SQLConnection {
    /// Runs one statement and returns its rows.
    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [SQLRow]

    /// Runs one statement and returns how many rows it changed.
    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int

    /// Runs statements in their order and returns the rows of each. None may need what another one returns: they may travel
    /// together.
    func queryAll(_ statements: [SQLStatement]) throws -> [[SQLRow]]

    /// Runs statements in their order, as ``queryAll(_:)`` does, and returns how many rows each changed.
    @discardableResult
    func executeAll(_ statements: [SQLStatement]) throws -> [Int]
}

extension SQLConnection {
    package func query(_ sql: String, _ parameters: SQLValue...) throws -> [SQLRow] {
        try self.query(sql, parameters)
    }

    @discardableResult
    package func execute(_ sql: String, _ parameters: SQLValue...) throws -> Int {
        try self.execute(sql, parameters)
    }

    package func queryAll(_ statements: [SQLStatement]) throws -> [[SQLRow]] {
        try statements.map { try self.query($0.sql, $0.parameters) }
    }

    @discardableResult
    package func executeAll(_ statements: [SQLStatement]) throws -> [Int] {
        try statements.map { try self.execute($0.sql, $0.parameters) }
    }
}

/// One step in the history of a schema. Its name is stored: never change it, nor the statements of a released one.
package struct SQLMigration: Sendable {
    package let name: String
    package let statements: [String]

    package init(name: String, statements: [String]) {
        self.name = name
        self.statements = statements
    }
}
