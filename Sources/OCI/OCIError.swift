// SPDX-License-Identifier: Apache-2.0

/// Something that is not what the OCI or Docker formats allow. Compare by ``code``.
public struct OCIError: Error, Sendable, CustomStringConvertible {
    /// What kind of thing is wrong.
    public enum Code: Sendable, Hashable {
        /// Not a digest, or of an algorithm that is not supported.
        case digestInvalid
        /// Content whose hash is not the digest it was asked for by.
        case digestMismatch
        /// Not a repository name, tag or image reference.
        case referenceInvalid
        /// Not a manifest of a kind that is known, or one that contradicts itself.
        case manifestInvalid
        /// An image layout or archive that is broken, truncated or unsafe.
        case archiveInvalid
        /// No image of that name or platform in a layout or archive, or several where one is needed.
        case imageUnknown
        /// The file system refused.
        case inputOutput
    }

    /// What kind of thing is wrong.
    public let code: Code
    /// What was found, and what was expected.
    public let message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { self.message }
}
