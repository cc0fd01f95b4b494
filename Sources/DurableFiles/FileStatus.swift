// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the system says about a file.
package struct FileStatus: Sendable, Equatable {
    /// In bytes.
    package let size: Int64
    /// How many bytes of the disk it has: less where there are holes, more where blocks were set aside.
    package let allocatedSize: Int64
    /// When it was last written, in Unix seconds.
    package let modifiedAt: Int64
    /// When its content, names or rights last changed, in Unix seconds.
    package let changedAt: Int64
    /// False for a directory, symbolic link, pipe or device.
    package let isRegular: Bool
    /// True for a directory.
    package let isDirectory: Bool
    /// The file system that it is on.
    package let device: UInt64
    /// How many names it has.
    package let links: UInt64

    /// Asks about a name; a symbolic link is not followed. Blocks.
    /// - Returns: nil when there is no such file.
    /// - Throws: ``FileSystemError``.
    package init?(path: String) throws {
        var status = stat()
        do {
            try systemCall("stat", path) { lstat(path, &status) }
        } catch let error as FileSystemError where error.number == ENOENT {
            return nil
        }
        self.init(status)
    }

    /// Asks about an open file. Blocks.
    /// - Parameters:
    ///   - descriptor: the open file.
    ///   - path: what errors call it.
    /// - Throws: ``FileSystemError``.
    package init(descriptor: CInt, path: String) throws {
        var status = stat()
        try systemCall("stat", path) { fstat(descriptor, &status) }
        self.init(status)
    }

    private init(_ status: stat) {
        self.size = Int64(status.st_size)
        self.allocatedSize = Int64(status.st_blocks) * 512
        #if canImport(Darwin)
        self.modifiedAt = Int64(status.st_mtimespec.tv_sec)
        self.changedAt = Int64(status.st_ctimespec.tv_sec)
        #else
        self.modifiedAt = Int64(status.st_mtim.tv_sec)
        self.changedAt = Int64(status.st_ctim.tv_sec)
        #endif
        self.isRegular = status.st_mode & S_IFMT == S_IFREG
        self.isDirectory = status.st_mode & S_IFMT == S_IFDIR
        self.device = UInt64(status.st_dev)
        self.links = UInt64(status.st_nlink)
    }
}
