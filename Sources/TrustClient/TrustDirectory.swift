// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import FoundationEssentials

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the trust directory needs of a file system beyond ``DurableFiles/DurableFile``. All of it blocks: ``run(_:)`` takes it off
/// the cooperative pool.
enum TrustDirectory {
    /// Runs file work on threads of its own, and names its failures in this module's terms.
    static func run<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await self.naming { try await BlockingWork.run(work) }
    }

    /// Names failures of file work in this module's terms.
    static func naming<Result>(_ work: () async throws -> Result) async throws -> Result {
        do {
            return try await work()
        } catch let error as FileSystemError {
            throw TrustClientError(.storage, error.description)
        }
    }

    /// Keeps other processes of ours out while it runs, by an advisory lock on the directory itself: no file is left behind
    /// that another client could stumble on. Where the file system has no locks, each file is still replaced as a whole.
    static func locked<Result>(_ directory: String, _ body: () throws -> Result) throws -> Result {
        try DurableFile.withLockedDirectory(directory, isRequired: false, body)
    }

    /// The names in a directory; none when there is no such directory.
    static func list(_ path: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else { return [] }
            throw TrustClientError(.storage, "cannot list \(path): \(error)")
        }
    }

    /// Removes a file or a directory with all that is in it; not an error when there is none.
    static func removeTree(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw TrustClientError(.storage, "cannot remove \(path): \(error)")
        }
    }

    /// Removes a directory if nothing is in it.
    static func removeIfEmpty(_ path: String) {
        rmdir(path)
    }
}
