// SPDX-License-Identifier: Apache-2.0

/// What only the tie between images and trust can refuse. Compare by ``code``.
package struct ContentTrustError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// A setting or configuration file that cannot be used.
        case configuration
        /// A reference that names no tag to look up or sign.
        case reference
        /// Signed metadata that names no digest an image could have.
        case notAnImage
        /// A tag that does not mean in the registry what it was expected to.
        case tagMoved
        /// A name or key that no signer can have.
        case signer
        /// A signer without whom tags would stop counting.
        case lastSigner
        /// An engine that refuses, or is not as expected.
        case engine
        /// An engine that does not answer.
        case engineUnreachable
        /// A file that is no offline bundle, or one that lacks something or has too much.
        case bundle
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }
}

extension String {
    /// The path with a leading `~` replaced by the home directory.
    package var expandingTilde: String {
        guard self == "~" || self.hasPrefix("~/") else { return self }
        return ClientSettings.homeDirectory + self.dropFirst()
    }
}
