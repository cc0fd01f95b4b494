// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A file that is open for reading at any place. Calls block.
final class InputFile: Sendable {
    let path: String
    let size: Int64
    private let descriptor: Int32

    /// - Throws: ``OCIError`` with code `inputOutput`, also for what is not a regular file.
    init(path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw OCIError.system("cannot open", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = OCIError.system("cannot inspect", path)
            close(descriptor)
            throw error
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw OCIError(.inputOutput, "\(path) is not a regular file")
        }
        self.path = path
        self.size = Int64(status.st_size)
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Reads what there is at `offset`, as much as fits.
    /// - Returns: how many bytes; 0 only at the end of the file or for an empty buffer.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(
                self.descriptor,
                buffer.baseAddress.map { $0 + done },
                buffer.count - done,
                off_t(offset) + off_t(done)
            )
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw OCIError.system("cannot read", self.path) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Exactly `count` bytes at `offset`.
    /// - Throws: ``OCIError`` with code `archiveInvalid` when the file ends before.
    func bytes(at offset: Int64, count: Int) throws -> [UInt8] {
        var found = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            found = try self.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            initialized = found
        }
        guard found == count else {
            throw OCIError(
                .archiveInvalid,
                "\(self.path) ends at byte \(offset + Int64(found)), within what it promises"
            )
        }
        return bytes
    }
}

/// A new file that is being written. Calls block.
final class OutputFile: Sendable {
    private struct State {
        var descriptor: Int32
        var position: Int64 = 0
    }

    let path: String
    private let state: Mutex<State>

    /// Makes a file that was not there before.
    init(creating path: String) throws {
        self.path = path
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw OCIError.system("cannot create", path) }
        self.state = Mutex(State(descriptor: descriptor))
    }

    deinit {
        let descriptor = self.state.withLock { $0.descriptor }
        if descriptor >= 0 { close(descriptor) }
    }

    /// How many bytes were appended.
    var position: Int64 { self.state.withLock { $0.position } }

    /// Appends bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try self.state.withLock { state in
            try self.write(bytes, at: state.position, to: state.descriptor)
            state.position += Int64(bytes.count)
        }
    }

    /// Appends bytes.
    func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try self.write($0) }
    }

    /// Overwrites bytes that were written before.
    func overwrite(_ bytes: [UInt8], at offset: Int64) throws {
        try self.state.withLock { state in
            try bytes.withUnsafeBytes { try self.write($0, at: offset, to: state.descriptor) }
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, to descriptor: Int32) throws {
        try OCIError.storing { try DurableFile.write(bytes, to: descriptor, at: offset, path: self.path) }
    }

    /// Makes the content durable and closes the file.
    func finish() throws {
        try self.state.withLock { state in
            guard state.descriptor >= 0 else { return }
            let failed = fsync(state.descriptor) != 0
            let error = OCIError.system("cannot sync", self.path)
            close(state.descriptor)
            state.descriptor = -1
            if failed { throw error }
        }
    }
}

/// What is done to names in the file system.
enum FileTree {
    /// Makes a directory and its parents; one that is there is right.
    static func makeDirectory(_ path: String) throws {
        try OCIError.storing { try DurableFile.makeDirectory(path, permissions: 0o755) }
    }

    /// Makes a directory nobody else has, for this user only.
    static func makeTemporaryDirectory(prefix: String) throws -> String {
        var template = Array((prefix + "XXXXXX").utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map { mkdtemp($0) != nil } ?? false
        }
        guard made else { throw OCIError.system("cannot make a temporary directory", prefix) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A name that is not used yet.
    static func temporaryName(_ prefix: String) -> String {
        prefix + String(UInt64.random(in: 0...UInt64.max), radix: 36)
    }

    /// Gives a durable file its name, and makes that durable too.
    static func rename(_ old: String, to new: String) throws {
        try OCIError.storing { try DurableFile.move(old, to: new) }
    }

    /// The directory a path is in.
    static func directory(of path: String) -> String { DurableFile.directory(of: path) }

    /// Writes a small file so that it is there whole or not at all.
    static func writeAtomically(_ bytes: [UInt8], to path: String) throws {
        let temporary = Self.temporaryName(path + ".tmp-")
        let file = try OutputFile(creating: temporary)
        do {
            try file.write(bytes)
            try file.finish()
            try Self.rename(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    static func isDirectory(_ path: String) -> Bool { Self.kind(path) == S_IFDIR }

    static func exists(_ path: String) -> Bool { Self.kind(path) != nil }

    /// The size of a regular file, or nil.
    static func size(_ path: String) -> Int64? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int64(status.st_size)
    }

    private static func kind(_ path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    /// Removes a file; none is right.
    static func removeFile(_ path: String) {
        unlink(path)
    }
}

extension OCIError {
    /// Names what the file system refuses in this module's terms.
    static func storing<Result>(_ work: () throws -> Result) throws -> Result {
        do {
            return try work()
        } catch let error as FileSystemError {
            throw OCIError(.inputOutput, error.description)
        }
    }

    /// What `errno` says about a path.
    static func system(_ action: String, _ path: String) -> OCIError {
        OCIError(.inputOutput, "\(action) \(path): \(String(cString: strerror(errno)))")
    }
}
