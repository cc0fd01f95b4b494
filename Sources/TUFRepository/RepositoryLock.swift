// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation

/// The right to change a repository: one process or task at a time has it, and it ends with the process. Readers need none.
///
/// It is an advisory lock on the directory itself, so that no file is left behind.
final class RepositoryLock: Sendable {
    private let descriptor: CInt

    private init(_ descriptor: CInt) {
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Runs the body when nobody else changes the repository.
    /// - Throws: ``RepositoryError`` with code `storage`; what the body throws.
    static func holding<Result: Sendable>(
        _ directory: String,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let lock = try await BlockingWork.wait {
            do {
                let descriptor = try systemCall("open", directory) {
                    open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                }
                let lock = RepositoryLock(descriptor)
                try systemCall("lock", directory) { flock(descriptor, LOCK_EX) }
                return lock
            } catch let error as FileSystemError {
                throw RepositoryError(error.number == ENOENT ? .noRepository : .storage, error.description)
            }
        }
        defer { withExtendedLifetime(lock) {} }
        return try await body()
    }
}
