// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Small files that are either there with all their bytes or not at all, whenever the power goes. Everything here blocks.
package enum DurableFile {
    /// Writes a file that only its owner can read, in place of one of that name.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    package static func replace(_ path: String, with bytes: [UInt8]) throws {
        try self.write(bytes, for: path) { temporary in
            guard rename(temporary, path) == 0 else { throw self.failure("write", path) }
        }
    }

    /// Writes a file unless there is one of that name.
    /// - Returns: false when there was one.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    package static func create(_ path: String, with bytes: [UInt8]) throws -> Bool {
        var isNew = true
        try self.write(bytes, for: path) { temporary in
            defer { unlink(temporary) }
            guard link(temporary, path) == 0 else {
                guard errno == EEXIST else { throw self.failure("write", path) }
                isNew = false
                return
            }
        }
        return isNew
    }

    /// Reads a regular file of at most so many bytes; nil when there is none.
    /// - Throws: ``KeyStoreError`` with code `storage`, or `malformed` when it is larger.
    package static func read(_ path: String, limit: Int) throws -> [UInt8]? {
        // Without blocking, so that a pipe of this name cannot hold us up.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw self.failure("read", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw self.failure("read", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw KeyStoreError(.storage, "\(path) is not a regular file") }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw self.failure("read", path)
            }
            bytes += buffer[..<count]
            guard bytes.count <= limit else {
                throw KeyStoreError(.malformed, "\(path) is larger than the \(limit) bytes that are expected at most")
            }
        }
    }

    /// Removes a file for good.
    /// - Returns: false when there was none.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    @discardableResult
    package static func remove(_ path: String) throws -> Bool {
        guard unlink(path) == 0 else {
            if errno == ENOENT { return false }
            throw self.failure("remove", path)
        }
        try self.syncDirectory(of: path)
        return true
    }

    /// Makes a directory, and those above it, that only the owner can enter.
    /// - Throws: ``KeyStoreError`` with code `storage`.
    package static func makeDirectory(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw KeyStoreError(.storage, "cannot make the directory \(path): \(error.localizedDescription)")
        }
    }

    private static func write(_ bytes: [UInt8], for path: String, publish: (String) throws -> Void) throws {
        let url = URL(fileURLWithPath: path)
        let name = ".\(url.lastPathComponent).\(UInt64.random(in: .min ... .max)).tmp"
        let temporary = url.deletingLastPathComponent().appending(path: name).path
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw self.failure("write", path) }
        do {
            defer { close(descriptor) }
            try self.writeAll(bytes, to: descriptor, path: path)
            guard fsync(descriptor) == 0 else { throw self.failure("sync", path) }
        } catch {
            unlink(temporary)
            throw error
        }
        do {
            try publish(temporary)
        } catch {
            unlink(temporary)
            throw error
        }
        try self.syncDirectory(of: path)
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw self.failure("write", path) }
            rest = rest.dropFirst(count)
        }
    }

    private static func syncDirectory(of path: String) throws {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure("open", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw self.failure("sync", directory) }
    }

    private static func failure(_ verb: String, _ path: String) -> KeyStoreError {
        KeyStoreError(.storage, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
