// SPDX-License-Identifier: Apache-2.0

/// Why a token, a scope or a key is not accepted. Equal by ``code`` alone.
package struct TokenError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// Not a token, or too large for one.
        case malformed
        /// An algorithm that is not accepted, or not with this kind of key.
        case algorithm
        /// No trusted key is named, or its certificate leads to none of the roots.
        case unknownKey = "unknown_key"
        /// Signed by someone else, or changed since.
        case signature
        /// Not from the issuer that is trusted.
        case issuer
        /// For another service.
        case audience
        /// Its time is over.
        case expired
        /// Its time has not come.
        case notYetValid = "not_yet_valid"
        /// A scope that cannot be read.
        case scope
        /// A key or certificate that cannot be used.
        case key
        /// A file that cannot be read, or has nothing that can be used.
        case file
        /// A setting that is missing or cannot be.
        case configuration
    }

    package let code: Code
    package let message: String

    /// - Parameters:
    ///   - code: The kind of error.
    ///   - message: May quote what came from outside.
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message.loggable(upTo: 2048)
    }

    package static func == (left: TokenError, right: TokenError) -> Bool {
        left.code == right.code
    }

    package var description: String { self.message }
}
