// SPDX-License-Identifier: Apache-2.0

/// What names a manifest inside a repository: a tag or a digest, as in `/v2/<name>/manifests/<reference>`.
public enum Reference: Sendable, Hashable, CustomStringConvertible {
    /// By a name that may move.
    case tag(Tag)
    /// By content.
    case digest(Digest)

    /// Parses either form; a colon makes it a digest, since no tag has one.
    /// - Throws: ``OCIError`` with code `digestInvalid` or `referenceInvalid`.
    public init(_ text: some StringProtocol) throws {
        if text.utf8.contains(UInt8(ascii: ":")) {
            self = try .digest(Digest(text))
        } else {
            self = try .tag(Tag(text))
        }
    }

    /// The text that ``init(_:)`` reads.
    public var description: String {
        switch self {
        case .tag(let tag): tag.description
        case .digest(let digest): digest.description
        }
    }

    /// The digest, if this is one.
    public var digest: Digest? {
        switch self {
        case .tag: nil
        case .digest(let digest): digest
        }
    }
}
