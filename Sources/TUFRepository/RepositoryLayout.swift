// SPDX-License-Identifier: Apache-2.0

import Ceremony
import TUF

/// Where the files of a repository lie in its directory. `metadata` and `targets` are what a web server serves; the others are
/// the publisher's.
package enum RepositoryLayout {
    /// Signed metadata.
    package static let metadata = "metadata"
    /// The files that targets name.
    package static let targets = "targets"
    /// Changes for the next publish.
    static let changes = "staged/changes"
    /// The files of those changes, by their SHA-256.
    static let content = "staged/content"
    /// How long metadata is valid.
    static let settings = "repository.json"

    /// A file of signed metadata. Only the timestamp's is ever replaced.
    static func metadata(_ role: RoleName, version: Int64) -> String {
        let name = role == .timestamp ? "timestamp.json" : VersionedName(role, version: version).text
        return "\(self.metadata)/\(name)"
    }

    /// Where readers look for metadata that is not consistent: under a name that stays. It is a copy of the other.
    static func copy(_ role: RoleName) -> String { "\(self.metadata)/\(role).json" }

    /// The names of a target's file: one for each hash in a consistent repository, in the order of the algorithms' names.
    static func names(of path: String, _ file: TargetFile, isConsistent: Bool) -> [String] {
        guard isConsistent else { return ["\(self.targets)/\(path)"] }
        let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        return file.hashes.digests.map {
            "\(self.targets)/\(path[..<slash])\(Hexadecimal.encode($0.value)).\(path[slash...])"
        }
    }
}

// MARK: - Names that any web server serves from files

extension RepositoryLayout {
    private static let nameLimit = 200

    /// Refuses a target path that is no path below a directory everywhere.
    /// - Throws: ``RepositoryError`` with code `invalid`.
    static func check(targetPath path: String) throws {
        let segments = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let areNames = segments.allSatisfy { segment in
            !segment.isEmpty && !segment.elementsEqual(".".utf8) && !segment.elementsEqual("..".utf8)
                // With a hash of 128 digits and a dot before it, a name has to fit into 255 bytes.
                && segment.count <= 120 && segment.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }
        }
        guard areNames, path.utf8.count <= 2048 else {
            throw RepositoryError(
                .invalid,
                "\(path.prefix(200)) cannot be a target's path: use names of at most 120 bytes, none of them . or .., "
                    + "between single slashes, without backslashes and control characters"
            )
        }
    }

    /// Refuses the name of a delegated role that would not be one file name everywhere, or be that of another role.
    /// - Throws: ``RepositoryError`` with code `invalid`.
    static func check(delegatedRole role: RoleName) throws {
        let isPlain = role.text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                true
            default: false
            }
        }
        let isVersioned = VersionedName("\(role).json") != nil
        guard role.isDelegation, isPlain, !role.text.isEmpty, role.text.utf8.count <= self.nameLimit,
            !role.text.hasPrefix("."), !role.text.hasPrefix("-"), role.text != "mirrors", !isVersioned
        else {
            throw RepositoryError(
                .invalid,
                "\(role.text.prefix(200)) cannot be the name of a delegated role: use up to \(self.nameLimit) letters, "
                    + "digits and - . _ ~, not beginning with - or . or a number and a dot"
            )
        }
    }
}
