// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
import Foundation
package import TUF

/// A repository's files on a disk, readable by everybody: a web server serves them under another user.
package struct LocalFiles: RepositoryFiles {
    private static let filePermissions: UInt16 = 0o644
    private static let directoryPermissions: UInt16 = 0o755
    private static let pieceSize = 256 << 10

    /// The repository's directory.
    package let directory: String

    /// Takes the directory, which need not be there yet.
    package init(_ directory: String) {
        self.directory = directory
    }

    private func path(_ path: String) -> String { "\(self.directory)/\(path)" }

    package func read(_ path: String, limit: Int) throws -> [UInt8]? {
        try Self.naming { try DurableFile.read(self.path(path), limit: limit) }
    }

    package func stream(_ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        try Self.naming {
            let path = self.path(path)
            guard FileManager.default.fileExists(atPath: path) else { return false }
            let input = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
            defer { close(input) }
            var buffer = [UInt8](repeating: 0, count: Self.pieceSize)
            while true {
                let count = try buffer.withUnsafeMutableBytes { buffer in
                    try systemCall("read", path) { Foundation.read(input, buffer.baseAddress, buffer.count) }
                }
                if count == 0 { return true }
                try buffer.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            }
        }
    }

    package func list(_ directory: String) throws -> [String] {
        let path = self.path(directory)
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else { return [] }
            throw RepositoryError(.storage, "cannot list \(path): \(error.localizedDescription)")
        }
    }

    package func exists(_ path: String) throws -> Bool {
        FileManager.default.fileExists(atPath: self.path(path))
    }

    package func replace(_ path: String, with bytes: [UInt8]) throws {
        try Self.naming {
            try self.makeDirectory(of: path)
            try DurableFile.replace(self.path(path), with: bytes, permissions: Self.filePermissions)
        }
    }

    package func link(_ path: String, to new: String) throws {
        try Self.naming {
            try self.makeDirectory(of: new)
            // A link cannot replace a file, a rename can.
            let temporary = self.path(DurableFile.directory(of: new)) + "/.\(UInt64.random(in: .min ... .max)).tmp"
            let (old, new) = (self.path(path), self.path(new))
            try systemCall("link", new) { Foundation.link(old, temporary) }
            do {
                try systemCall("rename", new) { rename(temporary, new) }
            } catch {
                unlink(temporary)
                throw error
            }
            // Renaming a file to another name of the same file leaves both.
            unlink(temporary)
            try DurableFile.syncDirectory(DurableFile.directory(of: new))
        }
    }

    package func remove(_ paths: [String]) throws {
        try Self.naming {
            for path in paths.map(self.path) {
                do {
                    try systemCall("remove", path) { unlink(path) }
                } catch let error as FileSystemError where error.number == ENOENT {}
            }
            for directory in Set(paths.map { DurableFile.directory(of: self.path($0)) })
            where FileManager.default.fileExists(atPath: directory) {
                try DurableFile.syncDirectory(directory)
            }
        }
    }

    package func removeTemporaryFiles(in directory: String) throws {
        let names = try self.list(directory).filter { $0.hasPrefix(".") && $0.hasSuffix(".tmp") }
        if !names.isEmpty { try self.remove(names.map { "\(directory)/\($0)" }) }
    }

    package func take(_ source: String, into directory: String) throws -> TargetFile {
        try Self.naming {
            try DurableFile.makeDirectory(self.path(directory), permissions: Self.directoryPermissions)
            let temporary = self.path(directory) + "/.\(UInt64.random(in: .min ... .max)).tmp"
            defer { unlink(temporary) }
            let input = try systemCall("open", source) { open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
            defer { close(input) }
            var status = stat()
            try systemCall("examine", source) { fstat(input, &status) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw FileSystemError(operation: "read", path: source, reason: .notRegular)
            }
            let output = try systemCall("create", temporary) {
                open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(Self.filePermissions))
            }
            defer { close(output) }
            try systemCall("restrict", temporary) { fchmod(output, mode_t(Self.filePermissions)) }
            let file = try Self.copy(input, to: output, from: source)
            try systemCall("sync", temporary) { fsync(output) }
            let name = self.path(directory) + "/" + Hexadecimal.encode(file.hashes.sha256 ?? [])
            try DurableFile.move(temporary, to: name)
            return file
        }
    }

    private static func copy(_ input: CInt, to output: CInt, from source: String) throws -> TargetFile {
        var buffer = [UInt8](repeating: 0, count: self.pieceSize)
        var sha256 = SHA256()
        var sha512 = SHA512()
        var length: Int64 = 0
        while true {
            let count = try buffer.withUnsafeMutableBytes { buffer in
                try systemCall("read", source) { Foundation.read(input, buffer.baseAddress, buffer.count) }
            }
            if count == 0 { break }
            try buffer.withUnsafeBytes { bytes in
                let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                sha256.update(bufferPointer: piece)
                sha512.update(bufferPointer: piece)
                try DurableFile.write(piece, to: output, at: length, path: source)
            }
            length += Int64(count)
        }
        return TargetFile(
            length: length,
            hashes: Hashes(["sha256": Array(sha256.finalize()), "sha512": Array(sha512.finalize())])
        )
    }

    private func makeDirectory(of path: String) throws {
        try DurableFile.makeDirectory(
            self.path(DurableFile.directory(of: path)),
            permissions: Self.directoryPermissions
        )
    }

    private static func naming<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as FileSystemError {
            throw RepositoryError(.storage, error.description)
        }
    }
}
