// SPDX-License-Identifier: Apache-2.0

import Database

/// Finds out whether anything holds on to a manifest.
///
/// A manifest of a repository stays when it has a tag, when it is too young to go, when an index that stays lists it, or when its
/// subject is there and stays. So what holds a manifest is followed upwards until something is found that stays by itself; when
/// nothing is, all that was passed goes. That ends even where manifests hold each other in a circle (an index about a manifest that
/// it lists), and takes as long as what goes is large.
struct UntaggedManifests {
    /// How many manifests are passed before it is left to a later collection, when some of them have gone.
    private static let maximumPassed = 2_000

    let repository: String
    /// Before when a manifest without a tag must have been seen last to go; nil when such manifests stay.
    let untaggedBefore: Int64?
    /// The same for one whose subject is not there.
    let orphanedBefore: Int64?
    /// Tags and manifests that count as gone, for whoever only wants to know.
    var withoutTags: Set<String> = []
    var withoutManifests: Set<String> = []

    /// What goes, as far as is known.
    private(set) var doomed: [String: Doomed] = [:]
    private var staying: Set<String> = []

    struct Doomed: Sendable, Hashable {
        let size: Int64
        let isOrphaned: Bool
    }

    init(repository: String, untaggedBefore: Int64?, orphanedBefore: Int64?) {
        self.repository = repository
        self.untaggedBefore = untaggedBefore
        self.orphanedBefore = orphanedBefore
    }

    private struct Found {
        let doomed: Doomed
        let subject: String?
    }

    /// Looks at a manifest, and at what holds it. What goes by that is in ``doomed``.
    mutating func examine(_ digest: String, on connection: any SQLConnection) throws {
        guard self.doomed[digest] == nil else { return }
        var passed: [String: Doomed] = [:]
        var waiting = [digest]
        while let next = waiting.popLast() {
            guard passed[next] == nil, self.doomed[next] == nil else { continue }
            guard passed.count < Self.maximumPassed, !self.staying.contains(next),
                let found = try self.removable(next, on: connection)
            else {
                // Of those that were passed only the first is known to be held by it.
                self.staying.insert(digest)
                return
            }
            passed[next] = found.doomed
            waiting += try self.indexes(of: next, on: connection)
            if let subject = found.subject { waiting.append(subject) }
        }
        self.doomed.merge(passed) { first, _ in first }
    }

    /// Nil when the manifest stays by itself.
    private func removable(_ digest: String, on connection: any SQLConnection) throws -> Found? {
        let parameters: [SQLValue] = [.text(self.repository), .text(digest)]
        // An index that is not there itself, but lists others: its bytes were damaged, and it will be pushed again.
        guard
            let row = try connection.query(
                "SELECT size, subject, seen_at, pushed_at FROM manifests WHERE repository = ? AND digest = ?",
                parameters
            ).first
        else { return nil }
        var subject = try row.optionalText(1)
        let isOrphaned: Bool
        if let named = subject, try !self.isThere(named, on: connection) {
            subject = nil
            isOrphaned = true
        } else {
            isOrphaned = false
        }
        let cutoffs = [self.untaggedBefore, isOrphaned ? self.orphanedBefore : nil].compactMap(\.self)
        guard let cutoff = cutoffs.max(), try max(row.integer(2), row.integer(3)) < cutoff,
            try !self.isTagged(digest, on: connection)
        else { return nil }
        return try Found(doomed: Doomed(size: row.integer(0), isOrphaned: isOrphaned), subject: subject)
    }

    private func isThere(_ digest: String, on connection: any SQLConnection) throws -> Bool {
        guard !self.withoutManifests.contains(digest) else { return false }
        return try !connection.query(
            "SELECT 1 FROM manifests WHERE repository = ? AND digest = ?",
            .text(self.repository),
            .text(digest)
        ).isEmpty
    }

    private func isTagged(_ digest: String, on connection: any SQLConnection) throws -> Bool {
        try connection.query(
            "SELECT name FROM tags WHERE repository = ? AND digest = ?",
            .text(self.repository),
            .text(digest)
        ).contains { try !self.withoutTags.contains($0.text(0)) }
    }

    private func indexes(of digest: String, on connection: any SQLConnection) throws -> [String] {
        try connection.query(
            "SELECT manifest FROM manifest_references WHERE digest = ? AND kind = 'manifest' AND repository = ?",
            .text(digest),
            .text(self.repository)
        ).map { try $0.text(0) }.filter { !self.withoutManifests.contains($0) }
    }
}
