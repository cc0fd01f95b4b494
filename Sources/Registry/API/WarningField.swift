// SPDX-License-Identifier: Apache-2.0

/// `Warning` fields: what people should be told by their clients (OCI distribution specification, "Warnings").
enum WarningField {
    /// The most bytes that one reply may spend on warnings.
    private static let maximumSize = 4096

    /// The values of the fields for some texts, as many as there is room for.
    static func values(_ texts: [String]) -> [String] {
        var room = Self.maximumSize
        var values: [String] = []
        for text in texts {
            let value = "299 - \"\(Self.quoted(text))\""
            guard value.utf8.count <= room else { break }
            room -= value.utf8.count
            values.append(value)
        }
        return values
    }

    /// The text of a quoted string. What a field cannot hold becomes a question mark.
    private static func quoted(_ text: String) -> String {
        var quoted = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case " "..."~": quoted.unicodeScalars.append(scalar)
            default: quoted += "?"
            }
        }
        return quoted
    }
}
