// SPDX-License-Identifier: Apache-2.0

/// The connection that a block sees. BEGIN and the locks travel with the block's first statement.
final class PostgreSQLTransaction: SQLConnection {
    private static let lock = """
        SELECT pg_advisory_xact_lock(hashtextextended((coalesce(current_schema()::TEXT, '') || ' ' || ?) COLLATE "C", 0))
        """
    private static let sharedLock = """
        SELECT pg_advisory_xact_lock_shared(
        hashtextextended((coalesce(current_schema()::TEXT, '') || ' ' || ?) COLLATE "C", 0))
        """

    private let session: PostgreSQLSession
    private let opening: [SQLStatement]
    private(set) var hasBegun = false
    /// The first statement that failed: the transaction is over, whatever the block makes of it.
    private(set) var failure: PostgreSQLFailure?

    init(on session: PostgreSQLSession, _ kind: PostgreSQLRequest.Kind) {
        self.session = session
        switch kind {
        case .query: self.opening = []
        case .read(nil): self.opening = [SQLStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")]
        case .read(let locks?):
            self.opening = [SQLStatement("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")] + Self.taking(locks)
        case .write(nil): self.opening = [SQLStatement("BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE")]
        case .write(let locks?):
            self.opening = [SQLStatement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")] + Self.taking(locks)
        }
    }

    /// In one order for everybody, so that nobody waits for each other.
    private static func taking(_ locks: [SQLLock]) -> [SQLStatement] {
        locks.sorted { $0.name < $1.name }.map {
            SQLStatement($0.isShared ? Self.sharedLock : Self.lock, .text($0.name))
        }
    }

    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [SQLRow] {
        try self.queryAll([SQLStatement(sql, parameters)]).first ?? []
    }

    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int {
        try self.executeAll([SQLStatement(sql, parameters)]).first ?? 0
    }

    func queryAll(_ statements: [SQLStatement]) throws -> [[SQLRow]] {
        try self.run(statements).map { try $0.rows() }
    }

    @discardableResult
    func executeAll(_ statements: [SQLStatement]) throws -> [Int] {
        try self.run(statements).map(\.changes)
    }

    private func run(_ statements: [SQLStatement]) throws -> [PostgreSQLResult] {
        if let failure { throw failure.error }
        guard !statements.isEmpty else { return [] }
        let opening = self.hasBegun ? [] : self.opening
        do {
            let results = try self.session.run(statements, after: opening)
            self.hasBegun = !self.opening.isEmpty
            return results
        } catch let failure as PostgreSQLFailure {
            self.fail(failure)
            throw failure.error
        } catch let error as DatabaseError {
            // A parameter that cannot be sent: nothing was, but a block that fails is undone here as everywhere.
            throw error
        }
    }

    private func fail(_ failure: PostgreSQLFailure) {
        self.failure = failure
        // BEGIN may have been run before what failed.
        self.hasBegun = !self.opening.isEmpty
    }

    /// Makes it durable.
    /// - Throws: ``PostgreSQLFailure``, of kind `disconnected` when nobody can tell whether it is.
    func commit() throws {
        guard self.hasBegun else { return }
        let result = try self.session.command("COMMIT")
        guard result?.command == "COMMIT" else {
            throw PostgreSQLFailure(sqlState: "", message: "the transaction was undone by the server", sql: nil)
        }
    }

    /// Undoes it. A connection on which this fails is broken.
    func rollback() {
        guard self.hasBegun, !self.session.isBroken else { return }
        _ = try? self.session.command("ROLLBACK")
    }
}
