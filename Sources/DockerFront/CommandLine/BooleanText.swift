// SPDX-License-Identifier: Apache-2.0

/// Truth as docker's variables and flags spell it.
package enum BooleanText {
    /// What a text says; nil for one that says neither.
    package static func isTrue(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// What a variable says: docker takes an empty one for off and any other word for on.
    package static func isOn(_ variable: String) -> Bool {
        variable.isEmpty ? false : self.isTrue(variable) ?? true
    }
}
