// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import Foundation
import Synchronization
import Testing

@testable import Database

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

@Suite("The PostgreSQL driver", .enabled(if: DatabaseDriver.hasPostgreSQL, "PostgreSQL is not installed"))
struct PostgreSQLDatabaseTests {
    private static let schema = SQLMigration(
        name: "1",
        statements: ["CREATE TABLE entries (name TEXT NOT NULL PRIMARY KEY, data BLOB)"]
    )

    private static func insert(_ name: String) -> @Sendable (any SQLConnection) throws -> Void {
        { try $0.execute("INSERT INTO entries (name) VALUES (?)", .text(name)) }
    }

    private static func names(_ database: any SQLDatabase) async throws -> Set<String> {
        Set(try await database.read { try $0.query("SELECT name FROM entries").map { try $0.text(0) } })
    }

    private static func open(_ configuration: PostgreSQLConfiguration) async -> DatabaseError? {
        do {
            try await PostgreSQLDatabase(configuration).close()
            return nil
        } catch {
            return error as? DatabaseError
        }
    }

    private func withDatabase(
        connections: Int = 2,
        statementTimeout: Int64 = 30_000,
        options: String = "",
        _ body: (PostgreSQLDatabase, PostgreSQLConfiguration) async throws -> Void
    ) async throws {
        var configuration = try await PostgreSQLServer.shared.configuration()
        configuration.maximumConnections = connections
        configuration.statementTimeout = statementTimeout
        configuration.connection += " options='\(options)'"
        let database = try await PostgreSQLDatabase(configuration)
        do {
            try await database.migrate([Self.schema])
            try await body(database, configuration)
        } catch {
            try await database.close()
            throw error
        }
        try await database.close()
    }

