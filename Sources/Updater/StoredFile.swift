// SPDX-License-Identifier: Apache-2.0

import DurableFiles

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A file on disk that is held open: whatever is put under its name meanwhile, this is the one that was found there.
///
/// All of it blocks.
final class StoredFile: Sendable {
    /// What tells that a file was written to or replaced, without reading it.
    struct Identity: Sendable, Hashable, CustomStringConvertible {
        private let fields: [Int64]
        /// The size in bytes.
        let size: Int64

        fileprivate init(_ status: stat) {
            #if canImport(Darwin)
            let (modified, changed) = (status.st_mtimespec, status.st_ctimespec)
            #else
            let (modified, changed) = (status.st_mtim, status.st_ctim)
            #endif
            self.size = Int64(status.st_size)
            self.fields = [
                Int64(truncatingIfNeeded: status.st_dev), Int64(truncatingIfNeeded: status.st_ino), self.size,
                Int64(modified.tv_sec), Int64(modified.tv_nsec), Int64(changed.tv_sec), Int64(changed.tv_nsec),
            ]
        }

        /// Device, inode, size, and the times of the last changes to content and inode.
        var description: String { self.fields.map { "\($0)" }.joined(separator: " ") }
    }

    /// What it was when it was opened.
    let identity: Identity
    private let path: String
    private let descriptor: CInt

    private init(_ path: String, _ descriptor: CInt, _ status: stat) {
        self.path = path
        self.descriptor = descriptor
        self.identity = Identity(status)
    }

    deinit { close(self.descriptor) }

    /// Opens a regular file; nil when there is none.
    /// - Throws: `FileSystemError` for what may be good and cannot be opened just now.
    static func open(_ path: String) throws -> StoredFile? {
        let descriptor: CInt
        do {
            // Without blocking, so that a pipe of this name cannot hold us up.
            descriptor = try systemCall("open", path) { self.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        } catch let error as FileSystemError where error.number == ENOENT || error.number == ENOTDIR {
            return nil
        }
        do {
            var status = stat()
            try systemCall("examine", path) { fstat(descriptor, &status) }
            if status.st_mode & S_IFMT == S_IFREG { return StoredFile(path, descriptor, status) }
        } catch {
            close(descriptor)
            throw error
        }
        close(descriptor)
        return nil
    }

    private static func open(_ path: String, _ flags: CInt) -> CInt {
        #if canImport(Glibc)
        Glibc.open(path, flags)
        #elseif canImport(Musl)
        Musl.open(path, flags)
        #else
        Darwin.open(path, flags)
        #endif
    }

    /// What it holds; nil when that is more than so many bytes.
    /// - Throws: `FileSystemError`.
    func read(limit: Int) throws -> [UInt8]? {
        guard let size = Int(exactly: self.identity.size), size <= limit else { return nil }
        let bytes = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
                let read = try systemCall("read", self.path) {
                    pread(self.descriptor, rest.baseAddress, rest.count, off_t(count))
                }
                guard read > 0 else { return }
                count += read
            }
        }
        return bytes
    }
}
