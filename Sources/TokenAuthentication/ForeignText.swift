// SPDX-License-Identifier: Apache-2.0

extension StringProtocol {
    /// The first characters of a text from outside, for a log: nothing in it may begin a line of its own.
    func loggable(upTo count: Int = .max) -> String {
        var text = String.UnicodeScalarView()
        for scalar in self.unicodeScalars.prefix(count) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
                text.append("?")
            default: text.append(scalar)
            }
        }
        return String(text)
    }
}
