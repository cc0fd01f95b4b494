// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Database

/// A driver that the contract suite runs against, each time with an empty database of its own.
struct DatabaseDriver: Sendable, CustomTestStringConvertible {
    let name: String
    /// Makes an empty database, hands it over, then closes and removes it.
    let withDatabase: @Sendable (_ body: @Sendable (any SQLDatabase) async throws -> Void) async throws -> Void

    var testDescription: String { self.name }

    static let all = [sqlite]

    static let sqlite = DatabaseDriver(name: "SQLite") { body in
        try await withTemporaryDirectory { directory in
            let database = try await SQLiteDatabase(path: directory.appending(path: "contract.db").path)
            do {
                try await body(database)
            } catch {
                try await database.close()
                throw error
            }
            try await database.close()
        }
    }
}

/// Makes a fresh directory, and removes it whatever happens.
func withTemporaryDirectory<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appending(path: "hallmark-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try await body(directory)
}
