// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Synchronization
import TUF

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A target that is on its way: a hidden file beside its destination, hashed as it grows, and renamed once it is whole.
///
/// Its name has the target's hash in it, so that what came of one version is never taken for the beginning of another. While
/// it is open it is locked: a second download of the same target takes a name of its own, and begins at the start.
///
/// All of it blocks, and calls follow one another.
final class PartialFile: Sendable {
    private struct State {
        var descriptor: CInt
        var verifier: ContentVerifier
    }

    private let destination: String
    private let path: String
    private let fresh: ContentVerifier
    private let state: Mutex<State>
    /// Whether it began with what an earlier download left.
    let wasResumed: Bool
    /// Whether another download can go on with it.
    private let isResumable: Bool

    init(for destination: String, of target: TargetFile, _ verifier: ContentVerifier) throws {
        let directory = DurableFile.directory(of: destination)
        try DurableFile.makeDirectory(directory, permissions: 0o755)
        let hash = (target.hashes.sha256 ?? target.hashes.sha512 ?? []).prefix(16)
        let name = ".\(Hexadecimal.encode(hash)).part"
        var (path, descriptor) = ("\(directory)/\(name)", CInt(-1))
        descriptor = try Self.open(path, O_RDWR | O_CREAT | O_NOFOLLOW)
        var resumed = verifier
        var isResumable = true
        do {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0, Self.isStillAt(path, descriptor) {
                // More than is listed is no beginning of it.
                if (try? Self.read(descriptor, path, { try resumed.update($0) })) == nil {
                    resumed = verifier
                    try systemCall("cut", path) { ftruncate(descriptor, 0) }
                }
            } else {
                isResumable = false
                Self.closeQuietly(descriptor)
                path = "\(directory)/.\(Hexadecimal.encode(hash)).\(UInt64.random(in: .min ... .max)).part"
                descriptor = try Self.open(path, O_RDWR | O_CREAT | O_EXCL)
            }
        } catch {
            Self.closeQuietly(descriptor)
            throw error
        }
        self.destination = destination
        self.path = path
        self.fresh = verifier
        self.wasResumed = resumed.count > 0
        self.isResumable = isResumable
        self.state = Mutex(State(descriptor: descriptor, verifier: resumed))
    }

    /// How many bytes are there.
    var count: Int64 { self.state.withLock { $0.verifier.count } }

    /// - Throws: `FileSystemError`; `TUFError` as soon as there is more than is listed.
    func append(_ piece: [UInt8]) throws {
        try self.state.withLock { state in
            let offset = state.verifier.count
            try piece.withUnsafeBytes { bytes in
                try state.verifier.update(bytes)
                try DurableFile.write(bytes, to: state.descriptor, at: offset, path: self.path)
            }
        }
    }

    /// Checks all of it, and gives it its name.
    /// - Throws: `TUFError` when it is not what is listed; `FileSystemError`.
    func publish() throws {
        try self.state.withLock { state in
            try state.verifier.finish()
            try systemCall("restrict", self.path) { fchmod(state.descriptor, 0o644) }
            try systemCall("sync", self.path) { fsync(state.descriptor) }
            try DurableFile.move(self.path, to: self.destination)
        }
    }

    /// Begins anew.
    /// - Throws: `FileSystemError`.
    func restart() throws {
        try self.state.withLock { state in
            let replacement = try Self.open(self.path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW)
            Self.closeQuietly(state.descriptor)
            state = State(descriptor: replacement, verifier: self.fresh)
        }
    }

    /// Removes what is there: it is no beginning of what it should be.
    func discard() {
        unlink(self.path)
    }

    /// Lets go of it. What is there stays for the next download, unless it is of no use to it.
    func close() {
        self.state.withLock { state in
            guard state.descriptor >= 0 else { return }
            if state.verifier.count == 0 || !self.isResumable, Self.isStillAt(self.path, state.descriptor) {
                unlink(self.path)
            }
            Self.closeQuietly(state.descriptor)
            state.descriptor = -1
        }
    }

    // MARK: Files

    /// Hands out the content of a file that is there.
    /// - Throws: `FileSystemError`; what the sink throws.
    static func read(_ path: String, _ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        let descriptor = try self.open(path, O_RDONLY | O_NONBLOCK)
        defer { self.closeQuietly(descriptor) }
        try self.read(descriptor, path, sink)
    }

    private static func read(
        _ descriptor: CInt,
        _ path: String,
        _ sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var offset: off_t = 0
        while true {
            let count = try systemCall("read", path) { pread(descriptor, &buffer, buffer.count, offset) }
            guard count > 0 else { return }
            offset += off_t(count)
            try buffer.withUnsafeBytes { try sink(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    private static func open(_ path: String, _ flags: CInt) throws -> CInt {
        #if canImport(Glibc)
        try systemCall("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode_t(0o600)) }
        #elseif canImport(Musl)
        try systemCall("open", path) { Musl.open(path, flags | O_CLOEXEC, mode_t(0o600)) }
        #else
        try systemCall("open", path) { Darwin.open(path, flags | O_CLOEXEC, mode_t(0o600)) }
        #endif
    }

    private static func closeQuietly(_ descriptor: CInt) {
        #if canImport(Glibc)
        _ = Glibc.close(descriptor)
        #elseif canImport(Musl)
        _ = Musl.close(descriptor)
        #else
        _ = Darwin.close(descriptor)
        #endif
    }

    /// Whether the open file still has this name: whoever held the lock may have renamed it.
    private static func isStillAt(_ path: String, _ descriptor: CInt) -> Bool {
        var (named, opened) = (stat(), stat())
        return lstat(path, &named) == 0 && fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino
            && named.st_dev == opened.st_dev
    }
}
