// SPDX-License-Identifier: Apache-2.0

import TUF

/// Why metadata that waits for signatures could not be read, signed or merged. What metadata itself is refused for is a
/// `TUFError`. Two errors are equal when their codes are.
package struct CeremonyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    package enum Code: String, Sendable, Hashable {
        /// Metadata that cannot follow what is trusted.
        case invalid
        /// A file of the ceremony that cannot be read, or is not what its name says.
        case malformed
        /// There is no key that may sign, or nothing that waits.
        case notFound
        /// A key that is none of the role's.
        case foreignKey
        /// A signature that the key it names did not make on this content.
        case wrongSignature
        /// The key has signed already.
        case alreadySigned
        /// Two copies do not say the same.
        case otherContent
    }

    /// The kind of failure.
    package let code: Code
    /// What was found, what was expected, what to do next.
    package let message: String

    /// Makes an error.
    package init(_ code: Code, _ message: String) {
        self.code = code
        // Control characters that somebody else wrote stay out of terminals, as in errors of metadata.
        self.message = TUFError(.invalid, message).message
    }

    /// The message.
    package var description: String { self.message }

    /// Equality of codes.
    package static func == (left: CeremonyError, right: CeremonyError) -> Bool { left.code == right.code }

    /// Hashes the code.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
