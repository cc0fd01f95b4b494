// SPDX-License-Identifier: Apache-2.0

/// What is set for collections by their names: for one, or for all whose names begin alike (`prefix*`).
package struct NameRules<Value: Sendable & Hashable>: Sendable, Hashable {
    /// One of them.
    package struct Rule: Sendable, Hashable {
        /// A whole name, or a prefix that ends in `*`.
        package let pattern: String
        /// What is set.
        package let value: Value
        /// Where: file and line.
        package let origin: String
    }

    /// All, as they were written.
    package private(set) var rules: [Rule] = []

    /// Adds a rule.
    package mutating func add(_ pattern: String, _ value: Value, origin: String) {
        self.rules.append(Rule(pattern: pattern, value: value, origin: origin))
    }

    /// The rule for a name: that of exactly this name, else of the longest prefix. Names are compared by bytes.
    package func rule(for name: String) -> Rule? {
        if let exact = self.rules.first(where: { $0.pattern.utf8.elementsEqual(name.utf8) }) { return exact }
        return self.rules
            .filter { $0.pattern.utf8.last == UInt8(ascii: "*") && name.utf8.starts(with: $0.pattern.utf8.dropLast()) }
            .max { $0.pattern.utf8.count < $1.pattern.utf8.count }
    }

    /// Why a pattern is none; nil for one that is.
    package static func refusal(of pattern: String) -> String? {
        guard !pattern.isEmpty, pattern.utf8.count <= 256 else { return "a name has 1 to 255 bytes" }
        guard !pattern.utf8.dropLast().contains(UInt8(ascii: "*")) else { return "a * stands only at the end" }
        guard pattern.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return "a name has no blanks" }
        return nil
    }
}
