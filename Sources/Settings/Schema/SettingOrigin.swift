// SPDX-License-Identifier: Apache-2.0

/// Where a setting's value comes from.
package enum SettingOrigin: Sendable, Hashable, CustomStringConvertible {
    /// A place in a file. The key is given where it is another's: Notary's.
    case file(path: String, line: Int, notaryKey: String? = nil)
    /// A variable. The key is given where it is another's: Notary's.
    case variable(String, notaryKey: String? = nil)
    /// An option, with its dashes.
    case option(String)
    /// Nobody gave it a value.
    case fallback

    /// The higher wins.
    package var rank: Int {
        switch self {
        case .fallback: 0
        // A file of our own may put right what is to be different from Notary.
        case .file(_, _, .some), .variable(_, .some): 1
        case .file(_, _, nil): 2
        case .variable(_, nil): 3
        case .option: 4
        }
    }

    /// Whether the value was given to Notary, for us to make the best of.
    package var isNotary: Bool {
        switch self {
        case .file(_, _, .some), .variable(_, .some): true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .file(let path, let line, let key): "\(path):\(line)" + (key.map { " \($0)" } ?? "")
        case .variable(let name, _): name
        case .option(let name): name
        case .fallback: "default"
        }
    }
}

/// A value that somebody gave a setting.
package struct GivenSetting: Sendable {
    package let key: String
    package let words: [String]
    package let origin: SettingOrigin

    package init(_ key: String, _ words: [String], from origin: SettingOrigin) {
        self.key = key
        self.words = words
        self.origin = origin
    }
}

/// Something about the settings that is wrong, or that whoever gave them should know.
package struct SettingProblem: Sendable, Hashable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        /// The program does not start with it.
        case error
        /// It starts, and behaves otherwise than one might think.
        case warning
    }

    package let severity: Severity
    /// Where it was said; nil when it is something that is missing.
    package let origin: SettingOrigin?
    /// The setting, or the key of the file, that it is about.
    package let key: String?
    /// What is wrong, what was expected, and what to do about it.
    package let message: String

    package init(_ severity: Severity, _ origin: SettingOrigin?, key: String? = nil, _ message: String) {
        self.severity = severity
        self.origin = origin
        self.key = key
        self.message = message
    }

    /// One line: place, setting and what is wrong.
    package var description: String {
        var parts: [String] = []
        switch self.origin {
        case .file(let path, let line, _): parts.append("\(path):\(line)")
        case .variable(let name, _): parts.append(name)
        case .option(let name): parts.append(name)
        case .fallback, nil: break
        }
        if let key = self.key, parts.isEmpty || !self.saysKey { parts.append(key) }
        return (parts + [self.message]).joined(separator: ": ")
    }

    /// Options and variables are their setting's name.
    private var saysKey: Bool {
        switch self.origin {
        case .option, .variable: true
        default: false
        }
    }
}

/// Settings with which a program cannot start: all that is wrong with them, in the order of their places.
package struct SettingsError: Error, Sendable, CustomStringConvertible {
    package let problems: [SettingProblem]

    /// Whether options are to blame, so that it is a matter of usage.
    package var isUsage: Bool {
        self.problems.contains { if case .option = $0.origin { true } else { false } }
    }

    package var description: String { self.problems.map(\.description).joined(separator: "\n") }
}
