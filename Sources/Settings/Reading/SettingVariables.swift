// SPDX-License-Identifier: Apache-2.0

/// Settings in the variables of the process.
enum SettingVariables {
    /// The variables that settings are given in. An empty one is none.
    static func read(_ environment: [String: String], schema: SettingsSchema) -> [GivenSetting] {
        schema.declarations.compactMap { declaration in
            for name in declaration.variables {
                guard let value = environment[name], !value.isEmpty else { continue }
                let words = declaration.shape == .list ? Self.list(value) : [value]
                return GivenSetting(declaration.key, words, from: .variable(name))
            }
            return nil
        }
    }

    /// Variables that are nearly those of a setting. Others that begin so are others' affair: Kubernetes, for one, makes some
    /// for every service.
    static func mistyped(_ environment: [String: String], schema: SettingsSchema) -> [SettingProblem] {
        let known = schema.declarations.flatMap(\.variables)
        let names = environment.keys.filter { $0.hasPrefix("HALLMARK_") && !known.contains($0) }.sorted()
        return names.prefix(64).compactMap { name in
            guard !Self.others.contains(name), let nearest = Self.nearest(to: name, among: known) else { return nil }
            return SettingProblem(.warning, .variable(name), "is no setting's variable; did you mean \(nearest)?")
        }
    }

    /// Variables of the program that are no settings of a server.
    private static let others: Set = [
        "HALLMARK_CONFIG", "HALLMARK_CLIENT_CONFIG", "HALLMARK_KEY_ID", "HALLMARK_KEY_ROLE", "HALLMARK_KEY_PURPOSE",
    ]

    private static func nearest(to name: String, among known: [String]) -> String? {
        NearestName.to(
            String(name.dropFirst("HALLMARK_".count)),
            among: known.filter { $0.hasPrefix("HALLMARK_") }.map { String($0.dropFirst("HALLMARK_".count)) }
        ).map { "HALLMARK_" + $0 }
    }

    private static func list(_ value: String) -> [String] {
        value.split(separator: ",").map { word in
            var word = word.drop(while: \.isWhitespace)
            while word.last?.isWhitespace == true { word.removeLast() }
            return String(word)
        }
    }
}
