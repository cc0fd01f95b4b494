// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Small files that are either there with all their bytes or not at all, whenever the power goes. Everything here blocks:
/// not for event loops or the cooperative pool.
package enum DurableFile {
    /// Writes a file in place of one of that name.
    /// - Parameters:
    ///   - path: where the file will be.
    ///   - bytes: what it will hold.
    ///   - permissions: the file's mode from its first byte on, whatever the umask.
    ///   - staging: a directory of the same file system for the temporary name, where it must not be seen beside `path`.
    ///   - isSynced: false for what may be lost with the power, or be left empty by it, and is there at once.
    /// - Throws: ``FileSystemError``.
    package static func replace(
        _ path: String,
        with bytes: [UInt8],
        permissions: UInt16 = 0o600,
        staging: String? = nil,
        isSynced: Bool = true
    ) throws {
        let staging = staging ?? self.directory(of: path)
        try self.write(bytes, for: path, permissions, in: staging, isSynced: isSynced) { temporary in
            try systemCall("rename", path) { rename(temporary, path) }
        }
    }

    /// Writes a file in place of one of that name, with the owner and the mode of that one: whoever could read it still can.
    /// - Parameters:
    ///   - path: the file.
    ///   - bytes: all of its new content.
    ///   - permissions: the mode where there is none yet.
    /// - Throws: ``FileSystemError``, also where it cannot be given to that owner.
    package static func update(_ path: String, with bytes: [UInt8], permissions: UInt16 = 0o600) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { return try self.replace(path, with: bytes, permissions: permissions) }
        let mode = UInt16(truncatingIfNeeded: status.st_mode & 0o777)
        try self.write(bytes, for: path, mode, in: self.directory(of: path)) { temporary in
            if status.st_uid != geteuid() || status.st_gid != getegid() {
                try systemCall("give to its owner", path) { chown(temporary, status.st_uid, status.st_gid) }
            }
            try systemCall("rename", path) { rename(temporary, path) }
        }
    }

    /// The path that a name leads to through links; the name itself where there is nothing.
    package static func resolve(_ path: String) -> String {
        let resolved = realpath(path, nil)
        defer { free(resolved) }
        return resolved.map { String(cString: $0) } ?? path
    }

    /// Writes a file that only its owner can read, unless there is one of that name.
    /// - Returns: false when there was one.
    /// - Throws: ``FileSystemError``.
    package static func create(_ path: String, with bytes: [UInt8]) throws -> Bool {
        var isNew = true
        try self.write(bytes, for: path, 0o600, in: self.directory(of: path)) { temporary in
            defer { unlink(temporary) }
            do {
                try systemCall("link", path) { link(temporary, path) }
            } catch let error as FileSystemError where error.number == EEXIST {
                isNew = false
            }
        }
        return isNew
    }

    /// Reads a regular file of at most so many bytes; nil when there is none.
    /// - Throws: ``FileSystemError``.
    package static func read(_ path: String, limit: Int) throws -> [UInt8]? {
        let descriptor: CInt
        do {
            // Without blocking, so that a pipe of this name cannot hold us up.
            descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        } catch let error as FileSystemError where error.number == ENOENT || error.number == ENOTDIR {
            return nil
        }
        defer { close(descriptor) }
        var status = stat()
        try systemCall("examine", path) { fstat(descriptor, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileSystemError(operation: "read", path: path, reason: .notRegular)
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = try systemCall("read", path) { pread(descriptor, &buffer, buffer.count, off_t(bytes.count)) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else {
                throw FileSystemError(operation: "read", path: path, reason: .tooLarge(limit: limit))
            }
        }
    }

    /// Removes a file for good.
    /// - Returns: false when there was none.
    /// - Throws: ``FileSystemError``.
    @discardableResult
    package static func remove(_ path: String) throws -> Bool {
        do {
            try systemCall("remove", path) { unlink(path) }
        } catch let error as FileSystemError where error.number == ENOENT {
            return false
        }
        try self.syncDirectory(self.directory(of: path))
        return true
    }

    /// Gives a file that is durable another name, and makes that durable too.
    /// - Throws: ``FileSystemError``.
    package static func move(_ old: String, to new: String) throws {
        try systemCall("rename", new) { rename(old, new) }
        try self.syncDirectory(self.directory(of: new))
    }

    private static func write(
        _ bytes: [UInt8],
        for path: String,
        _ permissions: UInt16,
        in directory: String,
        isSynced: Bool = true,
        publish: (String) throws -> Void
    ) throws {
        let name = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[path.utf8.index(after: $0)...] } ?? path[...]
        let temporary = "\(directory)/.\(name).\(UInt64.random(in: .min ... .max)).tmp"
        let descriptor = try systemCall("create", temporary) {
            open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(permissions))
        }
        do {
            defer { close(descriptor) }
            try systemCall("restrict", temporary) { fchmod(descriptor, mode_t(permissions)) }
            try bytes.withUnsafeBytes { try self.write($0, to: descriptor, at: 0, path: path) }
            if isSynced { try systemCall("sync", path) { fsync(descriptor) } }
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
        if isSynced { try self.syncDirectory(self.directory(of: path)) }
    }
}

