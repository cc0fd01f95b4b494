// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Whether a directory's disk has room.
package struct DiskSpace: Sendable {
    /// Too little is left.
    package struct TooLittle: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    let directory: String
    let least: Int64

    /// - Parameters:
    ///   - directory: any directory of the file system in question.
    ///   - least: how many bytes must be free.
    package init(directory: String, least: Int64 = 256 << 20) {
        self.directory = directory
        self.least = least
    }

    /// - Throws: ``TooLittle``, or what the file system says.
    package func check() throws {
        let free = try self.free()
        guard free >= self.least else {
            throw TooLittle(
                description:
                    "\(free >> 20) MiB are free for \(self.directory), at least \(self.least >> 20) MiB should be"
            )
        }
    }

    /// How many bytes are free for this user.
    package func free() throws -> Int64 {
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: self.directory)
        return (attributes[.systemFreeSize] as? NSNumber)?.int64Value ?? .max
    }
}
