// SPDX-License-Identifier: Apache-2.0

/// Why a client cannot show who it is. Each client turns it into an error of its own.
package struct HTTPAccessError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    package enum Code: Sendable, Hashable {
        /// The server names a token service that must not be asked, or none that could be.
        case challenge
        /// The token service does not accept the credentials.
        case refused
        /// The token service has a problem of its own.
        case unavailable
        /// What the token service answered holds no token.
        case noToken
        /// The credentials of this machine cannot be had: a broken configuration or helper program.
        case credentials
    }

    /// What went wrong.
    package let code: Code
    /// What was found, what was expected, and what to do. Never a secret.
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { self.message }
}

extension StringProtocol {
    /// Text from outside, short and without characters that move a terminal's cursor.
    package func printable(limit: Int = 300) -> String {
        String(
            String.UnicodeScalarView(
                self.unicodeScalars.prefix(limit).map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                        " "
                    default: scalar
                    }
                }
            )
        )
    }
}
