// SPDX-License-Identifier: Apache-2.0

import ContentTrust

/// `docker trust inspect --pretty`
enum InspectionText {
    static func text(_ inspection: TrustInspection) -> String {
        let name = inspection.name
        var text = ""
        if inspection.rows.isEmpty {
            text += "\nNo signatures for \(name)\n\n"
        } else {
            let rows = inspection.rows.map { row in
                [
                    row.tag, row.digest,
                    row.signers.isEmpty ? "(Repo Admin)" : row.signers.sorted().joined(separator: ", "),
                ]
            }
            text += "\nSignatures for \(name)\n\n" + self.table(["SIGNED TAG", "DIGEST", "SIGNERS"], rows)
        }
        if !inspection.signers.isEmpty {
            let rows = inspection.signers.sorted { NaturalOrder.isLess($0.name, $1.name) }.map { signer in
                [signer.name, signer.keys.sorted().map { String($0.prefix(12)) }.joined(separator: ", ")]
            }
            text += "\nList of signers and their keys for \(name)\n\n" + self.table(["SIGNER", "KEYS"], rows)
        }
        text += "\nAdministrative keys for \(name)\n\n"
        text += "  Repository Key:\t\(inspection.repositoryKeys.sorted().joined(separator: ", "))\n"
        text += "  Root Key:\t\(inspection.rootKeys.sorted().joined(separator: ", "))\n"
        return text
    }

    /// Columns of ten characters at least, three blanks after the longest entry.
    private static func table(_ header: [String], _ rows: [[String]]) -> String {
        // Who signs chooses the names.
        let all = [header] + rows.map { $0.map { TerminalText.line($0) } }
        let widths = header.indices.map { column in
            max(10, (all.map { $0[column].count }.max() ?? 0) + 3)
        }
        return all.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: max(0, widths[column] - cell.count))
            }.joined() + "\n"
        }.joined()
    }
}

/// `docker trust inspect`: JSON with the members in docker's order.
enum InspectionJSON {
    static func text(_ inspections: [TrustInspection]) -> String {
        self.array(inspections.map(self.value), indent: 0)
    }

    private static func value(_ inspection: TrustInspection) -> (Int) -> String {
        let rows = inspection.rows.map { row in
            self.object([
                ("SignedTag", self.string(row.tag)), ("Digest", self.string(row.digest)),
                ("Signers", self.list((row.signers.isEmpty ? ["Repo Admin"] : row.signers).map(self.string))),
            ])
        }
        let signers = inspection.signers.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }.reversed()
        return self.object([
            ("Name", self.string(inspection.name)),
            ("SignedTags", self.list(rows)),
            ("Signers", self.list(signers.map { self.signer($0.name, $0.keys) })),
            (
                "AdministrativeKeys",
                self.list([
                    self.signer("Root", inspection.rootKeys), self.signer("Repository", inspection.repositoryKeys),
                ])
            ),
        ])
    }

    private static func signer(_ name: String, _ keys: [String]) -> (Int) -> String {
        var members = [("Name", self.string(name))]
        // Docker leaves out what is empty.
        if !keys.isEmpty { members.append(("Keys", self.list(keys.map { self.object([("ID", self.string($0))]) }))) }
        return self.object(members)
    }

    private static func list(_ items: [(Int) -> String]) -> (Int) -> String {
        { self.array(items, indent: $0) }
    }

    private static func array(_ items: [(Int) -> String], indent: Int) -> String {
        guard !items.isEmpty else { return "[]" }
        let inner = String(repeating: " ", count: indent + 4)
        let lines = items.map { inner + $0(indent + 4) }
        return "[\n" + lines.joined(separator: ",\n") + "\n" + String(repeating: " ", count: indent) + "]"
    }

    private static func object(_ members: [(String, (Int) -> String)]) -> (Int) -> String {
        { indent in
            let inner = String(repeating: " ", count: indent + 4)
            let lines = members.map { "\(inner)\"\($0.0)\": \($0.1(indent + 4))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n" + String(repeating: " ", count: indent) + "}"
        }
    }

    private static func string(_ text: String) -> (Int) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": escaped += "\\\""
            case "\\": escaped += "\\\\"
            case "<", ">", "&", "\u{2028}", "\u{2029}", "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return { _ in "\"\(escaped)\"" }
    }
}
