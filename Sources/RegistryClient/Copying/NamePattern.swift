// SPDX-License-Identifier: Apache-2.0

import OCI

/// A pattern for names of repositories or tags: `*` is any text without a slash, `**` any text at all.
///
///     team/app     that repository
///     team/*       those directly in team
///     team/**      all below team
///     **           all
struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    private enum Element: Sendable, Hashable {
        case byte(UInt8)
        case anyWithinSegment
        case any
    }

    /// The longest pattern, in bytes.
    private static let maximumLength = 512

    /// The pattern as it was written.
    let description: String
    private let elements: [Element]

    /// - Throws: `OCIError` with code `referenceInvalid` for a pattern that no name could match, such as an empty one.
    init(_ text: some StringProtocol) throws {
        guard (1...Self.maximumLength).contains(text.utf8.count) else {
            throw OCIError(.referenceInvalid, "a pattern of names has 1 to \(Self.maximumLength) bytes")
        }
        var elements: [Element] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "*"):
                switch elements.last {
                case .anyWithinSegment?: elements[elements.count - 1] = .any
                case .any?: break
                case .byte?, nil: elements.append(.anyWithinSegment)
                }
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "/"):
                elements.append(.byte(byte))
            default:
                throw OCIError(
                    .referenceInvalid,
                    "\"\(text)\" has a character that no name has; a pattern has those of names, / and *"
                )
            }
        }
        self.description = String(text)
        self.elements = elements
    }

    /// Whether a name is meant. Takes time that grows with the product of the two lengths at most.
    func matches(_ name: String) -> Bool {
        // Which numbers of elements may have been used up so far.
        var reached = self.closure([0])
        for byte in name.utf8 {
            var next: Set<Int> = []
            for index in reached where index < self.elements.count {
                switch self.elements[index] {
                case .byte(byte): next.insert(index + 1)
                case .byte: break
                case .anyWithinSegment: if byte != UInt8(ascii: "/") { next.insert(index) }
                case .any: next.insert(index)
                }
            }
            guard !next.isEmpty else { return false }
            reached = self.closure(next)
        }
        return reached.contains(self.elements.count)
    }

    /// Those and what is reached from them without any text.
    private func closure(_ indices: Set<Int>) -> Set<Int> {
        var all = indices
        for start in indices {
            var index = start
            while index < self.elements.count, self.elements[index] == .any || self.elements[index] == .anyWithinSegment
            {
                index += 1
                all.insert(index)
            }
        }
        return all
    }
}
