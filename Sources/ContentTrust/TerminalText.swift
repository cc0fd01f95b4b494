// SPDX-License-Identifier: Apache-2.0

/// Text from outside, made fit to be shown: names in metadata and messages of servers may hold characters that move the cursor,
/// hide or reorder text, or tell the terminal to do things. Each of them becomes U+FFFD.
package enum TerminalText {
    /// Without line breaks.
    package static func line(_ text: some StringProtocol) -> String { self.clean(text) { _ in false } }

    /// With line breaks as they are.
    package static func lines(_ text: some StringProtocol) -> String { self.clean(text) { $0 == "\n" } }

    /// JSON that means the same, with such characters escaped.
    package static func json(_ text: some StringProtocol) -> String {
        var clean = ""
        for scalar in text.unicodeScalars {
            guard self.isDangerous(scalar), scalar != "\n" else {
                clean.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                clean += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            }
        }
        return clean
    }

    private static func clean(_ text: some StringProtocol, except isKept: (Unicode.Scalar) -> Bool) -> String {
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            clean.append(self.isDangerous(scalar) && !isKept(scalar) ? "\u{FFFD}" : scalar)
        }
        return String(clean)
    }

    private static func isDangerous(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
