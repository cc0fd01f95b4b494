// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation

/// What a ceremony needs of a file system. Every change is durable when the call returns, and a file is replaced whole or not at
/// all. Paths are relative to a directory of the implementation's. All of it blocks.
package protocol CeremonyFiles: Sendable {
    /// A regular file of at most so many bytes; nil when there is none.
    func read(_ path: String, limit: Int) throws -> [UInt8]?
    /// The names in a directory, in no order; none when there is no such directory.
    func list(_ directory: String) throws -> [String]
    /// Writes a file, in place of one of that name.
    func replace(_ path: String, with bytes: [UInt8]) throws
    /// Removes files, durably when all are gone; not an error when there is none of a name.
    func remove(_ paths: [String]) throws
}

/// Files on a disk that only their owner reads.
package struct PrivateFiles: CeremonyFiles {
    private let directory: String

    /// Takes the directory, which need not be there yet.
    package init(_ directory: String) {
        self.directory = directory
    }

    package func read(_ path: String, limit: Int) throws -> [UInt8]? {
        try DurableFile.read("\(self.directory)/\(path)", limit: limit)
    }

    package func list(_ directory: String) throws -> [String] {
        let path = "\(self.directory)/\(directory)"
        guard DurableFile.isDirectory(path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: path)
    }

    package func replace(_ path: String, with bytes: [UInt8]) throws {
        let path = "\(self.directory)/\(path)"
        try DurableFile.makeDirectory(DurableFile.directory(of: path))
        try DurableFile.replace(path, with: bytes)
    }

    package func remove(_ paths: [String]) throws {
        for path in paths { try DurableFile.remove("\(self.directory)/\(path)") }
    }
}
