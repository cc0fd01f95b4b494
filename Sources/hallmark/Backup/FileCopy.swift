// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import OCI

/// Files that are read once and hashed on the way. Everything here blocks.
enum FileCopy {
    private static let pieceSize = 1 << 20

    /// Size and hash of a file.
    static func hash(_ path: String, _ algorithm: Digest.Algorithm = .sha256) throws -> (size: Int64, digest: Digest) {
        let source = try self.open(path)
        defer { _ = close(source) }
        return try self.read(source, path, algorithm) { _, _ in }
    }

    /// Copies a file to a name that must be free, and on to the disk.
    static func copy(
        _ path: String,
        to destination: String,
        mode: UInt16 = 0o600,
        _ algorithm: Digest.Algorithm = .sha256
    ) throws -> (size: Int64, digest: Digest) {
        let source = try self.open(path)
        defer { _ = close(source) }
        let target = Foundation.open(destination, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(mode))
        guard target >= 0 else { throw FileSystemError(operation: "create", path: destination, number: errno) }
        do {
            defer { _ = close(target) }
            let copied = try self.read(source, path, algorithm) { bytes, offset in
                try DurableFile.write(bytes, to: target, at: offset, path: destination)
            }
            guard fchmod(target, mode_t(mode)) == 0, fsync(target) == 0 else {
                throw FileSystemError(operation: "sync", path: destination, number: errno)
            }
            return copied
        } catch {
            unlink(destination)
            throw error
        }
    }

    private static func open(_ path: String) throws -> CInt {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileSystemError(operation: "open", path: path, number: errno) }
        return descriptor
    }

    private static func read(
        _ descriptor: CInt,
        _ path: String,
        _ algorithm: Digest.Algorithm,
        _ take: (UnsafeRawBufferPointer, Int64) throws -> Void
    ) throws -> (size: Int64, digest: Digest) {
        var hasher = Digest.Hasher(algorithm)
        var buffer = [UInt8](repeating: 0, count: self.pieceSize)
        var size: Int64 = 0
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(size))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileSystemError(operation: "read", path: path, number: errno) }
            guard count > 0 else { return (size, hasher.finalize()) }
            try buffer.withUnsafeBytes { bytes in
                let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(count))
                hasher.update(bufferPointer: piece)
                try take(piece, size)
            }
            size += Int64(count)
        }
    }

    /// The size of a regular file; nil when there is none.
    static func size(_ path: String) throws -> Int64? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else { return nil }
        guard attributes[.type] as? FileAttributeType == .typeRegular else {
            throw FileSystemError(operation: "use", path: path, number: EINVAL)
        }
        return (attributes[.size] as? NSNumber)?.int64Value
    }

    /// Makes the names in a directory, and in all below it, durable.
    static func syncTree(_ directory: String) throws {
        for case let name as String in FileManager.default.enumerator(atPath: directory) ?? .init()
        where DurableFile.isDirectory("\(directory)/\(name)") {
            try DurableFile.syncDirectory("\(directory)/\(name)")
        }
        try DurableFile.syncDirectory(directory)
    }
}
