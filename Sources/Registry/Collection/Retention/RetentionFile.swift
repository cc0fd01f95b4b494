// SPDX-License-Identifier: Apache-2.0

import OCI
import Settings
import Yams

/// Reads the file of retention rules, which is YAML:
///
///     rules:
///       - repositories: ["team/**"]
///         tags: ["v*"]
///         keep: {versions: 10, changed-within: 90d}
///       - repositories: ["ci/**"]
///         keep: {newest: 20, seen-within: 14d}
///         untagged: 1d
///     protected:
///       - repositories: ["**"]
///         tags: [latest, "release-*"]
package struct RetentionFile {
    /// The largest file that is read, in bytes.
    private static let maximumSize = 1 << 20
    private static let maximumPatterns = 10_000
    private static let maximumCount = 100_000
    private static let ruleShape =
        "a rule has repositories; keep, with tags and except-tags if it is not about all; and untagged"

    private let reader: Reader

    /// Reads a file. Blocks.
    /// - Throws: ``RetentionError`` with the line, what is there, and what was expected.
    package static func rules(path: String) throws(RetentionError) -> RetentionRules {
        do {
            let document = try YAMLDocument(path: path, sizeLimit: Self.maximumSize)
            return try RetentionFile(reader: Reader(path: path)).rules(document)
        } catch let error as DocumentProblem {
            throw RetentionError(error.description)
        } catch let error as RetentionError {
            throw error
        } catch {
            throw RetentionError("\(path): \(error)")
        }
    }

    private func rules(_ document: YAMLDocument) throws(RetentionError) -> RetentionRules {
        guard let root = document.root, !root.isNothing else {
            throw RetentionError("\(self.reader.path):1: the file is empty: leave the setting out to keep every tag")
        }
        var rules: [RetentionRules.Rule] = []
        var protected: [RetentionRules.Protection] = []
        let shape = "the file has rules and protected"
        for (key, value) in try self.reader.entries(of: root, shape, known: ["rules", "protected"]) {
            if key == "rules" {
                for node in try self.reader.sequence(value, "rules are a list, each beginning with -") {
                    rules.append(try self.rule(node))
                }
            } else {
                for node in try self.reader.sequence(value, "protected is a list, each beginning with -") {
                    protected.append(try self.protection(node))
                }
            }
        }
        guard !rules.isEmpty else { throw self.reader.error(root, "there are no rules: without any, every tag stays") }
        let patterns =
            rules.reduce(0) { $0 + $1.repositories.count + $1.tags.count + $1.exceptTags.count }
            + protected.reduce(0) { $0 + $1.repositories.count + $1.tags.count }
        guard patterns <= Self.maximumPatterns else {
            throw self.reader.error(root, "there are more than \(Self.maximumPatterns) patterns")
        }
        return RetentionRules(rules: rules, protected: protected)
    }

    private func rule(_ node: Node) throws(RetentionError) -> RetentionRules.Rule {
        var rule = RetentionRules.Rule(line: node.line)
        let known = ["repositories", "tags", "except-tags", "keep", "untagged"]
        for (key, value) in try self.reader.entries(of: node, Self.ruleShape, known: known) {
            switch key {
            case "repositories": rule.repositories = try self.patterns(value, "repositories", "team/**")
            case "tags": rule.tags = try self.patterns(value, "tags", "v*")
            case "except-tags": rule.exceptTags = try self.patterns(value, "except-tags", "latest")
            case "keep": rule.keep = try self.keep(value)
            default:
                rule.untagged =
                    try self.reader.string(value, "`never`, or a time such as 14d") == "never"
                    ? .keep : .remove(after: self.reader.span(value))
            }
        }
        guard !rule.repositories.isEmpty else {
            throw self.reader.error(node, "the rule is for no repository: \(Self.ruleShape)")
        }
        guard rule.keep != nil || rule.untagged != nil else {
            throw self.reader.error(node, "the rule says neither what to keep nor what becomes of untagged manifests")
        }
        guard rule.keep != nil || rule.tags.isEmpty && rule.exceptTags.isEmpty else {
            throw self.reader.error(node, "the rule names tags, but not under `keep` which of them to keep")
        }
        return rule
    }

    private func keep(_ node: Node) throws(RetentionError) -> RetentionRules.Keep {
        let shape = "keep has one or more of newest, versions, changed-within and seen-within; or it is `nothing`"
        if case .scalar(let scalar) = node, scalar.string == "nothing" { return RetentionRules.Keep() }
        var keep = RetentionRules.Keep()
        let known = ["newest", "versions", "changed-within", "seen-within"]
        for (key, value) in try self.reader.entries(of: node, shape, known: known) {
            switch key {
            case "newest": keep.newest = try self.count(value)
            case "versions": keep.versions = try self.count(value)
            case "changed-within": keep.changedWithin = try self.reader.span(value)
            default: keep.seenWithin = try self.reader.span(value)
            }
        }
        guard keep != RetentionRules.Keep() else { throw self.reader.error(node, shape) }
        return keep
    }

    private func protection(_ node: Node) throws(RetentionError) -> RetentionRules.Protection {
        var protection = RetentionRules.Protection()
        let shape = "what is protected has repositories, and tags if not all are meant"
        for (key, value) in try self.reader.entries(of: node, shape, known: ["repositories", "tags"]) {
            if key == "repositories" {
                protection.repositories = try self.patterns(value, "repositories", "team/**")
            } else {
                protection.tags = try self.patterns(value, "tags", "v*")
            }
        }
        guard !protection.repositories.isEmpty else {
            throw self.reader.error(node, "nothing is protected: \(shape)")
        }
        return protection
    }

    private func patterns(
        _ node: Node,
        _ name: String,
        _ example: String
    ) throws(RetentionError) -> [NamePattern] {
        var patterns: [NamePattern] = []
        for item in try self.reader.sequence(node, "\(name) are a list of patterns, such as [\"\(example)\"]") {
            let text = try self.reader.string(item, "a pattern such as \"\(example)\"")
            do {
                patterns.append(try NamePattern(text))
            } catch {
                throw self.reader.error(item, error.message)
            }
        }
        guard !patterns.isEmpty else {
            throw self.reader.error(node, "the list is empty: \(name) are patterns, such as [\"\(example)\"]")
        }
        return patterns
    }

    private func count(_ node: Node) throws(RetentionError) -> Int {
        let text = try self.reader.string(node, "a number")
        guard let count = Int(text), (1...Self.maximumCount).contains(count) else {
            throw self.reader.error(node, "found \(node.found), expected a number from 1 to \(Self.maximumCount)")
        }
        return count
    }

    // MARK: YAML

    /// Takes nodes for what they must be.
    private struct Reader {
        let path: String

        func error(_ node: Node, _ expectation: String) -> RetentionError {
            RetentionError("\(self.path):\(node.line): \(expectation)")
        }

        func entries(of node: Node, _ shape: String, known: [String]) throws(RetentionError) -> [(String, Node)] {
            guard case .mapping(let mapping) = node else {
                throw self.error(node, "expected key: value, found \(node.found); \(shape)")
            }
            var entries: [(String, Node)] = []
            for (key, value) in mapping {
                let name = try self.string(key, shape)
                guard known.contains(name) else { throw self.error(key, "`\(name)` is not known here: \(shape)") }
                entries.append((name, value))
            }
            return entries
        }

        func sequence(_ node: Node, _ shape: String) throws(RetentionError) -> Node.Sequence {
            guard case .sequence(let sequence) = node else {
                throw self.error(node, "expected a list, found \(node.found): \(shape)")
            }
            return sequence
        }

        func string(_ node: Node, _ shape: String) throws(RetentionError) -> String {
            guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
                throw self.error(node, "expected a text, found \(node.found): \(shape)")
            }
            return scalar.string
        }

        /// In seconds.
        func span(_ node: Node) throws(RetentionError) -> Int64 {
            let text = try self.string(node, "a time such as 12h or 14d")
            let longest = 100 * 365
            let units = ["d": 86_400, "h": 3_600, "m": 60, "s": 1] as [Character: Int64]
            guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()), count > 0,
                count <= Int64(longest) * 86_400 / unit
            else {
                throw self.error(node, "found \(node.found), expected a time up to \(longest)d, such as 12h or 14d")
            }
            return count * unit
        }
    }
}

/// A file of retention rules that cannot be used; the message names file and line.
package struct RetentionError: Error, Sendable, CustomStringConvertible {
    package let message: String

    init(_ message: String) {
        self.message = message
    }

    package var description: String { self.message }
}
