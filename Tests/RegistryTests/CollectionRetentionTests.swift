// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Registry

@Suite("Retention rules")
struct CollectionRetentionTests {
    static let now: Int64 = 1_800_000_000
    static let day: Int64 = 86_400

    /// Which of the tags go. Their times are days ago: when they were changed, and when they were asked for.
    private func gone(
        _ yaml: String,
        in repository: String = "team/app",
        _ tags: [(name: String, changed: Int64, seen: Int64)]
    ) throws -> [String] {
        guard var evaluation = try Self.rules(yaml).evaluation(of: repository, at: Self.now) else { return [] }
        let retained = tags.map { tag in
            RetainedTag(
                name: tag.name,
                digest: "sha256:" + String(repeating: "0", count: 64),
                updatedAt: Self.now - tag.changed * Self.day,
                seenAt: Self.now - tag.seen * Self.day
            )
        }
        for tag in retained { evaluation.note(tag) }
        return retained.filter { evaluation.verdict(on: $0) != .stays }.map(\.name)
    }

    private static func rules(_ yaml: String) throws -> RetentionRules {
        let path = NSTemporaryDirectory() + "retention-" + UUID().uuidString + ".yml"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(yaml.utf8).write(to: URL(fileURLWithPath: path))
        do {
            return try RetentionFile.rules(path: path)
        } catch {
            // What tests compare does not depend on where the file is.
            throw RetentionError(error.message.replacingOccurrences(of: path, with: "retention.yml"))
        }
    }

    @Test("keeps the so many that were changed last, and counts no tag that the rule is not about")
    func newest() throws {
        let yaml = """
            rules:
              - repositories: ["team/**"]
                tags: ["build-*"]
                keep: {newest: 2}
            """
        let tags: [(String, Int64, Int64)] = [
            ("build-1", 4, 4), ("build-4", 1, 1), ("build-3", 2, 2), ("build-2", 3, 0), ("latest", 0, 0),
            ("old", 900, 900),
        ]
        #expect(try self.gone(yaml, tags) == ["build-1", "build-2"])
        #expect(try self.gone(yaml, in: "other/app", tags) == [])
    }

    @Test(
        "keeps the highest versions by their numbers, pre-releases below what they lead to, and no opinion on other tags"
    )
    func versions() throws {
        let yaml = """
            rules:
              - repositories: ["**"]
                keep: {versions: 3}
            """
        let tags: [(String, Int64, Int64)] = [
            ("v1.9.0", 0, 0), ("v1.10.0", 9, 9), ("2.0.0-rc.2", 9, 9), ("2.0.0-rc.10", 9, 9), ("2.0", 9, 9),
            ("latest", 999, 999),
            ("1.10.0-beta", 0, 0),
        ]
        #expect(try self.gone(yaml, tags) == ["v1.9.0", "v1.10.0", "1.10.0-beta"])
    }

