// SPDX-License-Identifier: Apache-2.0

import Yams

/// Reads the file of rules, which is YAML:
///
///     groups:
///       developers: [alice, bob]
///     rules:
///       - groups: [developers]
///         repositories: ["team/**"]
///         actions: [pull, push]
///       - anyone: true
///         repositories: ["public/**"]
///         actions: [pull]
package struct RulesFile {
    /// The largest file that is read, in bytes.
    package static let maximumSize = 1 << 20
    private static let maximumRules = 10_000
    private static let maximumPatterns = 20_000
    private static let maximumNames = 100_000

    private let path: String

    /// - Parameters:
    ///   - text: the file's.
    ///   - path: what errors call it.
    /// - Throws: ``RulesError`` with the line, what is there, and what was expected.
    package static func rules(parsing text: String, path: String) throws(RulesError) -> AccessRules {
        try RulesFile(path: path).rules(text)
    }

    private func rules(_ text: String) throws(RulesError) -> AccessRules {
        guard text.utf8.count <= Self.maximumSize else {
            throw RulesError("\(self.path) is larger than \(Self.maximumSize) bytes")
        }
        var reader = Reader(path: self.path)
        let root = try reader.compose(text)
        var groups: [String: Set<String>] = [:]
        var rules: Node.Sequence?
        for (key, value) in try reader.entries(of: root, "the file has groups and rules", known: ["groups", "rules"]) {
            if key == "groups" {
                for (name, members) in try reader.entries(of: value, "groups have names, each with a list of users") {
                    groups[name] = Set(
                        try reader.strings(of: members, "a group is a list of users, such as [alice, bob]")
                    )
                }
            } else {
                rules = try reader.sequence(value, "rules are a list, each beginning with -")
            }
        }
        guard let rules else { throw reader.error(root, "the file has no rules: without any, nobody may do anything") }
        guard rules.count <= Self.maximumRules else {
            throw reader.error(root, "there are more than \(Self.maximumRules) rules")
        }
        var result: [AccessRules.Rule] = []
        for rule in rules { result.append(try self.rule(rule, groups, &reader)) }
        guard result.reduce(0, { $0 + $1.patterns.count }) <= Self.maximumPatterns else {
            throw reader.error(root, "there are more than \(Self.maximumPatterns) patterns")
        }
        return AccessRules(groups: groups, rules: result)
    }

    private func rule(
        _ node: Node,
        _ groups: [String: Set<String>],
        _ reader: inout Reader
    ) throws(RulesError) -> AccessRules.Rule {
        var rule = AccessRules.Rule()
        let shape = "a rule has users, groups, anonymous or anyone; repositories; and actions"
        let keys = ["users", "groups", "anonymous", "anyone", "repositories", "actions"]
        for (key, value) in try reader.entries(of: node, shape, known: keys) {
            switch key {
            case "users":
                let users = try reader.strings(
                    of: value,
                    "users are a list of names, or [\"*\"] for all who are logged in"
                )
                rule.allowsEveryUser = rule.allowsEveryUser || users.contains("*")
                rule.users = Set(users)
            case "groups":
                rule.groups = Set(try reader.strings(of: value, "groups are a list of names"))
                for name in rule.groups.sorted() where groups[name] == nil {
                    throw reader.error(value, "there is no group \"\(name)\" under groups")
                }
            case "anonymous":
                rule.allowsAnonymous = try reader.flag(value) || rule.allowsAnonymous
            case "anyone":
                guard try reader.flag(value) else { continue }
                rule.allowsAnonymous = true
                rule.allowsEveryUser = true
            case "repositories":
                rule.patterns = try self.patterns(value, &reader)
            default:
                rule.actions = try self.actions(value, &reader)
            }
        }
        guard !rule.users.isEmpty || !rule.groups.isEmpty || rule.allowsEveryUser || rule.allowsAnonymous else {
            throw reader.error(node, "the rule is for nobody: \(shape)")
        }
        guard !rule.actions.isEmpty else { throw reader.error(node, "the rule allows nothing: \(shape)") }
        guard !rule.patterns.isEmpty || rule.actions == [.catalog] else {
            throw reader.error(node, "the rule is for no repository: \(shape)")
        }
        return rule
    }

    private func patterns(_ node: Node, _ reader: inout Reader) throws(RulesError) -> [RepositoryPattern] {
        var patterns: [RepositoryPattern] = []
        for item in try reader.sequence(node, "repositories are a list of patterns, such as [\"team/**\"]") {
            let text = try reader.string(item, "a pattern such as \"team/**\"")
            do {
                patterns.append(try RepositoryPattern(text))
            } catch {
                throw reader.error(item, error.reason)
            }
        }
        return patterns
    }

    private func actions(_ node: Node, _ reader: inout Reader) throws(RulesError) -> Set<AccessRules.Action> {
        let names = AccessRules.Action.allCases.map(\.rawValue).joined(separator: ", ")
        var actions: Set<AccessRules.Action> = []
        for item in try reader.sequence(node, "actions are a list of: \(names)") {
            let text = try reader.string(item, "an action: \(names)")
            guard let action = AccessRules.Action(rawValue: text) else {
                throw reader.error(item, "\"\(text)\" is not an action; actions are \(names)")
            }
            actions.insert(action)
        }
        return actions
    }

    // MARK: YAML

    /// Takes nodes for what they must be, and counts what it has taken.
    private struct Reader {
        let path: String
        private var taken = 0

        init(path: String) {
            self.path = path
        }

        func compose(_ text: String) throws(RulesError) -> Node {
            // What an alias stands for can be many times the file's size.
            do {
                guard let root = try Yams.compose(yaml: text) else {
                    throw RulesError("\(self.path): the file is empty; it must have rules")
                }
                return root
            } catch let error as RulesError {
                throw error
            } catch let error as YamlError {
                throw RulesError(self.describe(error))
            } catch {
                throw RulesError("\(self.path): \(error)")
            }
        }

        private func describe(_ error: YamlError) -> String {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                "\(self.path):\(mark.line): this is not YAML: \(problem)"
            case .duplicatedKeysInMapping(let duplicates, let context):
                "\(self.path):\(context.mark.line): \(duplicates.joined(separator: ", ")) stands here more than once"
            case .reader(let problem, _, _, _): "\(self.path): this is not YAML: \(problem)"
            default: "\(self.path): this is not YAML: \(error)"
            }
        }

        func error(_ node: Node, _ expectation: String) -> RulesError {
            RulesError("\(self.path):\(node.mark?.line ?? 1): \(expectation)")
        }

        mutating func entries(
            of node: Node,
            _ shape: String,
            known: [String]? = nil
        ) throws(RulesError) -> [(String, Node)] {
            guard case .mapping(let mapping) = node else { throw self.error(node, "expected key: value; \(shape)") }
            var entries: [(String, Node)] = []
            for (key, value) in mapping {
                let name = try self.string(key, shape)
                if let known, !known.contains(name) {
                    throw self.error(key, "\"\(name)\" is not known here: \(shape)")
                }
                entries.append((name, value))
            }
            return entries
        }

        func sequence(_ node: Node, _ shape: String) throws(RulesError) -> Node.Sequence {
            guard case .sequence(let sequence) = node else { throw self.error(node, "expected a list: \(shape)") }
            return sequence
        }

        mutating func strings(of node: Node, _ shape: String) throws(RulesError) -> [String] {
            var strings: [String] = []
            for item in try self.sequence(node, shape) { strings.append(try self.string(item, shape)) }
            return strings
        }

        /// Also of what looks like a number: a user may be called 1234.
        mutating func string(_ node: Node, _ shape: String) throws(RulesError) -> String {
            guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
                throw self.error(node, "expected a name: \(shape)")
            }
            self.taken += 1
            guard self.taken <= RulesFile.maximumNames else {
                throw self.error(node, "the file names more than \(RulesFile.maximumNames) things")
            }
            return scalar.string
        }

        func flag(_ node: Node) throws(RulesError) -> Bool {
            guard case .scalar(let scalar) = node, let value = ["true": true, "false": false][scalar.string] else {
                throw self.error(node, "expected true or false")
            }
            return value
        }
    }
}

/// A file of rules that cannot be used; the message names file and line.
package struct RulesError: Error, Sendable, CustomStringConvertible {
    package let message: String

    init(_ message: String) {
        self.message = message
    }

    package var description: String { self.message }
}
