// SPDX-License-Identifier: Apache-2.0

import DurableFiles

/// Durable files whose failures are named in this module's terms. All of it blocks.
enum KeyFile {
    /// Writes a file that only its owner can read, in place of one of that name.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    static func replace(_ path: String, with bytes: [UInt8]) throws {
        try self.naming { try DurableFile.replace(path, with: bytes) }
    }

    /// Reads a regular file of at most so many bytes; nil when there is none.
    /// - Throws: ``KeyStoreError`` with code `storage`, or `malformed` when it is larger.
    static func read(_ path: String, limit: Int) throws -> [UInt8]? {
        try self.naming { try DurableFile.read(path, limit: limit) }
    }

    /// Removes a file for good.
    /// - Returns: false when there was none.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    @discardableResult
    static func remove(_ path: String) throws -> Bool {
        try self.naming { try DurableFile.remove(path) }
    }

    /// Makes a directory, and those above it, that only the owner can enter.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    static func makeDirectory(_ path: String) throws {
        try self.naming { try DurableFile.makeDirectory(path) }
    }

    private static func naming<Result>(_ work: () throws -> Result) throws -> Result {
        do {
            return try work()
        } catch let error as FileSystemError {
            if case .tooLarge = error.reason { throw KeyStoreError(.malformed, error.description) }
            throw KeyStoreError(.storage, error.description)
        }
    }
}
