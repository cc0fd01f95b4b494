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

    /// Runs the block in one transaction: all of it is durable when this returns, none of it is there when this throws.
    /// Several writes may share one commit. A block may be run again when the database reports a serialization failure,
    /// so it must have no effect but on the connection.
    @discardableResult
    func write<Result: Sendable>(
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result
    ) async throws -> Result

    /// Applies those of the migrations that are not applied yet, in order, each in one transaction.
    func migrate(_ migrations: [SQLMigration]) async throws

    /// Waits for running work, then closes. Later calls throw `unavailable`.
    func close() async throws
}

/// A connection inside a transaction. Valid only within the block that it was given to.
package protocol SQLConnection {
    /// Runs one statement and returns its rows.
    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [SQLRow]

    /// Runs one statement and returns how many rows it changed.
    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int
}

extension SQLConnection {
    package func query(_ sql: String, _ parameters: SQLValue...) throws -> [SQLRow] {
        try self.query(sql, parameters)
    }

    @discardableResult
    package func execute(_ sql: String, _ parameters: SQLValue...) throws -> Int {
        try self.execute(sql, parameters)
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
