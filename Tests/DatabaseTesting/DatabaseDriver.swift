// SPDX-License-Identifier: Apache-2.0

package import Database
package import Foundation
import Synchronization

/// A driver that tests run against, each time with an empty database of its own.
package struct DatabaseDriver: Sendable, CustomStringConvertible {
    package let description: String
    /// Whether it keeps its files itself.
    package var isEmbedded: Bool { self.description == Self.sqlite.description }
    /// Makes an empty database, hands over a way to open it (any number of times, as several processes would), then closes
    /// what was opened and removes it.
    package let withDatabases: @Sendable (_ body: (Opener) async throws -> Void) async throws -> Void

    /// Opens one and the same database again and again.
    package actor Opener {
        private let make: @Sendable () async throws -> any SQLDatabase
        private var opened: [any SQLDatabase] = []

        init(_ make: @escaping @Sendable () async throws -> any SQLDatabase) {
            self.make = make
        }

        package func open() async throws -> any SQLDatabase {
            let database = try await self.make()
            self.opened.append(database)
            return database
        }

        func closeAll() async throws {
            for database in self.opened { try await database.close() }
        }
    }

    /// Makes an empty database, hands it over, then closes and removes it.
    package func withDatabase(_ body: (any SQLDatabase) async throws -> Void) async throws {
        try await self.withDatabases { try await body(try await $0.open()) }
    }

    /// Both drivers; only SQLite's where PostgreSQL is not installed, but in CI.
    package static let all: [DatabaseDriver] = Self.hasPostgreSQL ? [Self.sqlite, Self.postgreSQL] : [Self.sqlite]

    /// What is tested of PostgreSQL alone.
    package static let hasPostgreSQL: Bool = {
        if PostgreSQLServer.isInstalled || ProcessInfo.processInfo.environment["CI"] == "true" { return true }
        FileHandle.standardError.write(
            Data("PostgreSQL is not installed: nothing is tested on it; run scripts/install-test-dependencies\n".utf8)
        )
        return false
    }()

    /// The driver that a test of a suite with the trait `onEveryDatabase` runs on now.
    @TaskLocal package static var current = DatabaseDriver.sqlite

    package static let sqlite = DatabaseDriver(description: "SQLite") { body in
        try await withTemporaryDirectory { directory in
            let path = directory.appending(path: "contract.db").path
            try await Self.run(body, Opener { try await SQLiteDatabase(path: path) })
        }
    }

    package static let postgreSQL = Self.postgreSQL("PostgreSQL") { _ in }

    /// As with a client library from before version 14.
    package static let postgreSQLWithoutPipeline = Self.postgreSQL("PostgreSQL, one statement at a time") {
        $0.sendsAhead = false
    }

    private static func postgreSQL(
        _ description: String,
        _ change: @escaping @Sendable (inout PostgreSQLConfiguration) -> Void
    ) -> DatabaseDriver {
        DatabaseDriver(description: description) { body in
            await Turns.shared.take()
            defer { Turns.shared.giveBack() }
            var configuration = try await PostgreSQLServer.shared.configuration()
            configuration.maximumConnections = 4
            change(&configuration)
            let settled = configuration
            try await Self.run(body, Opener { try await PostgreSQLDatabase(settled) })
            guard let schema = settled.schema else { return }
            let database = try await PostgreSQLDatabase(settled)
            try await database.write { try $0.execute("DROP SCHEMA \(schema) CASCADE") }
            try await database.close()
        }
    }

    private static func run(_ body: (Opener) async throws -> Void, _ opener: Opener) async throws {
        do {
            try await body(opener)
        } catch {
            try await opener.closeAll()
            throw error
        }
        try await opener.closeAll()
    }
}

/// Makes a fresh directory, and removes it whatever happens.
package func withTemporaryDirectory<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appending(path: "hallmark-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try await body(directory)
}

/// Lets a few tests at a time onto the server: all at once, with several connections each, they would starve whatever else is
/// tested meanwhile.
private final class Turns: Sendable {
    static let shared = Turns()

    private let state = Mutex((free: 4, waiting: [CheckedContinuation<Void, Never>]()))

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = self.state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func giveBack() {
        let next = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}
