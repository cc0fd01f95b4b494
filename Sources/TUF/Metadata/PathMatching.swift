// SPDX-License-Identifier: Apache-2.0

import Crypto

/// What the paths of a delegation say.
public enum PathMatching: Sendable, Hashable {
    /// Each is a prefix of bytes (Notary); the empty one covers all.
    case prefixes
    /// Each is a shell pattern, matched segment by segment (TUF `paths`).
    case patterns
    /// Each is the beginning of the lower-case hexadecimal SHA-256 of a path (TUF `path_hash_prefixes`).
    case hashPrefixes
}

/// A shell pattern for target paths: `*` is any text and `?` any one character, neither of them a slash; `[ab0-9]` is one of
/// these characters.
///
/// The number of segments must be equal, letters are compared as they are, and a leading dot is like any other character. What
/// TUF's implementations read differently matches nothing: classes that are negated, end in no bracket or begin with one, and
/// backslashes.
struct PathPattern {
    private let text: String

    init(_ text: String) {
        self.text = text
    }

    func matches(_ path: String) -> Bool {
        let patterns = self.text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let segments = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard patterns.count == segments.count else { return false }
        return zip(patterns, segments).allSatisfy { pattern, segment in
            guard let elements = Self.parse(Substring(pattern).unicodeScalars) else { return false }
            return Self.matches(elements, Array(Substring(segment).unicodeScalars))
        }
    }

    private enum Element {
        case anyText
        case anyCharacter
        case one(of: [ClosedRange<Unicode.Scalar>])
    }

    private static func parse(_ pattern: Substring.UnicodeScalarView) -> [Element]? {
        var elements: [Element] = []
        var rest = pattern
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*":
                // Two in a row say what one does.
                if case .anyText? = elements.last { continue }
                elements.append(.anyText)
            case "?": elements.append(.anyCharacter)
            case "\\": return nil
            case "[":
                guard let ranges = self.characterClass(&rest) else { return nil }
                elements.append(.one(of: ranges))
            default: elements.append(.one(of: [scalar...scalar]))
            }
        }
        return elements
    }

    private static func characterClass(_ rest: inout Substring.UnicodeScalarView) -> [ClosedRange<Unicode.Scalar>]? {
        guard let end = rest.firstIndex(of: "]"), let first = rest.first, first != "!", first != "^", first != "]"
        else {
            return nil
        }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        var characters = rest[..<end]
        rest = rest[rest.index(after: end)...]
        while let low = characters.popFirst() {
            guard low != "\\", low != "[", low != "-" else { return nil }
            guard characters.first == "-" else {
                ranges.append(low...low)
                continue
            }
            characters.removeFirst()
            guard let high = characters.popFirst(), high >= low, high != "\\", high != "[" else { return nil }
            ranges.append(low...high)
        }
        return ranges
    }

    /// Goes back to the last star only: enough, as a later one can take all that an earlier one could. So the time is at most
    /// the product of both lengths, and the pattern is hardly longer than the text.
    private static func matches(_ pattern: [Element], _ text: [Unicode.Scalar]) -> Bool {
        let least = pattern.reduce(0) { if case .anyText = $1 { $0 } else { $0 + 1 } }
        guard least <= text.count else { return false }
        var (index, position) = (0, 0)
        var star: (index: Int, position: Int)?
        while position < text.count {
            if index < pattern.count, case .anyText = pattern[index] {
                star = (index, position)
                index += 1
            } else if index < pattern.count, self.accepts(pattern[index], text[position]) {
                index += 1
                position += 1
            } else if let last = star {
                star = (last.index, last.position + 1)
                (index, position) = (last.index + 1, last.position + 1)
            } else {
                return false
            }
        }
        return pattern[index...].allSatisfy { if case .anyText = $0 { true } else { false } }
    }

    private static func accepts(_ element: Element, _ scalar: Unicode.Scalar) -> Bool {
        switch element {
        case .anyText, .anyCharacter: true
        case .one(let ranges): ranges.contains { $0.contains(scalar) }
        }
    }
}

/// The hash by which target paths are spread over roles.
enum PathHash {
    static func digest(_ path: String) -> [UInt8] {
        Array(SHA256.hash(data: Array(path.utf8)))
    }
}
