// SPDX-License-Identifier: Apache-2.0

/// What a setting's values are: how they are written, and what they become.
///
/// Everything is written as words, the same in a file, a variable and an option: one word, or for a list any number.
package struct SettingType<Value: Sendable>: Sendable {
    /// How a value is written.
    package enum Shape: Sendable {
        /// One word.
        case value
        /// `true` or `false`; as an option it stands alone.
        case flag
        /// Any number of words: a sequence in a file, separated by commas in a variable, an option that is repeated.
        case list
    }

    /// Its name in the table of settings.
    package let name: String
    /// What is expected, in a message: "a number from 1 to 1000".
    package let expected: String
    /// What stands for a value in the help of an option.
    package let placeholder: String
    package let shape: Shape
    /// Whether values name files, which in a configuration file are relative to it.
    package let isPath: Bool
    /// Words that are not paths although the others are.
    package let keywords: [String]
    let parse: @Sendable ([String]) throws(UnexpectedValue) -> Value
    let words: @Sendable (Value) -> [String]
    /// The words without what must not be shown.
    let hidingSecrets: @Sendable ([String]) -> [String]

    init(
        name: String,
        expected: String,
        placeholder: String,
        shape: Shape,
        isPath: Bool = false,
        keywords: [String] = [],
        hidingSecrets: @escaping @Sendable ([String]) -> [String] = { $0 },
        words: @escaping @Sendable (Value) -> [String],
        parse: @escaping @Sendable ([String]) throws(UnexpectedValue) -> Value
    ) {
        self.name = name
        self.expected = expected
        self.placeholder = placeholder
        self.shape = shape
        self.isPath = isPath
        self.keywords = keywords
        self.hidingSecrets = hidingSecrets
        self.words = words
        self.parse = parse
    }

    /// A type of one word.
    /// - Parameters:
    ///   - name: what the table calls it.
    ///   - expected: what errors say that a value should be.
    ///   - placeholder: what help shows for a value.
    ///   - isPath: whether it names a file, relative to the file that it stands in.
    ///   - keywords: words that are no path where it is one.
    ///   - hidingSecrets: a value as it may be shown.
    ///   - text: how a value is written.
    ///   - parse: gives nil for what is none.
    package static func word(
        _ name: String,
        expected: String,
        placeholder: String,
        isPath: Bool = false,
        keywords: [String] = [],
        hidingSecrets: @escaping @Sendable (String) -> String = { $0 },
        text: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (String) -> Value?
    ) -> Self {
        Self(
            name: name,
            expected: expected,
            placeholder: placeholder,
            shape: .value,
            isPath: isPath,
            keywords: keywords,
            hidingSecrets: { $0.map(hidingSecrets) },
            words: { [text($0)] },
            parse: { words throws(UnexpectedValue) in
                guard words.count == 1, let word = words.first, let value = parse(word) else {
                    throw UnexpectedValue(found: words, expected: expected)
                }
                return value
            }
        )
    }
}

/// A value is not of its setting's type.
struct UnexpectedValue: Error {
    let found: [String]
    let expected: String
}

extension SettingType {
    /// Any number of values of a type.
    package static func list<Element>(of element: SettingType<Element>) -> Self where Value == [Element] {
        Self(
            name: "list of \(element.name)",
            expected: "each to be \(element.expected)",
            placeholder: element.placeholder,
            shape: .list,
            isPath: element.isPath,
            keywords: element.keywords,
            hidingSecrets: element.hidingSecrets,
            words: { $0.flatMap(element.words) },
            parse: { words throws(UnexpectedValue) in
                var values: [Element] = []
                for word in words { values.append(try element.parse([word])) }
                return values
            }
        )
    }
}

extension SettingType where Value == String {
    /// Any text but none.
    /// - Parameters:
    ///   - placeholder: what it is, in a word.
    ///   - expected: what errors say that it should be; nil for the placeholder.
    package static func text(_ placeholder: String, expected: String? = nil) -> Self {
        .word(
            "text",
            expected: expected ?? "a \(placeholder)",
            placeholder: placeholder,
            text: { $0 },
            parse: { $0.isEmpty ? nil : $0 }
        )
    }

    /// A path of a file to read.
    /// - Parameter keywords: what may be said instead.
    package static func file(or keywords: String...) -> Self {
        let alternatives = keywords.map { ", or `\($0)`" }.joined()
        return .word(
            "file" + alternatives,
            expected: "the path of a file" + alternatives,
            placeholder: "file",
            isPath: true,
            keywords: keywords,
            text: { $0 },
            parse: { $0.isEmpty ? nil : $0 }
        )
    }