    @Test(
        "orders versions as Semantic Versioning does",
        arguments: [
            [
                "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
                "1.0.0-rc.1",
            ],
            ["1.0.0-rc.1", "1", "1.0.1", "1.2", "v1.10", "2"],
            ["99999999999999999999998.0.0", "99999999999999999999999.0.0", "100000000000000000000000.0.0"],
        ]
    )
    func order(tags: [String]) throws {
        let versions = try tags.map { try #require(VersionTag($0)) }
        for (index, version) in versions.enumerated() {
            for other in versions[(index + 1)...] {
                #expect(version < other)
                #expect(!(other < version))
            }
        }
    }

    @Test(
        "does not take other tags for versions",
        arguments: ["latest", "v", "1.2.3.4", "1..2", "1.2.3-", "v1.x", "1.2.3-a..b", "-1"]
    )
    func noVersion(tag: String) { #expect(VersionTag(tag) == nil) }

    @Test("keeps what was changed or asked for lately")
    func byAge() throws {
        let tags: [(String, Int64, Int64)] = [("new", 5, 5), ("used", 500, 13), ("old", 31, 31), ("edge", 30, 30)]
        let changed = "rules: [{repositories: [team/*], keep: {changed-within: 30d}}]"
        #expect(try self.gone(changed, tags) == ["used", "old"])
        let either = "rules: [{repositories: [team/*], keep: {changed-within: 30d, seen-within: 14d}}]"
        #expect(try self.gone(either, tags) == ["old"])
    }

    @Test("keeps a tag when any rule does, and every tag that none is about")
    func combine() throws {
        let yaml = """
            rules:
              - repositories: ["team/**"]
                tags: ["pr-*"]
                keep: {changed-within: 7d}
              - repositories: ["team/app"]
                tags: ["pr-*", "nightly-*"]
                except-tags: ["nightly-keep"]
                keep: {newest: 1}
              - repositories: ["other/**"]
                keep: nothing
            """
        let tags: [(String, Int64, Int64)] = [
            ("pr-1", 8, 0), ("pr-2", 6, 0), ("nightly-1", 3, 0), ("nightly-2", 2, 0), ("nightly-keep", 99, 0),
            ("latest", 99, 99),
        ]
        #expect(try self.gone(yaml, tags) == ["pr-1", "nightly-1"])
        #expect(try self.gone(yaml, in: "team/else", tags) == ["pr-1"])
        #expect(try self.gone(yaml, in: "other/x", tags) == tags.map(\.0))
        #expect(try self.gone(yaml, in: "third/x", tags) == [])
    }

    @Test("never takes what is protected")
    func protection() throws {
        let yaml = """
            rules: [{repositories: ["**"], keep: nothing}]
            protected:
              - repositories: ["**"]
                tags: [latest, "release-*"]
              - repositories: ["archive/**"]
            """
        let tags: [(String, Int64, Int64)] = [("latest", 1, 1), ("release-1", 1, 1), ("x", 1, 1)]
        #expect(try self.gone(yaml, tags) == ["x"])
        #expect(try self.gone(yaml, in: "archive/old/app", tags) == [])
    }

    @Test("leaves what is attached to an image alone", arguments: ["", ".sig", ".att", ".sbom"])
    func attached(suffix: String) throws {
        let yaml = "rules: [{repositories: [\"**\"], keep: nothing}]"
        let hex = String(repeating: "ab", count: 32)
        let lookalikes = ["sha256-\(hex).txt", "sha256-\(hex.dropLast())", "sha1-\(hex)", "sha256-\(hex.uppercased())"]
        let tags = (["sha256-\(hex)\(suffix)"] + lookalikes).map { (name: $0, changed: Int64(900), seen: Int64(900)) }
        #expect(try self.gone(yaml, tags) == lookalikes)
        #expect(AttachedTag.names(for: "sha256:\(hex)").contains("sha256-\(hex)\(suffix)"))
        #expect(AttachedTag.subject(of: "sha256-\(hex)\(suffix)") == "sha256:\(hex)")
    }

    @Test("says for each repository what becomes of untagged manifests: the first rule that says so counts")
    func untagged() throws {
        let rules = try Self.rules(
            """
            rules:
              - {repositories: ["team/keep"], untagged: never}
              - {repositories: ["team/**"], keep: {newest: 1}}
              - {repositories: ["team/**"], untagged: 36h}
            """
        )
        #expect(rules.untagged(in: "team/keep") == .keep)
        #expect(rules.untagged(in: "team/app") == .remove(after: 36 * 3600))
        #expect(rules.untagged(in: "other") == nil)
    }

    @Test(
        "says where a file is wrong, and what it expects",
        arguments: [
            ("", "retention.yml:1: the file is empty"),
            ("rules: []", "retention.yml:1: there are no rules"),
            ("rule: []", "retention.yml:1: `rule` is not known here: the file has rules and protected"),
            ("rules:\n  - keep: {newest: 1}", "retention.yml:2: the rule is for no repository"),
            ("rules:\n  - repositories: [a]", "retention.yml:2: the rule says neither"),
            (
                "rules:\n  - repositories: [a]\n    keep: {newest: 0}",
                "retention.yml:3: found `0`, expected a number from 1"
            ),
            ("rules:\n  - repositories: [a]\n    keep: {newest: -1}", "retention.yml:3: found `-1`"),
            (
                "rules:\n  - repositories: [a]\n    keep: {seen-within: 2w}",
                "retention.yml:3: found `2w`, expected a time"
            ),
            ("rules:\n  - repositories: [a]\n    keep: {}", "retention.yml:3: keep has one or more of"),
            ("rules:\n  - repositories: [a]\n    keep: all", "retention.yml:3: expected key: value"),
            ("rules:\n  - repositories:\n      - a?", "retention.yml:3: `a?` has a character"),
            ("rules:\n  - repositories: []\n    keep: nothing", "retention.yml:2: the list is empty"),
            ("rules:\n  - repositories: [a]\n    tags: [b]\n    untagged: 1d", "retention.yml:2: the rule names tags"),
            ("rules:\n  - repositories: [a]\n    untagged: 99999999999999999999d", "retention.yml:3: found"),
            ("protected:\n  - tags: [a]", "retention.yml:2: nothing is protected"),
        ]
    )
    func wrong(yaml: String, message: String) {
        #expect { try Self.rules(yaml) } throws: { "\($0)".hasPrefix(message) }
    }
}
