// SPDX-License-Identifier: Apache-2.0

/// What went wrong in a database, with a code that both drivers share. Equality of codes is what callers test.
package struct DatabaseError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// A UNIQUE or PRIMARY KEY constraint refused the row: somebody else was first.
        case uniqueViolation
        /// Another constraint (foreign key, check, not null) refused the row.
        case constraintViolation
        /// The transaction lost against another one and may be tried again.
        case serializationFailure
        /// No space, or no permission, to write: nothing was stored.
        case storageFull
        /// The database cannot be reached or is locked for too long.
        case unavailable
        /// The connection was lost while the transaction was being committed: it is stored, or it is not.
        case unknownOutcome
        /// What is stored is not what was expected.
        case corrupt
        /// The statement itself is wrong, or anything else.
        case other
    }

    package let code: Code
    package let message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "database: \(self.message)" }
}
