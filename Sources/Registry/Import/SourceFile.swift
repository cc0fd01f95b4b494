// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import NIOCore

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A file that is read piece by piece. The descriptor lives as long as the object.
final class SourceFile: Sendable {
    private static let pieceSize = 1 << 20

    private let path: String
    fileprivate let descriptor: CInt

    /// Opens a file. Blocks.
    /// - Returns: nil when there is none.
    /// - Throws: `FileSystemError`.
    init?(_ path: String) throws {
        guard let status = try FileStatus(path: path), status.isRegular else { return nil }
        self.path = path
        self.descriptor = try systemCall("open", path) { open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
    }

    deinit { _ = close(self.descriptor) }

    /// The bytes from a position on, as many as are read in one go; none at the end. Blocks.
    func read(at offset: Int64) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.pieceSize) { bytes in
            try systemCall("read", self.path) {
                pread(self.descriptor, bytes.baseAddress, min(Self.pieceSize, bytes.count), off_t(offset))
            }
        }
        return buffer
    }

    /// Sees that the bytes are on the disk. Blocks.
    func sync() throws {
        try systemCall("fsync", self.path) { fsync(self.descriptor) }
    }
}

/// A new file that is to become a copy of another one.
final class CopiedFile: Sendable {
    private let path: String
    private let descriptor: CInt

    /// Makes a file, which must not be there. Blocks.
    /// - Throws: `FileSystemError`.
    init(_ path: String) throws {
        self.path = path
        self.descriptor = try systemCall("open", path) {
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
    }

    deinit { _ = close(self.descriptor) }

    /// Takes all blocks of another file without copying them, where the file system can (`FICLONE`).
    func sharesBlocks(of source: SourceFile) -> Bool {
        #if os(Linux)
        let ficlone: UInt = 0x4004_9409
        return ioctl(self.descriptor, ficlone, source.descriptor) == 0
        #else
        return false
        #endif
    }

    /// Writes bytes at a position. Blocks.
    func write(_ piece: ByteBuffer, at offset: Int64) throws {
        try piece.withUnsafeReadableBytes { bytes in
            try DurableFile.write(bytes, to: self.descriptor, at: offset, path: self.path)
        }
    }
}
