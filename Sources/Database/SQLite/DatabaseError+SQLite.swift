// SPDX-License-Identifier: Apache-2.0

import GRDB

extension DatabaseError {
    /// Turns what SQLite reported into one of the codes that both drivers share.
    init(sqlite error: GRDB.DatabaseError) {
        self.init(code: Self.code(for: error), message: Self.message(for: error))
    }

    /// Passes our own errors and those of a caller's block through, and translates SQLite's.
    static func translating(_ error: any Error) -> any Error {
        guard let error = error as? GRDB.DatabaseError else { return error }
        return DatabaseError(sqlite: error)
    }

    private static func code(for error: GRDB.DatabaseError) -> Code {
        switch error.extendedResultCode {
        case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID:
            return .uniqueViolation
        case .SQLITE_BUSY_SNAPSHOT:
            return .serializationFailure
        default:
            break
        }
        switch error.resultCode {
        case .SQLITE_CONSTRAINT, .SQLITE_TOOBIG:
            return .constraintViolation
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_PERM:
            return .storageFull
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_CANTOPEN, .SQLITE_INTERRUPT, .SQLITE_NOMEM, .SQLITE_ABORT,
            .SQLITE_PROTOCOL:
            return .unavailable
        case .SQLITE_NOTADB, .SQLITE_CORRUPT, .SQLITE_FORMAT:
            return .corrupt
        default:
            return .other
        }
    }

    /// SQLite's own words and the statement; never the parameters, which may be secrets.
    private static func message(for error: GRDB.DatabaseError) -> String {
        var message = error.message ?? "\(error.resultCode)"
        message += " (SQLite \(error.extendedResultCode.rawValue))"
        if let sql = error.sql { message += " in: \(sql)" }
        return message
    }
}
