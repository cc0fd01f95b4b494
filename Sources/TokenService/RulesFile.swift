// SPDX-License-Identifier: Apache-2.0

import Settings
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
    private static let maximumSize = 1 << 20
    private static let maximumPatterns = 20_000

    private let path: String

    /// Reads a file. Blocks.
    /// - Throws: ``RulesError`` with the line, what is there, and what was expected.
    package static func rules(path: String) throws(RulesError) -> AccessRules {
        do {
            return try RulesFile(path: path).rules(YAMLDocument(path: path, sizeLimit: Self.maximumSize))
        } catch let error as DocumentProblem {
            throw RulesError(error.description)
        } catch let error as RulesError {
            throw error
        } catch {
            throw RulesError("\(path): \(error)")
        }
    }

    private func rules(_ document: YAMLDocument) throws(RulesError) -> AccessRules {
        let reader = Reader(path: self.path)
        guard let root = document.root else {
            throw RulesError("\(self.path):1: the file is empty: without any rules, nobody may do anything")
        }
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
        var result: [AccessRules.Rule] = []
        for rule in rules { result.append(try self.rule(rule, groups, reader)) }
        guard result.reduce(0, { $0 + $1.patterns.count }) <= Self.maximumPatterns else {
            throw reader.error(root, "there are more than \(Self.maximumPatterns) patterns")
        }
        return AccessRules(groups: groups, rules: result)
    }

    private func rule(
        _ node: Node,
        _ groups: [String: Set<String>],
        _ reader: Reader
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
                rule.patterns = try self.patterns(value, reader)
            default:
                rule.actions = try self.actions(value, reader)
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

    private func patterns(_ node: Node, _ reader: Reader) throws(RulesError) -> [RepositoryPattern] {
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

    private func actions(_ node: Node, _ reader: Reader) throws(RulesError) -> Set<AccessRules.Action> {
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

    /// Takes nodes for what they must be.
    private struct Reader {
        let path: String

        func error(_ node: Node, _ expectation: String) -> RulesError {
            RulesError("\(self.path):\(node.line): \(expectation)")
        }

        func entries(
            of node: Node,
            _ shape: String,
            known: [String]? = nil
        ) throws(RulesError) -> [(String, Node)] {
            guard case .mapping(let mapping) = node else {
                throw self.error(node, "expected key: value, found \(node.found); \(shape)")
            }
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
            guard case .sequence(let sequence) = node else {
                throw self.error(node, "expected a list, found \(node.found): \(shape)")
            }
            return sequence
        }

        func strings(of node: Node, _ shape: String) throws(RulesError) -> [String] {
            var strings: [String] = []
            for item in try self.sequence(node, shape) { strings.append(try self.string(item, shape)) }
            return strings
        }

        /// Also of what looks like a number: a user may be called 1234.
        func string(_ node: Node, _ shape: String) throws(RulesError) -> String {
            guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
                throw self.error(node, "expected a name, found \(node.found): \(shape)")
            }
            return scalar.string
        }

        func flag(_ node: Node) throws(RulesError) -> Bool {
            guard case .scalar(let scalar) = node, let value = ["true": true, "false": false][scalar.string] else {
                throw self.error(node, "expected true or false, found \(node.found)")
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
