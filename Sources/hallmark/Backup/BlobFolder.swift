// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import Foundation
import OCI
import Registry

/// Blobs at their locations, in the layout of the registry's directory: `sha256/ab/ab…`. Everything here blocks.
struct BlobFolder: Sendable {
    let directory: String

    /// A blob that a registry's database lists.
    struct Entry: Sendable, Hashable {
        let digest: Digest
        let location: BlobLocation
        let size: Int64
        /// Whether a manifest names it, so that it has to be there.
        let isNeeded: Bool
    }

    func path(of entry: Entry) -> String { "\(self.directory)/\(entry.location)" }

    /// The blobs that a registry's database lists.
    static func entries(_ database: String) async throws -> [Entry] {
        let database = try await SQLiteDatabase(path: database)
        do {
            let rows = try await database.read { connection in
                try connection.query(
                    """
                    SELECT digest, location, size, EXISTS (
                        SELECT 1 FROM manifest_references
                        WHERE manifest_references.digest = blobs.digest AND manifest_references.kind = 'blob'
                    ) FROM blobs WHERE damaged_at IS NULL ORDER BY digest
                    """
                ).map {
                    try Entry(
                        digest: Digest($0.text(0)),
                        location: BlobLocation($0.text(1)),
                        size: $0.integer(2),
                        isNeeded: $0.integer(3) != 0
                    )
                }
            }
            try await database.close()
            return rows
        } catch {
            try? await database.close()
            throw error
        }
    }

    /// Takes a blob over from another folder: as another name of the same file where the file system can, else as a copy that is
    /// checked on the way.
    /// - Returns: false when it is not there.
    /// - Throws: ``CommandError`` when it is not what its name says.
    func take(_ entry: Entry, from other: BlobFolder, links: Bool) throws -> Bool {
        let (source, target) = (other.path(of: entry), self.path(of: entry))
        if try FileCopy.size(target) == entry.size { return true }
        guard let size = try FileCopy.size(source) else { return false }
        guard size == entry.size else {
            throw CommandError(.failure, "\(source) has \(size) bytes, but the registry's database lists \(entry.size)")
        }
        try self.makeDirectories(entry.digest)
        if links, link(source, target) == 0 { return true }
        let temporary = target + ".tmp"
        unlink(temporary)
        let copied = try FileCopy.copy(source, to: temporary, mode: 0o600, entry.digest.algorithm)
        guard copied.digest == entry.digest else {
            unlink(temporary)
            throw CommandError(.failure, "\(source) is damaged: its content has the digest \(copied.digest)")
        }
        guard rename(temporary, target) == 0 else {
            throw FileSystemError(operation: "rename", path: temporary, number: errno)
        }
        return true
    }

    /// The registry takes it that where one of these directories is, all are.
    func makeDirectories(_ digest: Digest? = nil) throws {
        let algorithms = digest.map { [$0.algorithm] } ?? Digest.Algorithm.allCases
        for algorithm in algorithms {
            let parent = "\(self.directory)/\(algorithm.rawValue)"
            if DurableFile.isDirectory(parent + "/ff") { continue }
            for byte in UInt8.min...UInt8.max {
                try DurableFile.makeDirectory("\(parent)/\(byte < 16 ? "0" : "")\(String(byte, radix: 16))")
            }
        }
    }
}
