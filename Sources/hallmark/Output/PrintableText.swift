// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text without characters that would move a terminal's cursor or start a line: names come from others.
    var printable: String {
        String(
            String.UnicodeScalarView(
                self.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                        "\u{FFFD}"
                    default: scalar
                    }
                }
            )
        )
    }
}
