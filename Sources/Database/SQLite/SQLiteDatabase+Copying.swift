// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import GRDB

extension SQLiteDatabase {
    /// Copies a database that others may be writing to, as it is at one moment, into a file that is not there yet.
    ///
    /// SQLite's own backup reads all of it in one view: nobody who writes waits for it, and the write-ahead log grows until it is done.
    /// The copy is one file (mode 0600), checked from end to end and on the disk when this returns.
    /// - Throws: ``DatabaseError`` with code `corrupt` when the copy, and so what was copied, is damaged.
    package static func copy(_ source: String, to destination: String) async throws {
        try await BlockingWork.run {
            let descriptor = Foundation.open(destination, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw self.failure("create", destination) }
            defer { Foundation.close(descriptor) }
            do {
                try self.copy(source, into: destination)
                guard fsync(descriptor) == 0 else { throw self.failure("sync", destination) }
            } catch {
                unlink(destination)
                throw self.naming(source, error)
            }
        }
    }

    private static func copy(_ source: String, into destination: String) throws {
        var reading = Configuration()
        reading.readonly = true
        reading.busyMode = .timeout(SQLiteFile.busyTimeout)
        let from = try DatabaseQueue(path: source, configuration: reading)
        defer { try? from.close() }
        let to = try DatabaseQueue(path: destination)
        try from.backup(to: to)
        let found = try to.writeWithoutTransaction { database in
            // One file, with no log beside it that would have to be copied along.
            try database.execute(sql: "PRAGMA journal_mode = DELETE")
            return try String.fetchAll(database, sql: "PRAGMA quick_check(4)")
        }
        try to.close()
        guard found == ["ok"] else {
            throw DatabaseError(code: .corrupt, message: "it is damaged: \(found.prefix(4).joined(separator: "; "))")
        }
    }

    private static func failure(_ verb: String, _ path: String) -> DatabaseError {
        DatabaseError(code: .storageFull, message: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }

    private static func naming(_ source: String, _ error: any Error) -> any Error {
        guard let error = DatabaseError.translating(error) as? DatabaseError else { return error }
        return DatabaseError(code: error.code, message: "cannot copy \(source): \(error.message)")
    }
}
