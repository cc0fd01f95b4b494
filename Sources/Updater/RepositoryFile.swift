// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import PercentEncoding
public import TUF

/// A file of a repository, as the specification names it (section 3.1, and 6.1 for consistent snapshots).
public enum RepositoryFile: Sendable, Hashable, CustomStringConvertible {
    /// Metadata of a role; the version is part of its name for roots and in consistent snapshots.
    case metadata(RoleName, version: Int64?)
    /// A target; with its hash before the last segment of its name, where the repository has it so.
    case target(TargetPath, hash: String?)

    /// The name below the base URL of metadata or targets: every byte but unreserved characters percent-encoded, and of a
    /// target's path the slashes left.
    public var urlPath: String {
        self.segments.map { PercentCoding.encode($0) }.joined(separator: "/")
    }

    /// The names of directories and file as they are, without encoding. A role's name may be anything.
    public var segments: [String] {
        switch self {
        case .metadata(let role, let version):
            return [(version.map { "\($0)." } ?? "") + role.text + ".json"]
        case .target(let path, let hash):
            var segments = path.segments
            if let hash, let last = segments.popLast() { segments.append("\(hash).\(last)") }
            return segments
        }
    }

    /// What to call it.
    public var description: String {
        switch self {
        case .metadata(let role, let version): "the metadata of \(role)" + (version.map { " version \($0)" } ?? "")
        case .target(let path, _): "the target \(path)"
        }
    }
}

/// The path of a target that is safe to make a URL and a file name of.
public struct TargetPath: Sendable, Hashable, CustomStringConvertible {
    /// The path as metadata has it.
    public let text: String

    /// The most bytes of a path.
    public static let maximumLength = 1024

    /// Takes a path as metadata has it.
    /// - Throws: ``UpdaterError`` with code `invalid` when it is absolute, or has a segment that is empty, `.` or `..`.
    public init(_ text: String) throws {
        let segments = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isSafe = segments.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
        guard isSafe, !text.utf8.contains(0), text.utf8.count <= Self.maximumLength else {
            throw UpdaterError(
                .invalid,
                "\(text.printable()) is not the path of a target: it must be relative, with no segment that is empty, . or "
                    + ".., and at most \(Self.maximumLength) bytes long"
            )
        }
        self.text = text
    }

    var segments: [String] {
        self.text.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
    }

    /// One file name for the whole path: every byte but unreserved characters percent-encoded, and a leading dot. Of one that
    /// file systems would not take, the beginning and the path's SHA-256.
    package var fileName: String {
        var name = PercentCoding.encode(self.text)
        if name.hasPrefix(".") { name = "%2E" + name.dropFirst() }
        guard name.utf8.count > Self.maximumNameLength else { return name }
        // What no percent-encoding gives: it is no other path's name.
        return name.prefix(Self.maximumNameLength / 2) + "%~"
            + Hexadecimal.encode(Hashes(of: Array(self.text.utf8)).sha256 ?? [])
    }

    private static let maximumNameLength = 255

    /// The path.
    public var description: String { self.text.printable() }
}
