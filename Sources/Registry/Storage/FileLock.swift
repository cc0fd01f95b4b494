// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Holds a file so that no other process works on the directory around it. The kernel lets go of it when the process
/// ends, however it ends.
final class FileLock: Sendable {
    private let descriptor: Mutex<CInt?>

    /// - Throws: `FileSystemError`; with `EWOULDBLOCK` when somebody else holds the file.
    init(path: String) throws {
        let descriptor = try systemCall("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
        self.descriptor = Mutex(descriptor)
        try systemCall("lock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
    }

    deinit { self.release() }

    /// Lets go of the file; does nothing the second time.
    func release() {
        self.descriptor.withLock { descriptor in
            if let open = descriptor { _ = close(open) }
            descriptor = nil
        }
    }
}
