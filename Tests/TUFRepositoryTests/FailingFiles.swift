// SPDX-License-Identifier: Apache-2.0

import Ceremony
import Foundation
import Synchronization
import TUF

@testable import TUFRepository

/// Files of a process that dies: after so many changes every further one fails.
final class FailingFiles: RepositoryFiles {
    struct Crash: Error {}

    private let files: LocalFiles
    private let remaining: Mutex<Int>

    init(_ directory: String, after changes: Int) {
        self.files = LocalFiles(directory)
        self.remaining = Mutex(changes)
    }

    private func change() throws {
        try self.remaining.withLock { remaining in
            guard remaining > 0 else { throw Crash() }
            remaining -= 1
        }
    }

    func read(_ path: String, limit: Int) throws -> [UInt8]? { try self.files.read(path, limit: limit) }
    func stream(_ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        try self.files.stream(path, body)
    }
    func list(_ directory: String) throws -> [String] { try self.files.list(directory) }
    func exists(_ path: String) throws -> Bool { try self.files.exists(path) }

    func replace(_ path: String, with bytes: [UInt8]) throws {
        try self.change()
        try self.files.replace(path, with: bytes)
    }
    func link(_ path: String, to new: String) throws {
        try self.change()
        try self.files.link(path, to: new)
    }
    func remove(_ paths: [String]) throws {
        for path in paths {
            try self.change()
            try self.files.remove([path])
        }
    }
    func take(_ source: String, into directory: String) throws -> TargetFile {
        try self.change()
        return try self.files.take(source, into: directory)
    }
    func removeTemporaryFiles(in directory: String) throws {
        try self.files.removeTemporaryFiles(in: directory)
    }
}