    /// A path of a file to read.
    package static var file: Self { .file() }

    /// A path of a directory.
    package static var directory: Self {
        .word(
            "directory",
            expected: "the path of a directory",
            placeholder: "dir",
            isPath: true,
            text: { $0 },
            parse: { $0.isEmpty ? nil : $0 }
        )
    }

    /// One of some words.
    package static func choice(_ choices: [String]) -> Self {
        let expected = "one of \(choices.joined(separator: ", "))"
        return .word(
            choices.map { "`\($0)`" }.joined(separator: ", "),
            expected: expected,
            placeholder: "word",
            text: { $0 },
            parse: {
                choices.contains($0) ? $0 : nil
            }
        )
    }

    /// A PostgreSQL database, as libpq takes it. Its password is not shown.
    package static var database: Self {
        .word(
            "database",
            expected: "a PostgreSQL URL (postgres://user@host/name) or key=value pairs",
            placeholder: "url",
            hidingSecrets: ConnectionText.hidingPassword,
            text: { $0 },
            parse: { ConnectionText.isPlausible($0) ? $0 : nil }
        )
    }
}

extension SettingType where Value == Bool {
    package static var flag: Self {
        Self(
            name: "flag",
            expected: "true or false",
            placeholder: "",
            shape: .flag,
            words: { [$0 ? "true" : "false"] },
            parse: { words throws(UnexpectedValue) in
                switch words {
                case ["true"]: return true
                case ["false"]: return false
                default: throw UnexpectedValue(found: words, expected: "true or false")
                }
            }
        )
    }
}

extension SettingType where Value == Int {
    /// A whole number.
    package static func number(_ range: ClosedRange<Int>, of unit: String = "") -> Self {
        let limits = range.upperBound == .max ? "\(range.lowerBound)…" : "\(range.lowerBound)…\(range.upperBound)"
        let unit = unit.isEmpty ? "" : " \(unit)"
        return .word(
            "number\(unit), \(limits)",
            expected: "a number\(unit.isEmpty ? "" : " of\(unit)") from \(range.lowerBound)"
                + (range.upperBound == .max ? "" : " to \(range.upperBound)"),
            placeholder: unit.isEmpty ? "number" : String(unit.dropFirst()),
            text: { "\($0)" },
            parse: { word in Int(word).flatMap { range.contains($0) ? $0 : nil } }
        )
    }

    /// A number of bytes: `65536`, `64KiB`, `32MiB`, `1GiB`.
    package static func size(_ range: ClosedRange<Int>) -> Self {
        .word(
            "size",
            expected:
                "a size from \(ByteCount.text(range.lowerBound)) to \(ByteCount.text(range.upperBound)), such as 64KiB",
            placeholder: "size",
            text: ByteCount.text,
            parse: { word in ByteCount.parse(word).flatMap { range.contains($0) ? $0 : nil } }
        )
    }
}

extension SettingType where Value == Duration {
    /// A time span: `90s`, `15m`, `12h`, `14d`.
    package static func duration(_ range: ClosedRange<Duration>) -> Self {
        .word(
            "duration",
            expected:
                "a time from \(TimeSpan.text(range.lowerBound)) to \(TimeSpan.text(range.upperBound)), such as 90s, 15m, 12h or 14d",
            placeholder: "time",
            text: TimeSpan.text,
            parse: { word in TimeSpan.parse(word).flatMap { range.contains($0) ? $0 : nil } }
        )
    }
}

extension SettingType where Value == ListenAddress {
    /// Where a server listens; port 0 takes a free one.
    package static var address: Self {
        .word(
            "address",
            expected: "HOST:PORT, such as 127.0.0.1:4443, :4443 for all addresses, or [::1]:4443",
            placeholder: "host:port",
            text: \.description,
            parse: { ListenAddress($0) }
        )
    }

    /// Where a server is reached: it has a host and a port.
    package static var peer: Self {
        .word(
            "address",
            expected: "HOST:PORT of a server, such as signer.example.com:7899",
            placeholder: "host:port",
            text: \.description,
            parse: { word in
                word.hasPrefix(":") ? nil : ListenAddress(word).flatMap { $0.port > 0 ? $0 : nil }
            }
        )
    }
}
