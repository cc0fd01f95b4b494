// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB

/// One SQLite connection during one block. Statements are prepared once per connection and kept.
struct SQLiteConnection: SQLConnection {
    let database: GRDB.Database

    func query(_ sql: String, _ parameters: [SQLValue]) throws -> [SQLRow] {
        do {
            let statement = try self.database.cachedStatement(sql: sql)
            let columns = statement.columnCount
            let cursor = try Row.fetchCursor(statement, arguments: Self.arguments(parameters))
            var rows: [SQLRow] = []
            while let row = try cursor.next() {
                var values: [SQLValue] = []
                values.reserveCapacity(columns)
                for column in 0..<columns {
                    values.append(try Self.value(row[column] as DatabaseValue, column: column))
                }
                rows.append(SQLRow(values: values))
            }
            return rows
        } catch {
            throw DatabaseError.translating(error)
        }
    }

    @discardableResult
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> Int {
        do {
            let before = self.database.totalChangesCount
            try self.database.cachedStatement(sql: sql).execute(arguments: Self.arguments(parameters))
            // The connection remembers the count of the last statement that changed rows, which need not be this one.
            return self.database.totalChangesCount == before ? 0 : self.database.changesCount
        } catch {
            throw DatabaseError.translating(error)
        }
    }

    /// Runs a statement that has no parameters and no rows, such as COMMIT.
    func run(_ sql: String) throws {
        do {
            try self.database.cachedStatement(sql: sql).execute()
        } catch {
            throw DatabaseError.translating(error)
        }
    }

    private static func arguments(_ parameters: [SQLValue]) throws -> StatementArguments {
        try StatementArguments(
            parameters.map { value -> DatabaseValue in
                switch value {
                case .null: return .null
                case .integer(let integer): return integer.databaseValue
                case .text(let text):
                    // Neither driver keeps it: SQLite would hand back what stands before it, PostgreSQL refuses it.
                    guard !text.utf8.contains(0) else {
                        throw DatabaseError(code: .constraintViolation, message: "text must not hold a NUL character")
                    }
                    return text.databaseValue
                case .blob(let data): return data.databaseValue
                }
            }
        )
    }

    private static func value(_ value: DatabaseValue, column: Int) throws -> SQLValue {
        switch value.storage {
        case .null: .null
        case .int64(let integer): .integer(integer)
        case .string(let text): .text(text)
        case .blob(let data): .blob(data)
        case .double:
            throw DatabaseError(
                code: .corrupt,
                message: "column \(column) holds a floating point number, which no schema of ours has"
            )
        }
    }
}
