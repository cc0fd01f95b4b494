// SPDX-License-Identifier: Apache-2.0

import TUF

/// Why a repository could not be read or changed. What metadata itself is refused for is a `TUFError`, and what signatures are
/// refused for a `CeremonyError`. Two errors are equal when their codes are.
package struct RepositoryError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    package enum Code: String, Sendable, Hashable {
        /// There is no repository in the directory.
        case noRepository
        /// There is one already.
        case exists
        /// What was asked for contradicts itself or the repository.
        case invalid
        /// Something staged or configured cannot be read.
        case malformed
        /// There is no such target, role or key.
        case notFound
        /// No role that may lists a target.
        case notSigned
        /// Metadata waits for signatures.
        case incomplete
        /// The file system refused.
        case storage
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
    package static func == (left: RepositoryError, right: RepositoryError) -> Bool { left.code == right.code }

    /// Hashes the code.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
