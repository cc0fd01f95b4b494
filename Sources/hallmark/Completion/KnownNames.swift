// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation

extension CompletionKind {
    /// Collections that are known on this machine.
    static var collections: CompletionKind {
        .custom { words, _, prefix in KnownNames(words).collections.filter { $0.hasPrefix(prefix) } }
    }

    /// The ids of the keys in the trust directory.
    static var keyIDs: CompletionKind {
        .custom { words, _, prefix in KnownNames(words).keyIDs.filter { $0.hasPrefix(prefix) } }
    }

    /// Roles: those that every collection has, and the delegations of those that are known.
    static var roles: CompletionKind {
        .custom { words, _, prefix in KnownNames(words).roles.filter { $0.hasPrefix(prefix) } }
    }
}

/// What a trust directory has names for. Nothing in it is trusted or even read: it is to be typed, not to be believed.
private struct KnownNames {
    private static let maximumEntries = 10_000

    private let directory: String

    /// - Parameter words: the command line so far, which may name the directory.
    init(_ words: [String]) {
        let option = words.lastIndex { ["-d", "--trust-dir", "--trustDir"].contains($0) }
        let named = option.flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
        self.directory = (try? ClientSettings(trustDirectory: named))?.trustDirectory ?? ""
    }

    var collections: [String] {
        self.files(below: "tuf").compactMap { path in
            path.hasSuffix("/metadata/root.json") ? String(path.dropLast("/metadata/root.json".count)) : nil
        }.sorted()
    }

    var keyIDs: [String] {
        self.files(below: "private").compactMap { path in
            path.hasSuffix(".key") ? path.split(separator: "/").last.map { String($0.dropLast(4)) } : nil
        }.sorted()
    }

    var roles: [String] {
        let delegations = self.files(below: "tuf").compactMap { path -> String? in
            guard let folder = path.range(of: "/metadata/targets/"), path.hasSuffix(".json") else { return nil }
            return "targets/" + path[folder.upperBound...].dropLast(5)
        }
        return ["root", "snapshot", "targets", "timestamp"] + Set(delegations).sorted()
    }

    private func files(below folder: String) -> [String] {
        guard let found = FileManager.default.enumerator(atPath: self.directory + "/" + folder) else { return [] }
        return found.prefix(Self.maximumEntries).compactMap { $0 as? String }
    }
}
