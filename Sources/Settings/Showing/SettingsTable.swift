// SPDX-License-Identifier: Apache-2.0

/// The table of all settings, in Markdown, as docs/config.md has it.
package enum SettingsTable {
    package static func markdown(_ schema: SettingsSchema) -> String {
        var lines: [String] = []
        for group in schema.groups {
            lines += ["### \(group.title)", "", "| setting | type | default | |", "| --- | --- | --- | --- |"]
            for declaration in group.settings {
                let cells = [
                    "`\(declaration.key)`\(Self.names(declaration))", Self.escaped(declaration.typeName),
                    Self.fallback(declaration), Self.escaped(declaration.help),
                ]
                lines.append("| " + cells.joined(separator: " | ") + " |")
            }
            lines.append("")
        }
        return lines.joined(separator: "\n")
    }

    /// Options and variables that do not follow from the key.
    private static func names(_ declaration: SettingDeclaration) -> String {
        var names: [String] = []
        if declaration.option != SettingDeclaration.option(ofKey: declaration.key) {
            names.append("`--\(declaration.option)`")
        }
        if declaration.variables != [SettingDeclaration.variable(ofKey: declaration.key)] {
            names += declaration.variables.map { "`\($0)`" }
        }
        return names.map { "<br>" + $0 }.joined()
    }

    private static func fallback(_ declaration: SettingDeclaration) -> String {
        if let otherwise = declaration.otherwise { return Self.escaped(otherwise) }
        guard let words = declaration.fallback, !words.isEmpty else { return "" }
        return words.map { "`\($0)`" }.joined(separator: ", ")
    }

    private static func escaped(_ text: String) -> String {
        String(text.flatMap { $0 == "|" ? Array("\\|") : $0 == "<" ? Array("&lt;") : [$0] })
    }
}
