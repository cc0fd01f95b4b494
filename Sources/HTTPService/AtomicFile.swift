// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Small files that are there whole or not at all, whenever the machine stops.
package enum AtomicFile {
    /// Writes `bytes` under a temporary name, syncs, renames to `path`, syncs the directory. Blocks: not for event loops
    /// or the cooperative pool while requests are served.
    /// - Parameters:
    ///   - bytes: What the file will hold.
    ///   - path: Where it will be.
    ///   - permissions: The file's mode from its first byte on, whatever the umask.
    /// - Throws: ``AtomicFileError`` that names the step and the path.
    package static func write(_ bytes: some Collection<UInt8>, to path: String, permissions: UInt16 = 0o644) throws {
        let temporary = path + ".tmp-" + String(UInt64.random(in: .min ... .max), radix: 16)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(permissions))
        guard descriptor >= 0 else { throw AtomicFileError("create", temporary) }
        do {
            defer { _ = close(descriptor) }
            guard fchmod(descriptor, mode_t(permissions)) == 0 else { throw AtomicFileError("chmod", temporary) }
            try Self.writeAll(Array(bytes), to: descriptor, path: temporary)
            guard fsync(descriptor) == 0 else { throw AtomicFileError("sync", temporary) }
            guard rename(temporary, path) == 0 else { throw AtomicFileError("rename", path) }
        } catch {
            unlink(temporary)
            throw error
        }
        try Self.syncDirectory(of: path)
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: CInt, path: String) throws {
        try bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw AtomicFileError("write", path) }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Makes the names in the directory of `path` durable.
    package static func syncDirectory(of path: String) throws {
        let directory = Self.directory(of: path)
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError("open", directory) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw AtomicFileError("sync", directory) }
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Runs `body` while no other process or task holds the same directory.
    /// - Throws: ``AtomicFileError`` when the directory cannot be locked; what `body` throws.
    package static func withExclusiveDirectory<R>(_ directory: String, _ body: () throws -> R) throws -> R {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError("open", directory) }
        defer { _ = close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw AtomicFileError("lock", directory) }
        }
        return try body()
    }
}

/// A step of writing a file failed.
package struct AtomicFileError: Error, Sendable, CustomStringConvertible {
    /// What was attempted: `create`, `write`, `sync`, `rename`, ...
    package let step: String
    package let path: String
    /// The system's `errno`.
    package let code: CInt

    init(_ step: String, _ path: String) {
        self.code = errno
        self.step = step
        self.path = path
    }

    package var description: String {
        "cannot \(self.step) \(self.path): \(String(cString: strerror(self.code)))"
    }
}
