// SPDX-License-Identifier: Apache-2.0

/// A secret that somebody can type. It does not show itself in logs, descriptions or dumps.
package struct Passphrase: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    /// Its UTF-8 bytes.
    package let bytes: [UInt8]

    /// Takes a passphrase as it is.
    package init(_ text: String) {
        self.bytes = Array(text.utf8)
    }

    /// Takes one as somebody typed or stored it: without the white space and line ends around it.
    package init(trimming text: String) {
        var bytes = Array(text.utf8)[...]
        bytes = bytes.drop { Self.isSpace($0) }
        while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
        self.bytes = Array(bytes)
    }

    /// True for the one that stands for "not encrypted".
    package var isEmpty: Bool { self.bytes.isEmpty }

    /// How many characters it has.
    package var count: Int { String(decoding: self.bytes, as: UTF8.self).count }

    /// Not the passphrase.
    package var description: String { "<passphrase>" }

    /// Not the passphrase.
    package var debugDescription: String { self.description }

    /// Nothing to look into.
    package var customMirror: Mirror { Mirror(self, children: []) }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
