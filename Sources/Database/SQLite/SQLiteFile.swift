// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import GRDB

/// Makes, checks and opens the file of a ``SQLiteDatabase``. Everything here blocks.
enum SQLiteFile {
    /// How long one process waits for another that writes to the same file, in seconds.
    static let busyTimeout: TimeInterval = 10

    static func open(path: String, maximumReaders: Int) throws -> DatabasePool {
        try self.prepare(path: path)
        var configuration = Configuration()
        configuration.label = "hallmark.database"
        configuration.maximumReaderCount = maximumReaders
        configuration.busyMode = .timeout(self.busyTimeout)
        configuration.foreignKeysEnabled = true
        do {
            let pool = try DatabasePool(path: path, configuration: configuration)
            try pool.writeWithoutTransaction { try self.enforceDurability(on: $0) }
            try self.syncDirectory(of: path)
            return pool
        } catch {
            throw self.explain(error, path: path)
        }
    }

    /// The pool sets `synchronous = NORMAL`, with which a power cut can take back acknowledged commits: set FULL after
    /// it, and believe only what the connection says.
    private static func enforceDurability(on database: GRDB.Database) throws {
        try database.execute(sql: "PRAGMA synchronous = FULL")
        try database.execute(sql: "PRAGMA wal_autocheckpoint = \(SQLiteCheckpointer.maximumLogPages)")
        let synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous")
        let journal = try String.fetchOne(database, sql: "PRAGMA journal_mode")
        let foreignKeys = try Int.fetchOne(database, sql: "PRAGMA foreign_keys")
        guard synchronous == 2, journal == "wal", foreignKeys == 1 else {
            throw DatabaseError(
                code: .other,
                message: "SQLite did not take the durable settings: synchronous \(synchronous ?? -1) instead of 2, "
                    + "journal \(journal ?? "none") instead of wal, foreign keys \(foreignKeys ?? -1) instead of 1"
            )
        }
        // Reads the schema, so that a damaged file is found now and not by the first request.
        _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
    }

    private static func explain(_ error: any Error, path: String) -> any Error {
        let error = DatabaseError.translating(error)
        guard let error = error as? DatabaseError else { return error }
        return DatabaseError(code: error.code, message: "cannot open \(path): \(error.message)")
    }

    /// Makes an empty file that only its owner can read (SQLite gives its side files the same mode), or checks that an
    /// existing one is a database.
    private static func prepare(path: String) throws {
        let descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw self.failure("open", path: path, errno) }
        defer { Foundation.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw self.failure("examine", path: path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DatabaseError(code: .unavailable, message: "cannot open \(path): it is not a regular file")
        }
        if status.st_mode & 0o077 != 0, fchmod(descriptor, 0o600) != 0 {
            throw self.failure("restrict to its owner", path: path, errno)
        }
        guard status.st_size > 0 else { return }
        let magic = Array("SQLite format 3\0".utf8)
        var header = [UInt8](repeating: 0, count: magic.count)
        let count = pread(descriptor, &header, header.count, 0)
        guard count == magic.count, header == magic else {
            throw DatabaseError(
                code: .corrupt,
                message: "\(path) is not an SQLite database; move it away or name another file"
            )
        }
    }

    /// A new file is there after a power cut only when its directory has been synced.
    private static func syncDirectory(of path: String) throws {
        do {
            try DurableFile.syncDirectory(DurableFile.directory(of: path))
        } catch let error as FileSystemError {
            throw self.failure(error.operation, path: error.path, error.number)
        }
    }

    private static func failure(_ verb: String, path: String, _ number: Int32) -> DatabaseError {
        let isFull = [ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EIO].contains(number)
        return DatabaseError(
            code: isFull ? .storageFull : .unavailable,
            message: "cannot \(verb) \(path): \(String(cString: strerror(number)))"
        )
    }
}
