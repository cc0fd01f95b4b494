// SPDX-License-Identifier: Apache-2.0

package import struct Foundation.Data

/// A value that goes into or comes out of a database.
package enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case text(String)
    case blob(Data)
}

/// One row of a result, read by column position.
package struct SQLRow: Sendable, Hashable {
    package let values: [SQLValue]

    package init(values: [SQLValue]) {
        self.values = values
    }

    /// - Throws: ``DatabaseError`` with code `corrupt` when the column is not there or holds another type.
    package func integer(_ column: Int) throws -> Int64 {
        guard case .integer(let value) = try self.value(column) else { throw self.mismatch(column, "an integer") }
        return value
    }

    /// - Throws: ``DatabaseError`` with code `corrupt` when the column is not there or holds another type.
    package func text(_ column: Int) throws -> String {
        guard case .text(let value) = try self.value(column) else { throw self.mismatch(column, "text") }
        return value
    }

    /// - Throws: ``DatabaseError`` with code `corrupt` when the column is not there or holds another type.
    package func blob(_ column: Int) throws -> Data {
        guard case .blob(let value) = try self.value(column) else { throw self.mismatch(column, "a blob") }
        return value
    }

    /// The integer, or nil for NULL.
    package func optionalInteger(_ column: Int) throws -> Int64? {
        try self.value(column) == .null ? nil : self.integer(column)
    }

    /// The text, or nil for NULL.
    package func optionalText(_ column: Int) throws -> String? {
        try self.value(column) == .null ? nil : self.text(column)
    }

    /// The bytes, or nil for NULL.
    package func optionalBlob(_ column: Int) throws -> Data? {
        try self.value(column) == .null ? nil : self.blob(column)
    }

    private func value(_ column: Int) throws -> SQLValue {
        guard self.values.indices.contains(column) else {
            throw DatabaseError(code: .corrupt, message: "the result has no column \(column)")
        }
        return self.values[column]
    }

    private func mismatch(_ column: Int, _ wanted: String) -> DatabaseError {
        DatabaseError(code: .corrupt, message: "column \(column) does not hold \(wanted)")
    }
}
