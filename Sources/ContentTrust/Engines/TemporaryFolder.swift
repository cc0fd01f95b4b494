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

    /// Removes it with all that is in it, also what writers that were stopped are removing themselves.
    package func remove() {
        for _ in 0..<10 where FileManager.default.fileExists(atPath: self.path) {
            try? FileManager.default.removeItem(atPath: self.path)
        }
    }
}
