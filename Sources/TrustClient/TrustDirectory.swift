// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore

/// What the trust directory needs of a file system beyond ``KeyStore/DurableFile``. All of it blocks: ``run(_:)`` takes it off
/// the cooperative pool.
enum TrustDirectory {
    /// Runs file work on threads of its own, and names its failures in this module's terms.
    static func run<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        do {
            return try await BlockingWork.run(work)
        } catch let error as KeyStoreError {
            throw TrustClientError(.storage, error.message)
        }
    }

    /// Keeps other processes of ours out while it runs, by an advisory lock on the directory itself: no file is left behind
    /// that another client could stumble on. Where the file system has no locks, each file is still replaced as a whole.
    static func locked<Result>(_ directory: String, _ body: () throws -> Result) throws -> Result {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure("open", directory) }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            if errno == EINTR { continue }
            guard errno == ENOLCK || errno == EOPNOTSUPP || errno == EINVAL else {
                throw self.failure("lock", directory)
            }
            break
        }
        return try body()
    }

    /// The names in a directory; none when there is no such directory.
    static func list(_ path: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            guard FileManager.default.fileExists(atPath: path) else { return [] }
            throw TrustClientError(.storage, "cannot list \(path): \(error.localizedDescription)")
        }
    }

    /// Writes a file by way of another directory of the same file system, where its temporary name disturbs nobody.
    static func write(_ bytes: [UInt8], to path: String, staging: String) throws {
        let temporary = "\(staging)/.staged-\(UUID().uuidString.lowercased())"
        try DurableFile.replace(temporary, with: bytes)
        guard rename(temporary, path) == 0 else {
            let error = self.failure("write", path)
            unlink(temporary)
            throw error
        }
        try self.sync(self.parent(of: path))
    }

    /// Removes a file or a directory with all that is in it; not an error when there is none.
    static func removeTree(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw TrustClientError(.storage, "cannot remove \(path): \(error.localizedDescription)")
        }
    }

    /// Removes a directory if nothing is in it.
    static func removeIfEmpty(_ path: String) {
        rmdir(path)
    }

    /// The path up to the last slash.
    static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    private static func sync(_ directory: String) throws {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure("open", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw self.failure("sync", directory) }
    }

    private static func failure(_ verb: String, _ path: String) -> TrustClientError {
        TrustClientError(.storage, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
