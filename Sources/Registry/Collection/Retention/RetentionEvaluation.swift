// SPDX-License-Identifier: Apache-2.0

import OCI

/// The rules at work on one repository. Every tag is shown to it twice: first to ``note(_:)``, so that it knows which are the
/// newest, then to ``verdict(on:)``. What it holds in memory does not grow with the number of tags.
struct RetentionEvaluation: Sendable {
    enum Verdict: Sendable, Hashable {
        case stays
        /// Why it goes.
        case goes(String)
    }

    /// The best so many of what it was shown.
    private struct Best<Key: Comparable & Sendable>: Sendable {
        let limit: Int
        /// The best first.
        private(set) var keys: [Key] = []

        init(limit: Int) {
            self.limit = limit
        }

        mutating func note(_ key: Key) {
            guard self.keys.count < self.limit || self.keys.last.map({ $0 < key }) ?? false else { return }
            var low = 0
            var high = self.keys.count
            while low < high {
                let middle = (low + high) / 2
                if self.keys[middle] > key { low = middle + 1 } else { high = middle }
            }
            self.keys.insert(key, at: low)
            if self.keys.count > self.limit { self.keys.removeLast() }
        }

        func contains(_ key: Key) -> Bool {
            guard self.limit > 0, let last = self.keys.last else { return false }
            return self.keys.count < self.limit || key >= last
        }
    }

    private struct ByChange: Comparable, Sendable {
        let updatedAt: Int64
        let name: String

        static func < (first: Self, second: Self) -> Bool {
            (first.updatedAt, first.name) < (second.updatedAt, second.name)
        }
    }

    private struct ByVersion: Comparable, Sendable {
        let version: VersionTag
        let name: String

        static func < (first: Self, second: Self) -> Bool {
            if first.version < second.version { return true }
            return !(second.version < first.version) && first.name < second.name
        }

        static func == (first: Self, second: Self) -> Bool { first.name == second.name }
    }

    private struct State: Sendable {
        let rule: RetentionRules.Rule
        let keep: RetentionRules.Keep
        var newest: Best<ByChange>?
        var versions: Best<ByVersion>?

        func isAbout(_ tag: String) -> Bool {
            self.rule.isAbout(tag: tag) && (!self.keep.isAboutVersionsOnly || VersionTag(tag) != nil)
        }
    }

    private var states: [State]
    private let protected: [NamePattern]
    private let now: Int64

    init(rules: [RetentionRules.Rule], protected: [NamePattern], now: Int64) {
        self.states = rules.compactMap { rule in
            rule.keep.map {
                State(
                    rule: rule,
                    keep: $0,
                    newest: $0.newest.map(Best.init(limit:)),
                    versions: $0.versions.map(Best.init(limit:))
                )
            }
        }
        self.protected = protected
        self.now = now
    }

    /// Whether rules that count are among them, for which all tags must be noted first.
    var counts: Bool { self.states.contains { $0.newest != nil || $0.versions != nil } }

    /// Takes a tag into account.
    mutating func note(_ tag: RetainedTag) {
        guard !AttachedTag.isOne(tag.name) else { return }
        for index in self.states.indices where self.states[index].isAbout(tag.name) {
            self.states[index].newest?.note(ByChange(updatedAt: tag.updatedAt, name: tag.name))
            if self.states[index].versions != nil, let version = VersionTag(tag.name) {
                self.states[index].versions?.note(ByVersion(version: version, name: tag.name))
            }
        }
    }

    /// What becomes of a tag, when all have been noted.
    func verdict(on tag: RetainedTag) -> Verdict {
        guard !AttachedTag.isOne(tag.name), !self.protected.contains(where: { $0.matches(tag.name) }) else {
            return .stays
        }
        let concerned = self.states.filter { $0.isAbout(tag.name) }
        guard !concerned.isEmpty, !concerned.contains(where: { self.keeps(tag, $0) }) else { return .stays }
        return .goes(concerned.map(self.reason).joined(separator: "; "))
    }

    private func keeps(_ tag: RetainedTag, _ state: State) -> Bool {
        if state.newest?.contains(ByChange(updatedAt: tag.updatedAt, name: tag.name)) == true { return true }
        if let versions = state.versions, let version = VersionTag(tag.name),
            versions.contains(ByVersion(version: version, name: tag.name))
        {
            return true
        }
        if let span = state.keep.changedWithin, self.isWithin(span, tag.updatedAt) { return true }
        if let span = state.keep.seenWithin, self.isWithin(span, max(tag.seenAt, tag.updatedAt)) { return true }
        return false
    }

    private func isWithin(_ span: Int64, _ time: Int64) -> Bool {
        let (end, overflows) = time.addingReportingOverflow(span)
        return overflows || end >= self.now
    }

    private func reason(_ state: State) -> String {
        var parts: [String] = []
        if let count = state.keep.newest { parts.append("not among the newest \(count)") }
        if let count = state.keep.versions { parts.append("not among the \(count) highest versions") }
        if state.keep.changedWithin != nil { parts.append("not changed lately") }
        if state.keep.seenWithin != nil { parts.append("not asked for lately") }
        if parts.isEmpty { parts.append("kept by nothing") }
        return "line \(state.rule.line): " + parts.joined(separator: ", ")
    }
}

/// Tags that stand for what is attached to another manifest: cosign's signatures, attestations and SBOMs
/// (`sha256-<hex>.sig`, `.att`, `.sbom`), and the index of referrers that clients keep where a registry has no referrers API
/// (`sha256-<hex>`, OCI distribution-spec, "Referrers Tag Schema").
enum AttachedTag {
    private static let suffixes = ["", ".sig", ".att", ".sbom"]
    /// The schema cuts the encoded part of a digest at so many characters.
    private static let encodedLimit = 64
    private static let algorithms = ["sha256": 64, "sha384": 96, "sha512": 128]

    /// Whether the tag belongs to a manifest.
    static func isOne(_ tag: String) -> Bool { Self.subject(of: tag) != nil }

    /// The beginning of the digest of the manifest that the tag belongs to, which is all of it for SHA-256; nil when the tag is
    /// like any other.
    static func subject(of tag: String) -> String? {
        guard let dash = tag.firstIndex(of: "-"), let length = Self.algorithms[String(tag[..<dash])] else { return nil }
        let rest = tag[tag.index(after: dash)...]
        let encoded = rest.prefix { $0 != "." }
        guard encoded.utf8.count == length || encoded.utf8.count == min(length, Self.encodedLimit),
            encoded.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            Self.suffixes.contains(String(rest[encoded.endIndex...]))
        else { return nil }
        return "\(tag[..<dash]):\(encoded)"
    }

    /// All tags that may belong to a manifest.
    static func names(for digest: String) -> [String] {
        guard let colon = digest.firstIndex(of: ":") else { return [] }
        let algorithm = digest[..<colon]
        let encoded = digest[digest.index(after: colon)...]
        var beginnings = ["\(algorithm)-\(encoded)"]
        // As a tag has at most 128 characters, whatever is longer is not asked for.
        if encoded.utf8.count > Self.encodedLimit {
            beginnings.append("\(algorithm)-\(encoded.prefix(Self.encodedLimit))")
        }
        return beginnings.flatMap { beginning in Self.suffixes.map { beginning + $0 } }.filter { $0.utf8.count <= 128 }
    }
}
