// SPDX-License-Identifier: Apache-2.0

/// The identifier of a key: the SHA-256 of its canonical form, in lower-case hexadecimal.
public struct KeyID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The text as it stands in metadata.
    public let text: String

    /// Takes an identifier as it is written; one that no key has simply never matches.
    public init(_ text: String) {
        self.text = text
    }

    /// The whole identifier.
    public var description: String { self.text }

    /// Order of text.
    public static func < (left: KeyID, right: KeyID) -> Bool { left.text < right.text }
}
