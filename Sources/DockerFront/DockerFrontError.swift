// SPDX-License-Identifier: Apache-2.0

/// Why the front of `docker` did not do what it was asked.
package struct DockerFrontError: Error, Sendable, Hashable {
    /// What kind of thing went wrong.
    package enum Code: Sendable, Hashable {
        /// The arguments are not those of `docker`.
        case usage
        /// There is no `docker` to hand over to.
        case noDocker
        /// An image is named by what content trust cannot follow.
        case reference
    }

    /// What kind of thing went wrong.
    package let code: Code
    /// What was found, what was expected, what to do next.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
