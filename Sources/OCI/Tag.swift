// SPDX-License-Identifier: Apache-2.0

/// A name that a repository gives to a manifest and may move to another: a letter, digit or `_`, then up to 127 of
/// letters, digits, `.`, `_` and `-`.
public struct Tag: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The tag that stands where a reference names none.
    public static let latest = Tag(unchecked: "latest")

    /// The tag as it was given.
    public let description: String

    /// Parses a tag.
    /// - Throws: ``OCIError`` with code `referenceInvalid`.
    public init(_ text: some StringProtocol) throws {
        guard (1...128).contains(text.utf8.count), let first = text.utf8.first,
            first != UInt8(ascii: "."), first != UInt8(ascii: "-"), text.utf8.allSatisfy(Self.isAllowed)
        else {
            throw OCIError(
                .referenceInvalid,
                """
                "\(text.prefix(160))" is not a tag: it needs 1 to 128 letters, digits, '.', '_' or '-', \
                and neither '.' nor '-' comes first
                """
            )
        }
        self.description = String(text)
    }

    private init(unchecked text: String) {
        self.description = text
    }

    /// Orders by bytes, as the tag list of a registry does.
    public static func < (left: Tag, right: Tag) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }
}

extension Tag: Codable {
    /// Reads the text form.
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.description)
    }
}
