// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import TokenService

@Suite("Patterns of repositories")
struct RepositoryPatternTests {
    private static func segments(_ name: String) -> [[UInt8]] {
        name.split(separator: "/", omittingEmptySubsequences: false).map { Array($0.utf8) }
    }

    @Test(
        "a pattern is for the names it says and no others",
        arguments: [
            ("team/app", ["team/app"], ["team", "team/app2", "team/app/x", "xteam/app", "Team/app"]),
            ("team/*", ["team/app", "team/a-b.c"], ["team", "team/app/x", "teams/app"]),
            ("team/**", ["team/app", "team/app/x/y"], ["team", "teams/app", "x/team/app"]),
            ("**", ["a", "a/b", "a/b/c"], []),
            ("**/app", ["app", "a/app", "a/b/app"], ["apps", "a/app/b"]),
            ("a/**/z", ["a/z", "a/b/z", "a/b/c/z", "a/z/z"], ["a", "z", "a/z/y", "b/z"]),
            ("a/**/m/**/z", ["a/m/z", "a/b/m/c/d/z"], ["a/z", "a/b/z"]),
            ("app-*", ["app-", "app-1", "app-1-2"], ["app", "app-1/2"]),
            ("*a*b*", ["ab", "xaxbx", "aabb"], ["ba", "a/b"]),
            ("*/*", ["a/b"], ["a", "a/b/c"]),
            (
                "users/${user}/**", ["users/alice/x", "users/alice/x/y"],
                ["users/bob/x", "users/alice", "users/alicex/x"]
            ),
            ("${user}-*", ["alice-x"], ["alice", "bob-x"]),
        ]
    )
    func matching(pattern: String, matched: [String], others: [String]) throws {
        let pattern = try RepositoryPattern(pattern)
        for name in matched {
            #expect(pattern.matches(Self.segments(name), user: "alice", hostIsFirst: false), "\(name)")
        }
        for name in others {
            #expect(!pattern.matches(Self.segments(name), user: "alice", hostIsFirst: false), "\(name)")
        }
    }

    @Test("a user's name is taken literally, and nobody has none")
    func variable() throws {
        let pattern = try RepositoryPattern("${user}/**")
        #expect(!pattern.matches(Self.segments("team/app"), user: "*", hostIsFirst: false))
        #expect(!pattern.matches(Self.segments("a/b/app"), user: "a/b", hostIsFirst: false))
        #expect(!pattern.matches(Self.segments("team/app"), user: nil, hostIsFirst: false))
        #expect(!pattern.matches(Self.segments("/app"), user: nil, hostIsFirst: false))
    }

    @Test("the name of another registry is stood for by itself or **, not by *")
    func hosts() throws {
        let name = Self.segments("other.example.com/app")
        #expect(try RepositoryPattern("other.example.com/*").matches(name, user: nil, hostIsFirst: true))
        #expect(try RepositoryPattern("**").matches(name, user: nil, hostIsFirst: true))
        #expect(try !RepositoryPattern("*/app").matches(name, user: nil, hostIsFirst: true))
        #expect(try !RepositoryPattern("*.example.com/app").matches(name, user: nil, hostIsFirst: true))
        #expect(try !RepositoryPattern("${user}/app").matches(name, user: "other.example.com", hostIsFirst: true))
        #expect(try RepositoryPattern("*/app").matches(name, user: nil, hostIsFirst: false))
    }

    @Test(
        "what is no pattern is refused",
        arguments: [
            "", "/team", "team/", "team//app", "team**", "a/b***", "$user", "${group}/x", "a b", "a\"b", "grün", "a,b",
            "[ab]", "a?",
            String(repeating: "a", count: 513), Array(repeating: "a", count: 33).joined(separator: "/"),
        ]
    )
    func refused(pattern: String) {
        #expect(throws: PatternError.self) { try RepositoryPattern(pattern) }
    }

    @Test("the longest pattern and name take no time to speak of")
    func longNames() throws {
        let pattern = try RepositoryPattern(String(repeating: "*a", count: 255))
        #expect(
            !pattern.matches(
                [Array(repeating: UInt8(ascii: "a"), count: 1_000) + [UInt8(ascii: "b")]],
                user: nil,
                hostIsFirst: false
            )
        )
        let deep = try RepositoryPattern(Array(repeating: "**/a", count: 16).joined(separator: "/"))
        let name = Self.segments(Array(repeating: "a", count: 100).joined(separator: "/") + "/b")
        #expect(!deep.matches(name, user: nil, hostIsFirst: false))
    }
}

extension RulesFile {
    /// The rules of a file that says so.
    static func rules(parsing text: String) throws -> AccessRules {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/rules.yaml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return try RulesFile.rules(path: path)
    }
}

