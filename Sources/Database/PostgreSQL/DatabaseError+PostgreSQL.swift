// SPDX-License-Identifier: Apache-2.0

/// What went wrong in a conversation with PostgreSQL, before it is decided whether to try again.
struct PostgreSQLFailure: Error {
    enum Kind: Sendable {
        /// The server refused the statement; the transaction is over.
        case refused
        /// The transaction lost against another one: the same again may succeed.
        case lostRace
        /// The statements that were prepared are no longer there, or no longer fit.
        case stalePlan
        /// A write was tried in a transaction, or on a server, that only reads.
        case readOnly
        /// There is no connection any more.
        case disconnected
    }

    let kind: Kind
    let error: DatabaseError

    /// - Parameters:
    ///   - sqlState: the five characters of SQLSTATE; empty when the library itself reports.
    ///   - message: the server's words, which hold no parameters.
    init(sqlState: String, message: String, sql: String?) {
        let state = sqlState.isEmpty ? "" : " (SQLSTATE \(sqlState))"
        let place = sql.map { " in: \($0)" } ?? ""
        self.error = DatabaseError(code: Self.code(sqlState), message: message + state + place)
        self.kind = Self.kind(sqlState)
    }

    init(disconnected message: String) {
        self.kind = .disconnected
        self.error = DatabaseError(code: .unavailable, message: message)
    }

    private static func kind(_ state: String) -> Kind {
        switch state {
        case "40001", "40P01": .lostRace
        // A plan whose result would change, a statement that is not there.
        case "0A000", "26000": .stalePlan
        case "25006": .readOnly
        // Ended by the administrator or a crash, not up yet, or closed for being idle.
        case "57P01", "57P02", "57P03", "57P05", "25P03": .disconnected
        default: state.hasPrefix("08") ? .disconnected : .refused
        }
    }

    private static func code(_ state: String) -> DatabaseError.Code {
        switch state {
        case "23505": return .uniqueViolation
        case "40001", "40P01": return .serializationFailure
        case "53100", "58030", "42501": return .storageFull
        // Cancelled by a timeout, a lock that was not to be had, a standby.
        case "57014", "55P03", "25006", "25P03", "25P04": return .unavailable
        case "XX001", "XX002": return .corrupt
        default: break
        }
        switch state.prefix(2) {
        // Integrity constraints; values that do not fit their columns.
        case "22", "23": return .constraintViolation
        case "08", "53", "57": return .unavailable
        default: return .other
        }
    }
}
