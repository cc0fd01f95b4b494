// SPDX-License-Identifier: Apache-2.0

/// What the server answered to one message.
final class PostgreSQLResult {
    private let library: LibPQ
    private let pointer: LibPQ.Result

    init(_ pointer: LibPQ.Result, _ library: LibPQ) {
        self.pointer = pointer
        self.library = library
    }

    deinit {
        self.library.clear(self.pointer)
    }

    /// A value of ExecStatusType.
    var status: CInt { self.library.resultStatus(self.pointer) }

    /// What was done, such as `COMMIT` or `UPDATE 2`.
    var command: String { self.library.commandStatus(self.pointer).map { String(cString: $0) } ?? "" }

    /// How many rows it changed.
    var changes: Int {
        guard ["INSERT", "UPDATE", "DELETE"].contains(where: self.command.hasPrefix) else { return 0 }
        return self.library.commandTuples(self.pointer).flatMap { Int(String(cString: $0)) } ?? 0
    }

    /// - Throws: ``DatabaseError`` with code `corrupt` for a type that no schema of ours has.
    func rows() throws -> [SQLRow] {
        let columns = self.library.columnCount(self.pointer)
        let types = (0..<columns).map { self.library.columnType(self.pointer, $0) }
        return try (0..<self.library.rowCount(self.pointer)).map { row in
            SQLRow(
                values: try zip(0..<columns, types).map { column, type in
                    guard self.library.valueIsNull(self.pointer, row, column) == 0 else { return .null }
                    let count = Int(self.library.valueLength(self.pointer, row, column))
                    let start = self.library.value(self.pointer, row, column)
                    return try PostgreSQLValue.value(UnsafeRawBufferPointer(start: start, count: count), type: type)
                }
            )
        }
    }

    /// Of a prepared statement that was described.
    var parameterTypes: [UInt32] {
        (0..<self.library.parameterCount(self.pointer)).map { self.library.parameterType(self.pointer, $0) }
    }

    /// The error that it is.
    func failure(of sql: String) -> PostgreSQLFailure {
        let state = self.library.resultErrorField(self.pointer, LibPQ.sqlState).map { String(cString: $0) } ?? ""
        let message =
            (self.library.resultErrorField(self.pointer, LibPQ.primaryMessage)
            ?? self.library.resultErrorMessage(self.pointer)).map { String(cString: $0) } ?? ""
        return PostgreSQLFailure(sqlState: state, message: message, sql: sql)
    }
}
