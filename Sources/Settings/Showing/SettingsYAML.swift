// SPDX-License-Identifier: Apache-2.0

/// Writes settings as a file that could be read again.
package struct SettingsYAML {
    private let values: SettingValues
    private let showsOrigins: Bool
    private let showsSecrets: Bool

    /// - Parameters:
    ///   - values: the settings.
    ///   - showsOrigins: whether a comment tells where each value comes from.
    ///   - showsSecrets: whether passwords are written out.
    package init(_ values: SettingValues, showsOrigins: Bool = false, showsSecrets: Bool = false) {
        self.values = values
        self.showsOrigins = showsOrigins
        self.showsSecrets = showsSecrets
    }

    /// A line a setting, sections together. What has no value is a comment.
    package var text: String {
        var lines: [String] = []
        for section in self.sections {
            if let name = section.name { lines.append("\(name):") }
            for entry in section.entries { lines.append(self.line(entry, isNested: section.name != nil)) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var sections: [(name: String?, entries: [SettingValues.Entry])] {
        var sections: [(name: String?, entries: [SettingValues.Entry])] = [(nil, [])]
        for entry in self.values.all {
            let parts = entry.declaration.key.split(separator: ".")
            let name = parts.count > 1 ? parts.first.map(String.init) : nil
            if let index = sections.firstIndex(where: { $0.name == name }) {
                sections[index].entries.append(entry)
            } else {
                sections.append((name, [entry]))
            }
        }
        return sections
    }

    private func line(_ entry: SettingValues.Entry, isNested: Bool) -> String {
        let declaration = entry.declaration
        let name = isNested ? String(declaration.key.drop { $0 != "." }.dropFirst()) : declaration.key
        let indentation = isNested ? "  " : ""
        guard let words = entry.words, !(words.isEmpty && entry.origin == .fallback) else {
            return "\(indentation)# \(name): \(declaration.otherwise.map { "not given: \($0)" } ?? "not given")"
        }
        let shown = self.showsSecrets ? words : entry.shownWords ?? []
        var comments: [String] = []
        if self.showsOrigins { comments.append(entry.origin.description) }
        if shown != words { comments.append("password hidden: --show-secrets shows it") }
        let comment = comments.isEmpty ? "" : "  # " + comments.joined(separator: "; ")
        return "\(indentation)\(name): \(Self.value(shown, of: declaration))\(comment)"
    }

    private static func value(_ words: [String], of declaration: SettingDeclaration) -> String {
        switch declaration.shape {
        case .flag: words.first ?? "false"
        case .value: declaration.isNumber ? words.first ?? "" : Self.scalar(words.first ?? "")
        case .list: "[" + words.map(Self.scalar).joined(separator: ", ") + "]"
        }
    }

    /// Plain where nothing can be mistaken, else in double quotes.
    static func scalar(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "/"),
                UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "~"):
                true
            default:
                false
            }
        }
        let begins = text.utf8.first.map {
            $0 == UInt8(ascii: "/") || $0 >= UInt8(ascii: "0") && $0 != UInt8(ascii: ":")
        }
        let isWord = ["null", "true", "false", "yes", "no", "on", "off", "~"].contains(text.lowercased())
        if isPlain, begins == true, !isWord, !text.hasSuffix(":") { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\u{0}"..<"\u{20}", "\u{7F}"..<"\u{A0}", "\u{2028}", "\u{2029}", "\u{FEFF}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension SettingDeclaration {
    /// Whether its values are numbers without a unit.
    package var isNumber: Bool { self.typeName.hasPrefix("number") }
}
