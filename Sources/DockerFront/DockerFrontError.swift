// SPDX-License-Identifier: Apache-2.0

/// Why the front of `docker` did not do what it was asked. Two errors are equal when their codes are.
package struct DockerFrontError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of thing went wrong.
    package enum Code: Sendable, Hashable {
        /// The arguments are not those of `docker`, or not to be understood for sure.
        case usage
        /// There is no `docker` to hand over to.
        case noDocker
        /// An image is named by what content trust cannot follow.
        case reference
        /// A Dockerfile, or something else of a build, that content trust cannot follow.
        case build
        /// Nobody has signed what was asked for, or it must not be trusted.
        case untrusted
        /// `docker` did not do what it was asked.
        case docker
        /// A file could not be read, written or removed.
        case storage
        /// The user did not confirm.
        case cancelled
    }

    /// What kind of thing went wrong.
    package let code: Code
    /// What was found, what was expected, what to do next.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { self.message }

    /// Equality of codes.
    package static func == (left: DockerFrontError, right: DockerFrontError) -> Bool { left.code == right.code }

    /// Hashes the code.
    package func hash(into hasher: inout Hasher) { hasher.combine(self.code) }
}
