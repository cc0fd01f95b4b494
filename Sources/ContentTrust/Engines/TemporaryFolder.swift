// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A directory for its owner alone, until it is removed.
package struct TemporaryFolder: Sendable {
    /// Where it is.
    package let path: String

    /// Makes it below another directory.
    /// - Throws: what the file system says.
    package init(in directory: String = FileManager.default.temporaryDirectory.path) throws {
        self.path = "\(directory)/hallmark-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(
            atPath: self.path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
    }

    /// Removes it with all that is in it.
    package func remove() { Self.remove(self.path) }

    /// Removes what is at a path. Writers that were stopped remove their own files meanwhile, and a file that has just gone ends a
    /// removal: so it is tried again while there is something left.
    static func remove(_ path: String) {
        for _ in 0..<10 where FileManager.default.fileExists(atPath: path) {
            try? FileManager.default.removeItem(atPath: path)
        }
    }
}
