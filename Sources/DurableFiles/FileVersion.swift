// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What tells one state of a file from another without reading it.
package struct FileVersion: Sendable, Equatable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    private let modified: [Int]
    private let changed: [Int]

    /// The file as it is now; nil when it is not there or cannot be looked at.
    package init?(of path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.device = UInt64(truncatingIfNeeded: status.st_dev)
        self.inode = UInt64(truncatingIfNeeded: status.st_ino)
        self.size = Int64(status.st_size)
        #if canImport(Darwin)
        self.modified = [status.st_mtimespec.tv_sec, status.st_mtimespec.tv_nsec]
        self.changed = [status.st_ctimespec.tv_sec, status.st_ctimespec.tv_nsec]
        #else
        self.modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
        self.changed = [status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
        #endif
    }
}
