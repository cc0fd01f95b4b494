// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import Foundation
import Testing

@testable import Database

/// What every driver must do.
@Suite("Any SQL database")
struct SQLDatabaseContractTests {
    private static let drivers =
        DatabaseDriver.all + (DatabaseDriver.hasPostgreSQL ? [.postgreSQLWithoutPipeline] : [])

    private struct Refusal: Error, Equatable {}

    private static let schema = SQLMigration(
        name: "1-entries",
        statements: ["CREATE TABLE entries (name TEXT NOT NULL PRIMARY KEY, number BIGINT, data BLOB)"]
    )

    private static func insert(_ name: String, _ number: Int64) -> @Sendable (any SQLConnection) throws -> Void {
        { try $0.execute("INSERT INTO entries (name, number) VALUES (?, ?)", .text(name), .integer(number)) }
    }

    private static func names(_ database: any SQLDatabase) async throws -> [String] {
        try await database.read { connection in
            try connection.query("SELECT name FROM entries ORDER BY name").map { try $0.text(0) }
        }
    }

    private static func error(_ body: () async throws -> Void) async -> DatabaseError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? DatabaseError
        }
    }

    @Test(
        "statements that only read see what was committed before them, and leave the connection as it was",
        arguments: Self.drivers
    )
    func queries(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            try await database.write(Self.insert("a", 1))
            let byName = { SQLStatement("SELECT number FROM entries WHERE name = ?", .text($0)) }
            let found = try await database.query([byName("a"), byName("b"), byName("a")])
            #expect(try found.map { try $0.map { try $0.integer(0) } } == [[1], [], [1]])
            let failure = await Self.error { _ = try await database.query("SELECT nothing FROM nowhere") }
            #expect(failure != nil)
            try await database.write(Self.insert("b", 2))
            #expect(
                try await database.query("SELECT number FROM entries ORDER BY name").map { try $0.integer(0) } == [
                    1, 2,
                ]
            )
            #expect(try await database.query([]).isEmpty)
        }
    }

    @Test(
        "values come back as they went in",
        arguments: Self.drivers,
        [
            SQLValue.null, .integer(.min), .integer(.max), .integer(0), .text(""), .text("π 😀 \u{2028} e\u{301} '\"?"),
            .blob(Data()), .blob(Data([0, 1, 0, 255, 0])), .blob(Data(repeating: 7, count: 1 << 20)),
        ]
    )
    func roundTrip(driver: DatabaseDriver, value: SQLValue) async throws {
        try await driver.withDatabase { database in
            let column =
                switch value {
                case .null, .integer: "BIGINT"
                case .text: "TEXT"
                case .blob: "BLOB"
                }
            try await database.migrate([
                SQLMigration(name: "1", statements: ["CREATE TABLE one (id INTEGER PRIMARY KEY, value \(column))"])
            ])
            try await database.write { try $0.execute("INSERT INTO one (value) VALUES (?)", value) }
            let rows = try await database.read { try $0.query("SELECT value FROM one") }
            #expect(rows == [SQLRow(values: [value])])
        }
    }

    @Test("a text with a NUL character is refused, not cut", arguments: Self.drivers)
    func nulCharacter(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            let error = await Self.error { try await database.write(Self.insert("a\0b", 1)) }
            #expect(error?.code == .constraintViolation)
            #expect(try await Self.names(database) == [])
        }
    }

    @Test("identities grow and are not used again", arguments: Self.drivers)
    func identities(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([
                SQLMigration(
                    name: "1",
                    statements: ["CREATE TABLE feed (id INTEGER PRIMARY KEY AUTOINCREMENT, gun TEXT NOT NULL)"]
                )
            ])
            let add: @Sendable (any SQLConnection) throws -> Int64 = { connection in
                let rows = try connection.query("INSERT INTO feed (gun) VALUES (?) RETURNING id", .text("g"))
                return try #require(rows.first).integer(0)
            }
            let first = try await database.write(add)
            let second = try await database.write(add)
            try await database.write { try $0.execute("DELETE FROM feed WHERE id = ?", .integer(second)) }
            let third = try await database.write(add)
            #expect(first < second)
            #expect(second < third)
        }
    }

    @Test("execute tells how many rows it changed", arguments: Self.drivers)
    func changeCount(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            for name in ["a", "b", "c"] { try await database.write(Self.insert(name, 1)) }
            let counts = try await database.write { connection in
                [
                    try connection.execute("UPDATE entries SET number = 2 WHERE name <> ?", .text("a")),
                    try connection.execute("UPDATE entries SET number = 2 WHERE name = ?", .text("nobody")),
                    try connection.execute(
                        "INSERT INTO entries (name) VALUES (?) ON CONFLICT (name) DO NOTHING",
                        .text("a")
                    ),
                    try connection.execute("DELETE FROM entries"),
                ]
            }
            #expect(counts == [2, 0, 0, 3])
        }
    }

    @Test("statistics tell the connections at work, and those that wait for one", arguments: Self.drivers)
    func statistics(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            // More than there are connections, each kept until all have been asked for.
            let gate = DispatchSemaphore(value: 0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<40 { group.addTask { try await database.read { _ in gate.wait() } } }
                while database.statistics.waiting == 0 { await Task.yield() }
                let busy = database.statistics
                #expect(busy.inUse > 0 && busy.inUse <= busy.connections)
                for _ in 0..<40 { gate.signal() }
                try await group.waitForAll()
            }
            #expect(database.statistics.waiting == 0)
            #expect(database.statistics.retries == 0)
        }
    }

    @Test("a block that throws leaves nothing, and its own error arrives", arguments: Self.drivers)
    func rollback(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            await #expect(throws: Refusal()) {
                try await database.write { connection in
                    try Self.insert("a", 1)(connection)
                    throw Refusal()
                }
            }
            #expect(try await Self.names(database) == [])
        }
    }

    @Test("writers at the same time all succeed but those that throw", arguments: Self.drivers)
    func concurrentWriters(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            let failed = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try Self.insert("n\(number)", Int64(number))(connection)
                                if number.isMultiple(of: 10) { throw Refusal() }
                                if number % 10 == 5 { try Self.insert("n\(number)", 0)(connection) }
                            }
                            return false
                        } catch is Refusal {
                            return true
                        } catch let error as DatabaseError where error.code == .uniqueViolation {
                            return true
                        }
                    }
                }
                return try await group.reduce(into: 0) { count, failed in count += failed ? 1 : 0 }
            }
            #expect(failed == 40)
            let names = try await Self.names(database)
            #expect(names.count == 160)
            #expect(!names.contains("n10"))
            #expect(!names.contains("n15"))
        }
    }

    @Test("a counter that everybody increments loses nothing", arguments: Self.drivers)
    func isolation(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            try await database.write(Self.insert("counter", 0))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        try await database.write { connection in
                            let row = try #require(try connection.query("SELECT number FROM entries").first)
                            let next = try row.integer(0) + 1
                            try connection.execute("UPDATE entries SET number = ?", .integer(next))
                        }
                    }
                }
                try await group.waitForAll()
            }
            let number = try await database.read { try $0.query("SELECT number FROM entries").first?.integer(0) }
            #expect(number == 100)
        }
    }

    @Test("a read after a write sees it, whoever else reads", arguments: Self.drivers)
    func readYourWrites(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        try await database.write(Self.insert("n\(number)", Int64(number)))
                        let rows = try await database.read {
                            try $0.query("SELECT number FROM entries WHERE name = ?", .text("n\(number)"))
                        }
                        #expect(try rows.first?.integer(0) == Int64(number))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("errors have the codes that both drivers share", arguments: Self.drivers)
    func errorCodes(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([
                Self.schema,
                SQLMigration(
                    name: "2",
                    statements: [
                        """
                        CREATE TABLE parts (entry TEXT NOT NULL REFERENCES entries (name), part BIGINT NOT NULL,
                        UNIQUE (entry, part))
                        """
                    ]
                ),
            ])
            let insertPart = "INSERT INTO parts (entry, part) VALUES (?, ?)"
            try await database.write { connection in
                try Self.insert("a", 1)(connection)
                try connection.execute(insertPart, .text("a"), .integer(1))
            }
            let cases: [(DatabaseError.Code, @Sendable (any SQLConnection) throws -> Void)] = [
                (.uniqueViolation, Self.insert("a", 2)),
                (.uniqueViolation, { try $0.execute(insertPart, .text("a"), .integer(1)) }),
                (.constraintViolation, { try $0.execute(insertPart, .text("nobody"), .integer(1)) }),
                (.constraintViolation, { try $0.execute(insertPart, .text("a"), .null) }),
                (.other, { try $0.execute("SELEKT 1") }),
                (.other, { try $0.execute("DELETE FROM nothing_here") }),
            ]
            for (code, block) in cases {
                let error = await Self.error { try await database.write(block) }
                #expect(error?.code == code, "\(error?.description ?? "nothing was thrown")")
            }
        }
    }

    @Test("a row read as another type is reported as corrupt", arguments: Self.drivers)
    func wrongType(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            try await database.write(Self.insert("a", 1))
            let rows = try await database.read { try $0.query("SELECT name, number, data FROM entries") }
            let row = try #require(rows.first)
            #expect(await Self.error { _ = try row.integer(0) }?.code == .corrupt)
            #expect(await Self.error { _ = try row.text(1) }?.code == .corrupt)
            #expect(await Self.error { _ = try row.blob(2) }?.code == .corrupt)
            #expect(await Self.error { _ = try row.integer(3) }?.code == .corrupt)
            #expect(await Self.error { _ = try row.integer(-1) }?.code == .corrupt)
            #expect(try row.optionalBlob(2) == nil)
        }
    }

    @Test("a read cannot write", arguments: Self.drivers)
    func readOnly(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            let error = await Self.error { try await database.read(Self.insert("a", 1)) }
            #expect(error != nil)
            #expect(try await Self.names(database) == [])
        }
    }

    @Test("a write that holds a lock excludes others that do, from wherever", arguments: Self.drivers)
    func locks(driver: DatabaseDriver) async throws {
        try await driver.withDatabases { opener in
            let databases = [try await opener.open(), try await opener.open()]
            try await databases[0].migrate([Self.schema])
            try await databases[0].write(Self.insert("counter", 0))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<60 {
                    let database = databases[number % 2]
                    group.addTask {
                        try await database.write(locking: [.exclusive("b"), .shared("a")]) { connection in
                            let row = try #require(try connection.query("SELECT number FROM entries").first)
                            try connection.execute("UPDATE entries SET number = ?", .integer(row.integer(0) + 1))
                        }
                    }
                    group.addTask {
                        let rows = try await database.read(locking: [.exclusive("a")]) {
                            try $0.query("SELECT number FROM entries")
                        }
                        #expect(rows.count == 1)
                    }
                }
                try await group.waitForAll()
            }
            let number = try await databases[1].read { try $0.query("SELECT number FROM entries").first?.integer(0) }
            #expect(number == 60)
        }
    }

    @Test("what one writer concludes from what it has read still holds when it commits", arguments: Self.drivers)
    func writeSkew(driver: DatabaseDriver) async throws {
        try await driver.withDatabases { opener in
            let databases = [try await opener.open(), try await opener.open()]
            try await databases[0].migrate([Self.schema])
            // Each adds itself only while there are fewer than three.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<24 {
                    group.addTask {
                        try await databases[number % 2].write { connection in
                            let count = try connection.query("SELECT count(*) FROM entries").first?.integer(0)
                            if count ?? 0 < 3 { try Self.insert("n\(number)", 1)(connection) }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await Self.names(databases[0]).count == 3)
        }
    }

    @Test("statements that travel together run in their order, and one that fails fails all", arguments: Self.drivers)
    func together(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            let insert = "INSERT INTO entries (name, number) VALUES (?, ?)"
            let changes = try await database.write { connection in
                try connection.executeAll([
                    SQLStatement(insert, .text("a"), .integer(1)), SQLStatement(insert, .text("b"), .integer(2)),
                    SQLStatement("UPDATE entries SET number = number + 1"),
                    SQLStatement("DELETE FROM entries WHERE name = ?", .text("c")),
                ])
            }
            let rows = try await database.read { connection in
                try connection.queryAll([
                    SQLStatement("SELECT number FROM entries WHERE name = ?", .text("b")),
                    SQLStatement("SELECT number FROM entries WHERE name = ?", .text("c")),
                    SQLStatement("SELECT name FROM entries ORDER BY name"),
                ])
            }
            #expect(changes == [1, 1, 2, 0])
            #expect(rows.map(\.count) == [1, 0, 2])
            #expect(rows[0].first?.values == [.integer(3)])
            let error = await Self.error {
                try await database.write { connection in
                    _ = try connection.executeAll([
                        SQLStatement(insert, .text("d"), .integer(1)), SQLStatement(insert, .text("a"), .integer(1)),
                        SQLStatement(insert, .text("e"), .integer(1)),
                    ])
                }
            }
            #expect(error?.code == .uniqueViolation)
            #expect(try await Self.names(database) == ["a", "b"])
        }
    }

    @Test("text sorts and compares by its bytes", arguments: Self.drivers)
    func order(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            let names = ["a", "B", "_", "b", "é", "Z", "a-b", "ab", "a/b", "0", "\u{1F600}", "\u{FFFD}"]
            try await database.write { connection in
                for name in names { try Self.insert(name, 1)(connection) }
            }
            let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            #expect(try await Self.names(database) == sorted)
            let after = try await database.read {
                try $0.query("SELECT name FROM entries WHERE name > ? ORDER BY name LIMIT ?", .text("a"), .integer(2))
                    .map { try $0.text(0) }
            }
            #expect(after == ["a-b", "a/b"])
        }
    }

    // MARK: - Migrations

    private static let second = SQLMigration(
        name: "2-size",
        statements: ["ALTER TABLE entries ADD COLUMN size BIGINT", "UPDATE entries SET size = number"]
    )

    @Test("migrations are applied once, in order, also by several at once", arguments: Self.drivers)
    func migrations(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            try await database.write(Self.insert("a", 5))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await database.migrate([Self.schema, Self.second]) } }
                try await group.waitForAll()
            }
            let size = try await database.read { try $0.query("SELECT size FROM entries").first?.integer(0) }
            #expect(size == 5)
        }
    }

    @Test("a migration that fails leaves the schema as it was", arguments: Self.drivers)
    func failingMigration(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            let broken = SQLMigration(
                name: "2-size",
                statements: ["ALTER TABLE entries ADD COLUMN size BIGINT", "CREATE TABLE entries (id BIGINT)"]
            )
            let error = await Self.error { try await database.migrate([Self.schema, broken]) }
            #expect(error?.message.contains("2-size") == true)
            // Had the column stayed, adding it again would fail.
            try await database.migrate([Self.schema, Self.second])
        }
    }

    @Test("a schema from a newer version is refused", arguments: Self.drivers)
    func newerSchema(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema, Self.second])
            for known in [[Self.schema], [Self.second, Self.schema], []] {
                let error = await Self.error { try await database.migrate(known) }
                #expect(error?.code == .corrupt)
                #expect(error?.message.contains("newer version") == true)
            }
        }
    }

    // MARK: - Closing

    @Test("closing waits for running work, then refuses more", arguments: Self.drivers)
    func closing(driver: DatabaseDriver) async throws {
        try await driver.withDatabase { database in
            try await database.migrate([Self.schema])
            let outcomes = try await withThrowingTaskGroup(of: DatabaseError.Code?.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        await Self.error { try await database.write(Self.insert("n\(number)", 1)) }?.code
                    }
                    group.addTask { await Self.error { _ = try await Self.names(database) }?.code }
                }
                for _ in 0..<2 {
                    group.addTask {
                        try await database.close()
                        return nil
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.allSatisfy { $0 == nil || $0 == .unavailable })
            #expect(await Self.error { _ = try await Self.names(database) }?.code == .unavailable)
            #expect(await Self.error { try await database.write(Self.insert("x", 1)) }?.code == .unavailable)
        }
    }
}
