// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import Foundation
import Testing

@testable import Database

@Suite("The SQLite driver")
struct SQLiteDatabaseTests {
    private struct Refusal: Error, Equatable {}

    private static let schema = SQLMigration(
        name: "1",
        statements: ["CREATE TABLE entries (name TEXT NOT NULL PRIMARY KEY, data BLOB)"]
    )

    private static func insert(_ name: String, bytes: Int = 1) -> @Sendable (any SQLConnection) throws -> Void {
        {
            let data = SQLValue.blob(Data(repeating: 1, count: bytes))
            try $0.execute("INSERT INTO entries (name, data) VALUES (?, ?)", .text(name), data)
        }
    }

    private func withDatabase(_ body: (SQLiteDatabase, String) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.appending(path: "test.db").path
            let database = try await SQLiteDatabase(path: path)
            do {
                try await body(database, path)
            } catch {
                try await database.close()
                throw error
            }
            try await database.close()
        }
    }

    private static func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("a commit is synced: FULL and WAL are in force on the writing connection")
    func durability() async throws {
        try await self.withDatabase { database, _ in
            let settings = try await database.write { connection in
                try ["synchronous", "journal_mode", "foreign_keys"].map {
                    try #require(try connection.query("PRAGMA \($0)").first).values[0]
                }
            }
            #expect(settings == [.integer(2), .text("wal"), .integer(1)])
        }
    }

    @Test("nobody but the owner can read the files, also when the file was there with a wider mode")
    func fileMode() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.appending(path: "test.db").path
            try #require(FileManager.default.createFile(atPath: path, contents: nil))
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let database = try await SQLiteDatabase(path: path)
            try await database.migrate([Self.schema])
            for suffix in ["", "-wal", "-shm"] { #expect(try Self.mode(path + suffix) == 0o600) }
            try await database.close()
        }
    }

    @Test("a file that is not a database is refused and left alone")
    func notADatabase() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.appending(path: "notes.txt")
            let content = Data("These are notes, and quite a lot of them.".utf8)
            try content.write(to: file)
            await #expect { try await SQLiteDatabase(path: file.path) } throws: { error in
                let error = error as? DatabaseError
                return error?.code == .corrupt && error?.message.contains(file.path) == true
            }
            #expect(try Data(contentsOf: file) == content)
        }
    }

    @Test("a database whose first page is damaged is refused")
    func damaged() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.appending(path: "test.db")
            let database = try await SQLiteDatabase(path: file.path)
            try await database.migrate([Self.schema])
            try await database.close()
            var content = try Data(contentsOf: file)
            for index in 16..<200 { content[index] = 0xFF }
            try content.write(to: file)
            await #expect { try await SQLiteDatabase(path: file.path) } throws: {
                ($0 as? DatabaseError)?.code == .corrupt
            }
        }
    }

    @Test("a directory that is not there is named in the error")
    func missingDirectory() async throws {
        await #expect { try await SQLiteDatabase(path: "/nonexistent/hallmark/test.db") } throws: { error in
            let error = error as? DatabaseError
            return error?.code == .unavailable && error?.message.contains("/nonexistent/hallmark") == true
        }
    }

    @Test("the log is copied into the file while commits go on, and does not grow with them", .timeLimit(.minutes(2)))
    func checkpoints() async throws {
        try await self.withDatabase { database, path in
            try await database.migrate([Self.schema])
            func size(_ path: String) throws -> Int {
                try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
            }
            // The writer itself would copy nothing before the log has 32 MiB.
            var (written, bytes) = (0, 0)
            while try size(path) < 1 << 20 {
                try await database.write(Self.insert("\(written)", bytes: 16 << 10))
                (written, bytes) = (written + 1, bytes + 16 << 10)
                try #require(bytes < 31 << 20)
            }
            #expect(try size("\(path)-wal") < 16 << 20)
        }
    }

    @Test("what was acknowledged is there after closing and opening")
    func reopen() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.appending(path: "test.db").path
            for number in 0..<3 {
                let database = try await SQLiteDatabase(path: path)
                try await database.migrate([Self.schema])
                try await database.write(Self.insert("n\(number)"))
                try await database.close()
            }
            let database = try await SQLiteDatabase(path: path)
            let count = try await database.read { try $0.query("SELECT count(*) FROM entries").first?.integer(0) }
            #expect(count == 3)
            try await database.close()
        }
    }

    /// Holds the writer in a block until told, so that everything written meanwhile becomes one batch.
    private func withHeldWriter(
        _ database: SQLiteDatabase,
        _ enqueue: @Sendable (inout ThrowingTaskGroup<Void, any Error>) async -> Void
    ) async throws {
        let gate = DispatchSemaphore(value: 0)
        let (started, startedContinuation) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await database.write { _ in
                    startedContinuation.finish()
                    gate.wait()
                }
            }
            for await _ in started {}
            await enqueue(&group)
            gate.signal()
            try await group.waitForAll()
        }
    }

    /// Waits until so many blocks are queued behind the one that holds the writer.
    private func waitForQueue(_ database: SQLiteDatabase, count: Int) async {
        while database.queuedWrites < count { await Task.yield() }
    }

    @Test("writers that wait share one transaction, and one that throws is undone alone")
    func groupCommit() async throws {
        try await self.withDatabase { database, _ in
            try await database.migrate([Self.schema])
            let before = database.commits
            try await self.withHeldWriter(database) { group in
                for number in 0..<20 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try Self.insert("n\(number)")(connection)
                                if number == 7 { throw Refusal() }
                            }
                        } catch is Refusal {
                            #expect(number == 7)
                        }
                    }
                }
                await self.waitForQueue(database, count: 20)
            }
            // The one that held the writer, and one for all twenty.
            #expect(database.commits == before + 2)
            let count = try await database.read { try $0.query("SELECT count(*) FROM entries").first?.integer(0) }
            #expect(count == 19)
        }
    }

    @Test("a block for which there is no room fails with storageFull and takes nobody of its batch along")
    func fullDisk() async throws {
        try await self.withDatabase { database, _ in
            try await database.migrate([Self.schema])
            // Refuses pages beyond this many, as a full disk would.
            try await database.write { _ = try $0.query("PRAGMA max_page_count = 64") }
            try await self.withHeldWriter(database) { group in
                for number in 0..<10 {
                    group.addTask {
                        do {
                            try await database.write(Self.insert("n\(number)", bytes: number == 5 ? 1 << 20 : 10))
                        } catch let error as DatabaseError where error.code == .storageFull {
                            #expect(number == 5)
                        }
                    }
                }
                await self.waitForQueue(database, count: 10)
            }
            let count = try await database.read { try $0.query("SELECT count(*) FROM entries").first?.integer(0) }
            #expect(count == 9)
        }
    }

    @Test("a task that was cancelled before its turn does not write")
    func cancellation() async throws {
        try await self.withDatabase { database, _ in
            try await database.migrate([Self.schema])
            await withTaskGroup(of: Void.self) { group in
                group.cancelAll()
                group.addTask {
                    await #expect(throws: CancellationError.self) { try await database.write(Self.insert("a")) }
                }
            }
            let count = try await database.read { try $0.query("SELECT count(*) FROM entries").first?.integer(0) }
            #expect(count == 0)
        }
    }

    @Test("two processes' connections to one file take turns")
    func twoConnections() async throws {
        try await self.withDatabase { first, path in
            try await first.migrate([Self.schema])
            let second = try await SQLiteDatabase(path: path)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<50 {
                    group.addTask { try await first.write(Self.insert("a\(number)")) }
                    group.addTask { try await second.write(Self.insert("b\(number)")) }
                }
                try await group.waitForAll()
            }
            let count = try await second.read { try $0.query("SELECT count(*) FROM entries").first?.integer(0) }
            #expect(count == 100)
            try await second.close()
        }
    }
}
