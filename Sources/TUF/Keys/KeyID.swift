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

    /// Equality of bytes.
    public static func == (left: KeyID, right: KeyID) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    /// Order of bytes.
    public static func < (left: KeyID, right: KeyID) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}
