// SPDX-License-Identifier: Apache-2.0

import Yams

/// Reads a file in which sections and keys are those of a schema.
struct ConfigurationFile {
    private let schema: SettingsSchema
    private let path: String
    /// What relative paths in it begin at.
    private let directory: String
    private(set) var given: [GivenSetting] = []
    private(set) var problems: [SettingProblem] = []

    /// Reads all it can; whatever is wrong is among the problems.
    init(_ document: YAMLDocument, schema: SettingsSchema, directory: String) {
        self.schema = schema
        self.path = document.path
        self.directory = directory
        guard let root = document.root, !root.isNothing else { return }
        guard case .mapping(let mapping) = root else {
            self.fail(
                root,
                key: nil,
                "found \(root.found), expected sections and settings, as `server:` and `address: …`"
            )
            return
        }
        self.read(mapping, at: [])
    }

    private mutating func read(_ mapping: Node.Mapping, at section: [String]) {
        for (keyNode, value) in mapping {
            guard case .scalar(let scalar) = keyNode else {
                self.fail(keyNode, key: nil, "found \(keyNode.found) as a name, expected a word")
                continue
            }
            let path = section + [scalar.string]
            let key = path.joined(separator: ".")
            if self.schema.isSection(path), !self.isValue(value, of: key) {
                self.readSection(value, at: path, keyNode)
            } else if let declaration = self.schema[key] {
                self.read(value, of: declaration, keyNode)
            } else {
                self.refuse(scalar.string, in: section, keyNode)
            }
        }
    }

    /// Where a name is that of a setting and of a section.
    private func isValue(_ node: Node, of key: String) -> Bool {
        if case .mapping = node { return false }
        return self.schema[key] != nil
    }

    private mutating func readSection(_ value: Node, at path: [String], _ keyNode: Node) {
        if case .mapping(let mapping) = value {
            self.read(mapping, at: path)
        } else if !value.isNothing {
            let key = path.joined(separator: ".")
            guard let main = self.schema.main(of: path) else {
                let names = self.schema.names(at: path).joined(separator: ", ")
                self.fail(keyNode, key: key, "found \(value.found), expected a section with one or more of \(names)")
                return
            }
            self.read(value, of: main, keyNode)
        }
    }

    private mutating func read(_ value: Node, of declaration: SettingDeclaration, _ keyNode: Node) {
        let expected = declaration.expected
        guard !value.isNothing else {
            let advice = "leave the line out for the default"
            self.fail(keyNode, key: declaration.key, "found nothing, expected \(expected); \(advice)")
            return
        }
        if let earlier = self.given.first(where: { $0.key == declaration.key }) {
            self.fail(keyNode, key: declaration.key, "stands here a second time, after \(earlier.origin)")
            return
        }
        switch (value, declaration.shape) {
        case (.scalar(let scalar), _):
            self.give(declaration, [scalar.string], keyNode)
        case (.sequence(let sequence), .list):
            var words: [String] = []
            for element in sequence {
                guard case .scalar(let scalar) = element, !element.isNothing else {
                    self.fail(element, key: declaration.key, "found \(element.found) in the list, expected \(expected)")
                    return
                }
                words.append(scalar.string)
            }
            self.give(declaration, words, keyNode)
        case (.sequence, _), (.mapping, _), (.alias, _):
            self.fail(value, key: declaration.key, "found \(value.found), expected \(expected)")
        }
    }

    private mutating func give(_ declaration: SettingDeclaration, _ words: [String], _ keyNode: Node) {
        let words = declaration.isPath ? words.map { self.resolved($0, declaration.keywords) } : words
        self.given.append(
            GivenSetting(declaration.key, words, from: .file(path: self.path, line: keyNode.line))
        )
    }

    private func resolved(_ path: String, _ keywords: [String]) -> String {
        keywords.contains(path) ? path : RelativePath.resolve(path, in: self.directory)
    }

    private mutating func refuse(_ name: String, in section: [String], _ keyNode: Node) {
        let names = self.schema.names(at: section)
        let prefix = section.map { $0 + "." }.joined()
        let advice: String
        if let nearest = NearestName.to(name, among: names) {
            advice = "did you mean `\(prefix)\(nearest)`?"
        } else if let elsewhere = self.schema.declarations.first(where: { $0.key.hasSuffix("." + name) }) {
            advice = "did you mean `\(elsewhere.key)`?"
        } else {
            let place = section.isEmpty ? "the top" : "`\(section.joined(separator: "."))`"
            advice = "\(place) has \(names.joined(separator: ", "))"
        }
        self.fail(keyNode, key: prefix + name, "is no setting; \(advice)")
    }

    private mutating func fail(_ node: Node, key: String?, _ message: String) {
        self.problems.append(SettingProblem(.error, .file(path: self.path, line: node.line), key: key, message))
    }
}

/// Paths as a configuration file has them.
enum RelativePath {
    /// A path that does not begin at the root or at a home begins at the directory.
    static func resolve(_ path: String, in directory: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"), !path.hasPrefix("~") else { return path }
        var rest = path[...]
        while rest.hasPrefix("./") { rest = rest.dropFirst(2).drop { $0 == "/" } }
        return directory.isEmpty ? String(rest) : directory == "/" ? "/" + rest : "\(directory)/\(rest)"
    }

    /// The directory of a file; absolute if the current one is given so.
    static func directory(of file: String, current: String) -> String {
        guard let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) else { return current }
        let directory = slash == file.startIndex ? "/" : String(file[..<slash])
        return Self.resolve(directory, in: current)
    }
}
