// SPDX-License-Identifier: Apache-2.0

import TUF

/// The globally unique name of a trusted collection, such as `docker.io/library/alpine`.
///
/// Compared by bytes: two spellings of one Unicode text are two collections. It becomes a path on disks and in URLs, so it
/// holds nothing that could lead elsewhere.
package struct GUN: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The longest name, in bytes: what Notary's tables hold.
    package static let limit = 255

    /// The name as it is written.
    package let text: String

    /// Takes a name: 1 to 255 bytes of UTF-8, no `*`, no control characters, and between slashes no empty segment, `.` or
    /// `..`.
    /// - Throws: `TUFError` with code `invalid`, saying which rule is broken.
    package init(_ text: String) throws {
        func refuse(_ reason: String) -> TUFError {
            TUFError(.invalid, "\(String(text.unicodeScalars.prefix(80))) is not the name of a collection: \(reason)")
        }
        guard !text.isEmpty else { throw refuse("it is empty") }
        guard text.utf8.count <= Self.limit else { throw refuse("it has more than \(Self.limit) bytes") }
        for byte in text.utf8 {
            guard byte != UInt8(ascii: "*") else { throw refuse("it contains *") }
            guard byte >= 0x20, byte != 0x7F else { throw refuse("it contains a control character") }
        }
        for segment in text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard !segment.isEmpty, !segment.elementsEqual(".".utf8), !segment.elementsEqual("..".utf8) else {
                throw refuse("it has an empty segment, . or .. between slashes")
            }
        }
        self.text = text
    }

    /// The name.
    package var description: String { self.text }

    /// Equality of bytes.
    package static func == (left: GUN, right: GUN) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    /// Hashes the bytes.
    package func hash(into hasher: inout Hasher) {
        var text = self.text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xFF as UInt8)
    }

    /// Order of bytes.
    package static func < (left: GUN, right: GUN) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    /// Whether the name starts with these bytes.
    package func hasPrefix(_ prefix: String) -> Bool { self.text.utf8.starts(with: prefix.utf8) }
}
