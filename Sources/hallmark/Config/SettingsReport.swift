// SPDX-License-Identifier: Apache-2.0

import Settings

/// Settings for programs.
struct SettingsReport: Encodable {
    struct Item: Encodable {
        let key: String
        let value: Value?
        let origin: Origin
    }

    enum Value: Encodable {
        case text(String)
        case number(Int)
        case flag(Bool)
        case list([String])

        init(_ words: [String], of declaration: SettingDeclaration) {
            switch declaration.shape {
            case .flag: self = .flag(words.first == "true")
            case .list: self = .list(words)
            case .value:
                let word = words.first ?? ""
                let number = declaration.isNumber ? Int(word) : nil
                self = number.map(Self.number) ?? .text(word)
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .number(let number): try container.encode(number)
            case .flag(let flag): try container.encode(flag)
            case .list(let words): try container.encode(words)
            }
        }
    }

    /// Where something was said.
    struct Origin: Encodable {
        let kind: String
        var file: String?
        var line: Int?
        /// The variable, the option, or Notary's key.
        var name: String?

        init(_ origin: SettingOrigin) {
            switch origin {
            case .file(let path, let line, let notaryKey):
                self.kind = "file"
                self.file = path
                self.line = line
                self.name = notaryKey
            case .variable(let name, _):
                self.kind = "variable"
                self.name = name
            case .option(let name):
                self.kind = "option"
                self.name = name
            case .fallback:
                self.kind = "default"
            }
        }
    }

    let settings: [Item]

    init(_ values: SettingValues, showsSecrets: Bool) {
        self.settings = values.all.map { entry in
            let words = showsSecrets ? entry.words : entry.shownWords
            return Item(
                key: entry.declaration.key,
                value: words.map { Value($0, of: entry.declaration) },
                origin: Origin(entry.origin)
            )
        }
    }
}
