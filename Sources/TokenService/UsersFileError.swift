// SPDX-License-Identifier: Apache-2.0

/// Something about the file of users that is not as it must be. Equal by ``code`` alone.
package struct UsersFileError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// The file is not there, cannot be read, or is larger than it may be.
        case file
        /// A line is not `name:hash`.
        case line
        /// A hash that is not accepted.
        case hash
        /// A password that is not accepted.
        case password
        /// A name that is not accepted.
        case name
        /// There is a user of that name already.
        case exists
        /// There is no user of that name.
        case missing
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package static func == (left: UsersFileError, right: UsersFileError) -> Bool {
        left.code == right.code
    }

    package var description: String { self.message }
}
