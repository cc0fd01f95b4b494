// SPDX-License-Identifier: Apache-2.0

/// What every setting is, and who says so.
package struct SettingValues: Sendable {
    /// One setting's.
    package struct Entry: Sendable {
        package let declaration: SettingDeclaration
        /// As it is written; nil where it has no value.
        package let words: [String]?
        package let origin: SettingOrigin
        let value: (any Sendable)?

        /// As it is written, but for passwords.
        package var shownWords: [String]? { self.words.map(self.declaration.hidingSecrets) }
    }

    package let schema: SettingsSchema
    private var entries: [String: Entry] = [:]

    /// Takes for each setting the value whose origin ranks highest.
    /// - Returns: the values, and what is wrong with any value that was given.
    static func resolve(_ given: [GivenSetting], schema: SettingsSchema) -> (SettingValues, [SettingProblem]) {
        var values = SettingValues(schema: schema)
        var problems: [SettingProblem] = []
        for given in given.sorted(by: { $0.origin.rank < $1.origin.rank }) {
            guard let declaration = schema[given.key] else { continue }
            if let other = values.entries[given.key], other.origin.rank == given.origin.rank {
                let message = "is given here and in \(other.origin): keep one of them"
                problems.append(SettingProblem(.error, given.origin, key: given.key, message))
                continue
            }
            do {
                let value = try declaration.parse(given.words)
                values.entries[given.key] = Entry(
                    declaration: declaration,
                    words: given.words,
                    origin: given.origin,
                    value: value
                )
            } catch {
                let found = declaration.hidingSecrets(error.found).map { "`\($0.prefix(200))`" }.joined(separator: ", ")
                problems.append(
                    SettingProblem(
                        .error,
                        given.origin,
                        key: given.key,
                        "found \(found.isEmpty ? "nothing" : found), expected \(error.expected)"
                    )
                )
            }
        }
        return (values, problems)
    }

    private init(schema: SettingsSchema) {
        self.schema = schema
    }

    /// A setting's value.
    package subscript<Value>(setting: Setting<Value>) -> Value {
        guard let value = self.entries[setting.declaration.key]?.value else { return setting.fallback }
        return value as? Value ?? setting.fallback
    }

    package func origin(of setting: Setting<some Sendable>) -> SettingOrigin {
        self.entries[setting.declaration.key]?.origin ?? .fallback
    }

    /// Whether anybody gave it a value.
    package func isGiven(_ setting: Setting<some Sendable>) -> Bool { self.origin(of: setting) != .fallback }

    /// All settings, in the order of the schema.
    package var all: [Entry] { self.schema.declarations.map(self.entry) }

    package func entry(_ declaration: SettingDeclaration) -> Entry {
        self.entries[declaration.key]
            ?? Entry(declaration: declaration, words: declaration.fallback, origin: .fallback, value: nil)
    }

    /// The setting and who gave it its value, for a message: `--server-address`, `server.address in config.yml:3`.
    package func name(_ setting: Setting<some Sendable>) -> String {
        let declaration = setting.declaration
        return switch self.origin(of: setting) {
        case .option(let name): name
        case .variable(let name, _): name
        case .file(let path, let line, let key): "\(key ?? declaration.key) in \(path):\(line)"
        case .fallback: "--\(declaration.option)"
        }
    }
}
