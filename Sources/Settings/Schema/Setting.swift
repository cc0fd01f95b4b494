// SPDX-License-Identifier: Apache-2.0

/// One setting: its name in four places, its type, what it is for, and its value when nobody gives it one.
///
/// The key `server.client-ca` is that of a file, `HALLMARK_SERVER_CLIENT_CA` its variable and `--server-client-ca` its option.
/// The first of option, variable and file that gives it a value wins.
///
/// # Adding a setting
///
/// 1. Declare it as a `static let` of the ``SettingGroup`` of its subject in `Sources/Settings/Serve`, and put it into the
///    group's `settings`:
///
///        package static let address = Setting("server.address", .address, default: …, help: "Where the trust server listens.")
///
/// 2. Read it where it is used: `settings[TrustServerSettings.address]`. It is there, checked, whoever gave it.
/// 3. If it cannot go together with others, say so in `ServeRules`.
/// 4. A new group goes into ``ServeSettings/groups``, and as an option group into `Serve`.
///
/// Option, help, variable, file and `config show` follow; `scripts/write-settings-table` writes the table in `docs/config.md`,
/// which a test compares.
package struct Setting<Value: Sendable>: Sendable {
    package let declaration: SettingDeclaration
    /// Its value when nobody gives it one.
    package let fallback: Value

    private init(
        _ key: String,
        type: SettingType<some Sendable>,
        fallback: Value,
        fallbackWords: [String]?,
        otherwise: String?,
        option: String?,
        variables: [String],
        isMain: Bool,
        help: String,
        value: @escaping @Sendable ([String]) throws(UnexpectedValue) -> Value
    ) {
        self.fallback = fallback
        self.declaration = SettingDeclaration(
            key: key,
            option: option ?? SettingDeclaration.option(ofKey: key),
            variables: variables.isEmpty ? [SettingDeclaration.variable(ofKey: key)] : variables,
            typeName: type.name,
            expected: type.expected,
            placeholder: type.placeholder,
            shape: .init(type.shape),
            isPath: type.isPath,
            keywords: type.keywords,
            isMain: isMain,
            help: help,
            fallback: fallbackWords,
            otherwise: otherwise,
            hidingSecrets: type.hidingSecrets,
            parse: { words throws(UnexpectedValue) in try value(words) }
        )
    }

    /// A setting that always has a value.
    /// - Parameters:
    ///   - key: its path in a file.
    ///   - type: what values it takes.
    ///   - fallback: its value where none is given.
    ///   - otherwise: what its default means, for the table.
    ///   - option: the name of its option without dashes, where that does not follow from the key.
    ///   - variables: its variables, where they do not follow from the key. The first that is not empty counts.
    ///   - isMain: whether its section may stand for it in a file: `database: URL` for `database.url`.
    ///   - help: one sentence or two.
    package init(
        _ key: String,
        _ type: SettingType<Value>,
        default fallback: Value,
        otherwise: String? = nil,
        option: String? = nil,
        variables: [String] = [],
        isMain: Bool = false,
        help: String
    ) {
        self.init(
            key,
            type: type,
            fallback: fallback,
            fallbackWords: type.words(fallback),
            otherwise: otherwise,
            option: option,
            variables: variables,
            isMain: isMain,
            help: help
        ) { words throws(UnexpectedValue) in try type.parse(words) }
    }

    /// A setting that may have none.
    /// - Parameters:
    ///   - key: its path in a file.
    ///   - type: what values it takes.
    ///   - otherwise: what happens without one, for help and table.
    ///   - option: the name of its option without dashes, where that does not follow from the key.
    ///   - variables: its variables, where they do not follow from the key. The first that is not empty counts.
    ///   - isMain: whether its section may stand for it in a file: `database: URL` for `database.url`.
    ///   - help: one sentence or two.
    package init<Wrapped>(
        _ key: String,
        _ type: SettingType<Wrapped>,
        otherwise: String? = nil,
        option: String? = nil,
        variables: [String] = [],
        isMain: Bool = false,
        help: String
    ) where Value == Wrapped? {
        self.init(
            key,
            type: type,
            fallback: nil,
            fallbackWords: nil,
            otherwise: otherwise,
            option: option,
            variables: variables,
            isMain: isMain,
            help: help
        ) { words throws(UnexpectedValue) in try type.parse(words) }
    }
}

/// What is known of a setting whatever the type of its values.
package struct SettingDeclaration: Sendable {
    package enum Shape: Sendable {
        case value
        case flag
        case list

        init<Value>(_ shape: SettingType<Value>.Shape) {
            switch shape {
            case .value: self = .value
            case .flag: self = .flag
            case .list: self = .list
            }
        }
    }

    package let key: String
    /// Without its dashes.
    package let option: String
    package let variables: [String]
    package let typeName: String
    package let expected: String
    package let placeholder: String
    package let shape: Shape
    package let isPath: Bool
    package let keywords: [String]
    package let isMain: Bool
    package let help: String
    /// What its default is; nil when it has none.
    package let fallback: [String]?
    /// What not giving it means.
    package let otherwise: String?
    let hidingSecrets: @Sendable ([String]) -> [String]
    let parse: @Sendable ([String]) throws(UnexpectedValue) -> any Sendable

    /// The variable that is told to people.
    package var variable: String { self.variables.first ?? Self.variable(ofKey: self.key) }

    static func option(ofKey key: String) -> String { String(key.map { $0 == "." ? "-" : $0 }) }

    static func variable(ofKey key: String) -> String {
        "HALLMARK_" + String(key.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
    }
}

/// The settings of one subject.
package protocol SettingGroup: Sendable {
    /// Its heading in help and table.
    static var title: String { get }
    static var settings: [SettingDeclaration] { get }
}

/// All settings of a program.
package struct SettingsSchema: Sendable {
    package let groups: [any SettingGroup.Type]
    package let declarations: [SettingDeclaration]
    private let byKey: [String: SettingDeclaration]

    package init(_ groups: [any SettingGroup.Type]) {
        self.groups = groups
        self.declarations = groups.flatMap { $0.settings }
        self.byKey = Dictionary(self.declarations.map { ($0.key, $0) }) { first, _ in first }
    }

    package subscript(key: String) -> SettingDeclaration? { self.byKey[key] }

    /// Keys and sections at a path of a file; the empty path is its top.
    func names(at path: [String]) -> [String] {
        let prefix = path.map { $0 + "." }.joined()
        var names: [String] = []
        for declaration in self.declarations where declaration.key.hasPrefix(prefix) {
            let name = String(declaration.key.dropFirst(prefix.count).prefix { $0 != "." })
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    func isSection(_ path: [String]) -> Bool {
        let prefix = path.joined(separator: ".") + "."
        return self.declarations.contains { $0.key.hasPrefix(prefix) }
    }

    /// The setting for which its section may stand.
    func main(of section: [String]) -> SettingDeclaration? {
        let prefix = section.joined(separator: ".") + "."
        return self.declarations.first { $0.isMain && $0.key.hasPrefix(prefix) }
    }
}
