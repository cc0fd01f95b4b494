// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation

/// Holds a file so that no second process has the same service on the same directory. The kernel lets go of it when the
/// process ends, however it ends.
final class ServiceClaim: Sendable {
    private let descriptor: CInt

    /// - Throws: ``CommandError`` when another process has it.
    init(_ service: String, in directory: String) throws {
        let path = "\(directory)/\(service).lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw FileSystemError(operation: "open", path: path, number: errno)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            _ = close(descriptor)
            guard reason == EWOULDBLOCK else { throw FileSystemError(operation: "lock", path: path, number: reason) }
            throw DataDirectory.inUse(directory)
        }
        self.descriptor = descriptor
    }

    deinit { _ = close(self.descriptor) }
}
