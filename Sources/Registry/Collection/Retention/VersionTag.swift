// SPDX-License-Identifier: Apache-2.0

/// A tag that is a version: one to three numbers with an optional `v` before and an optional pre-release behind, as `v1.25.3`,
/// `1.26` or `2.0.0-rc.1`. Ordered as Semantic Versioning 2.0.0 section 11 says; numbers that are left out are 0. A build
/// (`+` there, which no tag can have) is none.
struct VersionTag: Sendable, Comparable {
    private enum Identifier: Sendable, Hashable {
        /// Without leading zeros, so that any length compares.
        case number(Substring)
        case word(Substring)

        static func areInOrder(_ first: Identifier, _ second: Identifier) -> Bool {
            switch (first, second) {
            case (.number(let first), .number(let second)):
                first.utf8.count == second.utf8.count ? first < second : first.utf8.count < second.utf8.count
            case (.number, .word): true
            case (.word, .number): false
            case (.word(let first), .word(let second)): first.utf8.lexicographicallyPrecedes(second.utf8)
            }
        }
    }

    private let numbers: [Identifier]
    private let preRelease: [Identifier]

    /// Nil when the tag is no version.
    init?(_ tag: String) {
        let text = tag.first == "v" ? tag.dropFirst() : tag[...]
        let dash = text.firstIndex(of: "-")
        let release = text[..<(dash ?? text.endIndex)].split(separator: ".", omittingEmptySubsequences: false)
        guard (1...3).contains(release.count) else { return nil }
        var numbers: [Identifier] = []
        for part in release {
            guard let number = Self.number(part) else { return nil }
            numbers.append(number)
        }
        self.numbers = numbers + Array(repeating: .number("0"), count: 3 - numbers.count)
        guard let dash else {
            self.preRelease = []
            return
        }
        let parts = text[text.index(after: dash)...].split(separator: ".", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.preRelease = parts.map { Self.number($0) ?? .word($0) }
    }

    private static func number(_ text: Substring) -> Identifier? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let digits = text.drop { $0 == "0" }
        return .number(digits.isEmpty ? "0" : digits)
    }

    static func < (first: VersionTag, second: VersionTag) -> Bool {
        for (one, other) in zip(first.numbers, second.numbers) where one != other {
            return Identifier.areInOrder(one, other)
        }
        // What is released comes after all that led to it.
        guard !first.preRelease.isEmpty, !second.preRelease.isEmpty else {
            return !first.preRelease.isEmpty && second.preRelease.isEmpty
        }
        for (one, other) in zip(first.preRelease, second.preRelease) where one != other {
            return Identifier.areInOrder(one, other)
        }
        return first.preRelease.count < second.preRelease.count
    }
}
