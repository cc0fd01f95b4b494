// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import Foundation
import Testing

@testable import Database

@Suite("Copies of SQLite databases")
struct SQLiteCopyTests {
    private static let schema = SQLMigration(
        name: "1",
        statements: [
            "CREATE TABLE pairs (number BIGINT NOT NULL PRIMARY KEY, twin BIGINT NOT NULL, data BLOB NOT NULL)"
        ]
    )

    @Test(
        "a copy made while others write holds whole transactions only, all that were acknowledged before, and is one file"
    )
    func whileWriting() async throws {
        try await withTemporaryDirectory { directory in
            let (source, copy) = (directory.appending(path: "a.db").path, directory.appending(path: "copy.db").path)
            let database = try await SQLiteDatabase(path: source)
            try await database.migrate([Self.schema])
            @Sendable func write(_ number: Int64) async throws {
                try await database.write { connection in
                    let data = SQLValue.blob(Data(repeating: UInt8(truncatingIfNeeded: number), count: 5000))
                    for (number, twin) in [(2 * number, 2 * number + 1), (2 * number + 1, 2 * number)] {
                        try connection.execute(
                            "INSERT INTO pairs (number, twin, data) VALUES (?, ?, ?)",
                            .integer(number),
                            .integer(twin),
                            data
                        )
                    }
                }
            }
            for number in 0..<200 as Range<Int64> { try await write(number) }
            let writer = Task { for number in 200..<600 as Range<Int64> { try await write(number) } }
            try await SQLiteDatabase.copy(source, to: copy)
            try await writer.value
            try await database.close()

            #expect(
                Set(try FileManager.default.contentsOfDirectory(atPath: directory.path)).contains("copy.db-wal")
                    == false
            )
            let copied = try await SQLiteDatabase(path: copy)
            let (count, alone) = try await copied.read { connection in
                let count = try connection.query("SELECT count(*) FROM pairs").first?.integer(0)
                let alone = try connection.query(
                    "SELECT count(*) FROM pairs WHERE twin NOT IN (SELECT number FROM pairs)"
                ).first?.integer(0)
                return (count ?? 0, alone)
            }
            #expect(count >= 400)
            #expect(alone == 0)
            try await copied.close()
        }
    }

    @Test("a damaged database is not copied, and nothing is left of it")
    func damaged() async throws {
        try await withTemporaryDirectory { directory in
            let (source, copy) = (directory.appending(path: "a.db").path, directory.appending(path: "copy.db").path)
            let database = try await SQLiteDatabase(path: source)
            try await database.migrate([Self.schema])
            for number in 0..<300 as Range<Int64> {
                try await database.write { connection in
                    try connection.execute(
                        "INSERT INTO pairs (number, twin, data) VALUES (?, ?, ?)",
                        .integer(number),
                        .integer(number),
                        .blob(Data(repeating: 7, count: 300))
                    )
                }
            }
            try await database.close()
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: source))
            try file.seek(toOffset: 4096 * 5)
            try file.write(contentsOf: Data(repeating: 0xAA, count: 4096 * 4))
            try file.close()
            await #expect(throws: DatabaseError.self) { try await SQLiteDatabase.copy(source, to: copy) }
            #expect(!FileManager.default.fileExists(atPath: copy))
        }
    }

    @Test("a copy never replaces a file")
    func replacesNothing() async throws {
        try await withTemporaryDirectory { directory in
            let (source, copy) = (directory.appending(path: "a.db").path, directory.appending(path: "copy.db").path)
            try await SQLiteDatabase(path: source).close()
            try Data("mine".utf8).write(to: URL(fileURLWithPath: copy))
            await #expect(throws: DatabaseError.self) { try await SQLiteDatabase.copy(source, to: copy) }
            #expect(FileManager.default.contents(atPath: copy) == Data("mine".utf8))
        }
    }
}