    @Test("a library that is not there is an error that names the package")
    func missingLibrary() {
        #expect {
            _ = try LibPQ.open(["libpq-of-no-version.so.5"])
        } throws: { error in
            let error = error as? DatabaseError
            return error?.code == .unavailable && error?.message.contains("apt-get install libpq5") == true
        }
    }

    @Test(
        "a connection string that cannot be read is refused, and nothing of it is shown",
        arguments: ["postgres://u:sec%zzret@h/d", "password=secret nonsense", "postgres://u:secret@[::1/d"]
    )
    func wrongConnectionString(connection: String) async {
        let error = await Self.open(PostgreSQLConfiguration(connection: connection))
        #expect(error?.message.contains("connection string") == true)
        #expect(error?.message.contains("sec") == false)
    }

    @Test("a server that is not there is unavailable, and the error says where it was looked for")
    func missingServer() async {
        let error = await Self.open(PostgreSQLConfiguration(connection: "postgres://u:secret@127.0.0.1:1/d"))
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("127.0.0.1") == true)
        #expect(error?.message.contains("secret") == false)
    }

    @Test("a password is proven by SCRAM, in a URL and in pairs, and a wrong one is refused")
    func scram() async throws {
        let server = PostgreSQLServer.shared
        let directory = try await server.directory()
        try await server.psql(
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE scram LOGIN PASSWORD 'pa ss/word'"
        )
        let place = directory.replacingOccurrences(of: "/", with: "%2F")
        let right = [
            "postgres://scram:pa%20ss%2Fword@\(place)/postgres?sslmode=prefer",
            "host=\(directory) user=scram password='pa ss/word' dbname=postgres",
        ]
        for connection in right { #expect(await Self.open(PostgreSQLConfiguration(connection: connection)) == nil) }
        let error = await Self.open(
            PostgreSQLConfiguration(connection: "postgres://scram:wrong@\(place)/postgres")
        )
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("password authentication failed") == true)
        // The socket has no TLS, so libpq would leave it out: an unusable demand is refused instead.
        #expect(await Self.open(PostgreSQLConfiguration(connection: "\(right[0])&sslmode=nonsense")) != nil)
    }

    @Test("TLS: the server's certificate is verified when that is asked for, and large values come through")
    func tls() async throws {
        let port = try Self.freePort()
        let server = PostgreSQLServer(settings: ["fsync=off"], port: port)
        let directory = try await server.directory()
        let place = "postgres://hallmark@127.0.0.1:\(port)/postgres"
        let refused = await Self.open(PostgreSQLConfiguration(connection: "\(place)?sslmode=verify-full"))
        #expect(refused?.code == .unavailable)
        var configuration = PostgreSQLConfiguration(
            connection: "\(place)?sslmode=verify-full&sslrootcert=\(directory)/server.crt"
        )
        configuration.maximumConnections = 1
        let database = try await PostgreSQLDatabase(configuration)
        let isEncrypted = try await database.read {
            try $0.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").first?.integer(0)
        }
        #expect(isEncrypted == 1)
        try await database.migrate([Self.schema])
        for size in [0, 1, 8_191, 8_192, 16_383, 16_384, 16_385, 40_000, 1 << 20, 5_000_000] {
            let data = Data((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
            let stored = try await database.write { connection in
                try connection.execute("DELETE FROM entries")
                return try connection.query(
                    "INSERT INTO entries (name, data) VALUES ('a', ?) RETURNING data",
                    .blob(data)
                ).first?.blob(0)
            }
            #expect(stored == data, "\(size) bytes")
        }
        try await database.close()
        await server.end()
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        try #require(result == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    @Test("instants are milliseconds for us, also in the TIMESTAMP columns of somebody else's table")
    func instants() async throws {
        try await self.withDatabase { database, _ in
            try await database.write {
                try $0.execute("CREATE TABLE foreigners (id SERIAL, at TIMESTAMP, tz TIMESTAMPTZ, hash CHAR(8), n INT)")
            }
            let moments: [Int64] = [0, 1_795_243_346_123, -1, 946_684_799_999, 253_402_300_799_000]
            for moment in moments {
                let row = try await database.write { connection in
                    try connection.execute("DELETE FROM foreigners")
                    return try connection.query(
                        "INSERT INTO foreigners (at, tz, hash, n) VALUES (?, ?, ?, ?) RETURNING at, tz, hash, n",
                        .integer(moment),
                        .integer(moment),
                        .text("ab"),
                        .integer(7)
                    ).first
                }
                #expect(row?.values == [.integer(moment), .integer(moment), .text("ab"), .integer(7)])
            }
            let rows = try await database.read {
                try $0.query(
                    "SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS') FROM foreigners WHERE at = ?",
                    .integer(moments[4])
                )
            }
            #expect(rows.first?.values == [.text("9999-12-31 23:59:59")])
            await #expect(throws: DatabaseError.self) {
                try await database.write { try $0.execute("UPDATE foreigners SET at = ?", .integer(.max)) }
            }
        }
    }

    @Test("commits wait for the disk, whatever the server's default")
    func durability() async throws {
        try await self.withDatabase(options: "-c synchronous_commit=off") { database, _ in
            let setting = try await database.write { try $0.query("SHOW synchronous_commit").first?.text(0) }
            #expect(setting == "on")
        }
    }

    @Test("a statement that takes too long is stopped by the server, and the connection serves on")
    func statementTimeout() async throws {
        try await self.withDatabase(statementTimeout: 2000) { database, _ in
            await #expect { try await database.read { _ = try $0.query("SELECT 1 FROM pg_sleep(60)") } } throws: {
                ($0 as? DatabaseError)?.code == .unavailable
            }
            try await database.write(Self.insert("a"))
            #expect(try await Self.names(database) == ["a"])
        }
    }

    @Test("a block that goes on after a statement failed is not committed")
    func swallowedError() async throws {
        try await self.withDatabase { database, _ in
            try await database.write(Self.insert("a"))
            await #expect {
                try await database.write { connection in
                    try Self.insert("b")(connection)
                    try? Self.insert("a")(connection)
                }
            } throws: { ($0 as? DatabaseError)?.code == .uniqueViolation }
            #expect(try await Self.names(database) == ["a"])
        }
    }

    @Test("what was prepared is prepared again when the server has forgotten it, or when it no longer fits")
    func stalePlans() async throws {
        try await self.withDatabase(connections: 1) { database, _ in
            try await database.write(Self.insert("a"))
            let all: @Sendable (any SQLConnection) throws -> Int? = {
                try $0.query("SELECT * FROM entries").first?.values.count
            }
            #expect(try await database.read(all) == 2)
            try await database.write { try $0.execute("ALTER TABLE entries ADD COLUMN more BIGINT") }
            #expect(try await database.read(all) == 3)
            try await database.write { try $0.execute("DEALLOCATE ALL") }
            try await database.write(Self.insert("b"))
            #expect(try await Self.names(database) == ["a", "b"])
        }
    }

    @Test("more statements than are kept prepared")
    func manyStatements() async throws {
        try await self.withDatabase(connections: 1) { database, _ in
            for number in 0..<600 {
                let value = try await database.read {
                    try $0.query("SELECT \(number) + ?", .integer(1)).first?.integer(0)
                }
                #expect(value == Int64(number) + 1)
            }
        }
    }

    @Test("a connection that the server ends is made again, and the block is run again")
    func endedConnection() async throws {
        try await self.withDatabase(connections: 1) { database, configuration in
            let other = try await PostgreSQLDatabase(configuration)
            let runs = Counter()
            // Before its first statement, and in the middle.
            for name in ["idle", "busy"] {
                let process = try await database.read { try $0.query("SELECT pg_backend_pid()").first?.integer(0) ?? 0 }
                let end: @Sendable (Int64) async throws -> Void = { process in
                    _ = try await other.read { try $0.query("SELECT pg_terminate_backend(?, 5000)", .integer(process)) }
                }
                if name == "idle" { try await end(process) }
                let gate = DispatchSemaphore(value: 0)
                let (started, continuation) = AsyncStream.makeStream(of: Void.self)
                async let ended: Void = {
                    guard name == "busy" else { return }
                    for await _ in started { break }
                    try await end(process)
                    gate.signal()
                }()
                try await database.write { connection in
                    // The third run is the one that is ended in the middle.
                    let run = runs.next()
                    try Self.insert(name)(connection)
                    guard name == "busy", run == 3 else { return }
                    continuation.yield()
                    gate.wait()
                    try Self.insert("more")(connection)
                }
                try await ended
            }
            #expect(try await Self.names(database) == ["idle", "busy"])
            #expect(runs.next() == 5)
            try await other.close()
        }
    }

    @Test("a commit whose answer never comes has an unknown outcome, and is not done twice")
    func lostCommit() async throws {
        try await self.withDatabase(connections: 1) { database, _ in
            // A trigger that is deferred runs within COMMIT: here it ends its own connection.
            try await database.write { connection in
                try connection.execute(
                    """
                    CREATE FUNCTION end_it() RETURNS TRIGGER LANGUAGE plpgsql AS
                    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'
                    """
                )
                try connection.execute(
                    """
                    CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION end_it()
                    """
                )
            }
            let runs = Counter()
            await #expect {
                try await database.write { connection in
                    _ = runs.next()
                    try Self.insert("a")(connection)
                }
            } throws: { ($0 as? DatabaseError)?.code == .unknownOutcome }
            #expect(runs.next() == 2)
            #expect(try await Self.names(database) == [])
        }
    }

    @Test("instances that start at once on an empty database agree on its schema")
    func simultaneousStarts() async throws {
        let configuration = try await PostgreSQLServer.shared.configuration()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    let database = try await PostgreSQLDatabase(configuration)
                    try await database.migrate([Self.schema])
                    try await database.close()
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("what was acknowledged is there after the server was killed, and its clients go on")
    func crash() async throws {
        let server = PostgreSQLServer()
        var configuration = try await server.configuration()
        configuration.maximumConnections = 4
        let database = try await PostgreSQLDatabase(configuration)
        try await database.migrate([Self.schema])
        let progress = Progress()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<6 {
                group.addTask {
                    var number = 0
                    while !progress.isOver {
                        let name = "\(writer)-\(number)"
                        number += 1
                        do {
                            try await database.write(Self.insert(name))
                            progress.note(name, isCertain: true)
                        } catch let error as DatabaseError where error.code == .unknownOutcome {
                            progress.note(name, isCertain: false)
                        } catch let error as DatabaseError where error.code == .unavailable {
                            // On a busy machine the server may be down for longer than a client waits.
                        }
                    }
                }
            }
            group.addTask {
                for _ in 0..<3 {
                    let before = progress.certain.count
                    while progress.certain.count < before + 100 { try await Task.sleep(for: .milliseconds(5)) }
                    try await server.crash()
                    try await server.restart()
                }
                progress.end()
            }
            // One that fails ends them all.
            for try await _ in group {}
        }
        let stored = try await Self.names(database)
        #expect(progress.certain.isSubset(of: stored))
        #expect(stored.subtracting(progress.certain).isSubset(of: progress.possible))
        try await database.close()
        await server.end()
    }
}

/// What writers were told of their writes.
private final class Progress: Sendable {
    private let state = Mutex((certain: Set<String>(), possible: Set<String>(), isOver: false))

    var certain: Set<String> { self.state.withLock { $0.certain } }
    var possible: Set<String> { self.state.withLock { $0.possible } }
    var isOver: Bool { self.state.withLock { $0.isOver } }

    func note(_ name: String, isCertain: Bool) {
        self.state.withLock { state in
            if isCertain { _ = state.certain.insert(name) } else { _ = state.possible.insert(name) }
        }
    }

    func end() { self.state.withLock { $0.isOver = true } }
}

private final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        self.count.withLock { count in
            count += 1
            return count
        }
    }
}