@Suite("Rules")
struct AccessRulesTests {
    private static let text = """
        groups:
          developers: [alice, bob]
          admins:
            - root
            - 1234
        rules:
          - groups: [developers]
            repositories: ["team/**"]
            actions: [pull, push]
          - users: [alice]
            repositories: [team/app]
            actions: [delete]
          - users: ["*"]
            repositories: ["users/${user}/**"]
            actions: ["*"]
          - anyone: true
            repositories: ["public/**"]
            actions: [pull]
          - anonymous: true
            repositories: [guests/app]
            actions: [pull]
          - groups: [admins]
            repositories: ["**"]
            actions: ["*", catalog]
        """

    private func allowed(_ subject: AccessRules.Subject, _ name: String) throws -> [String] {
        let rules = try RulesFile.rules(parsing: Self.text).rules(for: subject)
        let segments = name.split(separator: "/").map { Array($0.utf8) }
        return rules.actions(on: AccessRules.Repository(segments: segments, hostIsFirst: false)).map(\.rawValue)
    }

    @Test("what some rule allows is allowed, and nothing else")
    func allowed() throws {
        #expect(try self.allowed(.user("bob"), "team/app") == ["pull", "push"])
        #expect(try self.allowed(.user("alice"), "team/app") == ["pull", "push", "delete"])
        #expect(try self.allowed(.user("alice"), "team/other") == ["pull", "push"])
        #expect(try self.allowed(.user("carol"), "team/app") == [])
        #expect(try self.allowed(.user("carol"), "users/carol/app") == ["*"])
        #expect(try self.allowed(.user("carol"), "users/alice/app") == [])
        #expect(try self.allowed(.user("carol"), "public/app") == ["pull"])
        #expect(try self.allowed(.anonymous, "public/app") == ["pull"])
        #expect(try self.allowed(.anonymous, "guests/app") == ["pull"])
        #expect(try self.allowed(.user("carol"), "guests/app") == [])
        #expect(try self.allowed(.anonymous, "team/app") == [])
        #expect(try self.allowed(.user("1234"), "any/thing") == ["*"])
        // A group's name is nobody's.
        #expect(try self.allowed(.user("developers"), "team/app") == [])
    }

    @Test("the catalog is an action of its own")
    func catalog() throws {
        let rules = try RulesFile.rules(parsing: Self.text)
        #expect(rules.rules(for: .user("root")).allowsCatalog)
        #expect(!rules.rules(for: .user("alice")).allowsCatalog)
        let only = try RulesFile.rules(parsing: "rules: [{users: [scanner], actions: [catalog]}]")
        #expect(only.rules(for: .user("scanner")).allowsCatalog)
        #expect(!only.rules(for: .anonymous).allowsCatalog)
    }

    @Test(
        "a wrong file is told with line and expectation",
        arguments: [
            ("", "rules.yaml:1: the file is empty"),
            ("rules: [", "rules.yaml:2: is neither YAML nor JSON"),
            ("rules:\n\t- x", "rules.yaml:2: is neither YAML nor JSON"),
            ("groups: {}", "rules.yaml:1: the file has no rules"),
            ("- a", "rules.yaml:1: expected key: value"),
            ("rules: []\nusers: []", "rules.yaml:2: \"users\" is not known here"),
            ("rules: x", "rules.yaml:1: expected a list"),
            ("rules:\n  - x", "rules.yaml:2: expected key: value"),
            ("rules:\n  - users: [a]\n    repos: [a]", "rules.yaml:3: \"repos\" is not known here"),
            (
                "rules:\n  - users: [a]\n    repositories: [a]\n    actions: [pul]",
                "rules.yaml:4: \"pul\" is not an action"
            ),
            ("rules:\n  - users: [a]\n    repositories: [a]\n    actions: pull", "rules.yaml:4: expected a list"),
            ("rules:\n  - users: [a]\n    repositories: [\"a**\"]", "rules.yaml:3: in \"a**\" ** must be a segment"),
            ("rules:\n  - groups: [devs]\n", "rules.yaml:2: there is no group \"devs\""),
            ("rules:\n  - repositories: [a]\n    actions: [pull]", "rules.yaml:2: the rule is for nobody"),
            (
                "rules:\n  - anonymous: false\n    repositories: [a]\n    actions: [pull]",
                "rules.yaml:2: the rule is for nobody"
            ),
            ("rules:\n  - anyone: yes\n", "rules.yaml:2: expected true or false"),
            ("rules:\n  - users: [a]\n    repositories: [a]", "rules.yaml:2: the rule allows nothing"),
            ("rules:\n  - users: [a]\n    actions: [pull]", "rules.yaml:2: the rule is for no repository"),
            ("rules:\n  - users: [a]\n    users: [b]", "`users` stands here more than once"),
            ("rules:\n  - users: [[a]]", "rules.yaml:2: expected a name, found a list"),
            ("rules:\n  - users: [a]\n    actions: [*]", "rules.yaml:3: anchors and aliases (*) are not taken"),
        ]
    )
    func wrongFiles(text: String, message: String) {
        #expect {
            try RulesFile.rules(parsing: text)
        } throws: { error in
            "\(error)".contains(message)
        }
    }
}