extension DurableFile {
    /// The most bytes of one write. For larger ones the kernel sets up larger pieces of its cache, which where its free
    /// memory is scattered, or a virtual machine's, took ten times as long as many small ones.
    private static let pieceSize = 64 << 10

    /// Writes all bytes at a place of an open file; errors call it by its path.
    /// - Throws: ``FileSystemError``.
    package static func write(
        _ bytes: UnsafeRawBufferPointer,
        to descriptor: CInt,
        at offset: Int64,
        path: String
    ) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done..<min(bytes.count, done + self.pieceSize)])
            let count = try systemCall("write", path) {
                pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            }
            guard count > 0 else { throw FileSystemError(operation: "write", path: path, number: EIO) }
            done += count
        }
    }

    /// Makes the names in a directory durable.
    /// - Throws: ``FileSystemError``.
    package static func syncDirectory(_ directory: String) throws {
        let descriptor = try systemCall("open", directory) { open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        try systemCall("sync", directory) { fsync(descriptor) }
    }

    /// The directory that a path is in.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes a directory and those above it; one that is there is right.
    /// - Throws: ``FileSystemError``.
    package static func makeDirectory(_ path: String, permissions: UInt16 = 0o700) throws {
        if mkdir(path, mode_t(permissions)) == 0 { return }
        let number = errno
        if number == EEXIST, self.isDirectory(path) { return }
        let parent = self.directory(of: path)
        guard number == ENOENT, parent != "/", parent != ".", parent != path else {
            throw FileSystemError(operation: "make the directory", path: path, number: number)
        }
        try self.makeDirectory(parent, permissions: permissions)
        guard mkdir(path, mode_t(permissions)) == 0 || (errno == EEXIST && self.isDirectory(path)) else {
            throw FileSystemError(operation: "make the directory", path: path, number: errno)
        }
    }

    /// Whether a directory is there.
    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The permissions of what is there under a name, and whether it is a regular file; nil for nothing. Links are followed.
    package static func mode(of path: String) -> (permissions: UInt16, isRegular: Bool)? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return (UInt16(truncatingIfNeeded: status.st_mode & 0o777), status.st_mode & S_IFMT == S_IFREG)
    }

    /// Runs `body` while no other process or task that locks it holds the directory: an advisory lock on the directory
    /// itself, so that no file is left behind that others could stumble on.
    /// With `isRequired` false it goes on without where the file system has no locks.
    /// - Throws: ``FileSystemError`` when the directory cannot be locked; what `body` throws.
    package static func withLockedDirectory<Result>(
        _ directory: String,
        isRequired: Bool = true,
        _ body: () throws -> Result
    ) throws -> Result {
        let descriptor = try systemCall("open", directory) { open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        do {
            try systemCall("lock", directory) { flock(descriptor, LOCK_EX) }
        } catch let error as FileSystemError
            where !isRequired && [ENOLCK, EOPNOTSUPP, EINVAL].contains(error.number)
        {
            // Each file is still replaced as a whole.
        }
        return try body()
    }
}
