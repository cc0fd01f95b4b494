// SPDX-License-Identifier: Apache-2.0

extension SQLDatabase {
    /// What both drivers do to migrate; the table `hallmark_migrations` remembers what has been applied.
    ///
    /// What is stored must be the beginning of the list, in its order. Each step is one transaction together with its row,
    /// and looks at the table again inside it, so several processes may start at once.
    ///
    /// - Throws: ``DatabaseError`` with code `corrupt` when the database has a step that the list does not know, which
    ///   means that a newer version made it, or that it belongs to something else.
    package func applyMigrations(_ migrations: [SQLMigration]) async throws {
        guard Set(migrations.map(\.name)).count == migrations.count else {
            throw DatabaseError(code: .other, message: "two migrations have the same name")
        }
        try await self.write(locking: [.exclusive("hallmark_migrations")]) { connection in
            try connection.execute(
                """
                CREATE TABLE IF NOT EXISTS hallmark_migrations \
                (position BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE)
                """
            )
        }
        let names = migrations.map(\.name)
        let applied = try await self.read { try Self.appliedMigrations(on: $0, known: names) }
        for (position, migration) in migrations.enumerated().dropFirst(applied) {
            try await self.write(locking: [.exclusive("hallmark_migrations")]) { connection in
                guard try Self.appliedMigrations(on: connection, known: names) == position else { return }
                do {
                    for statement in migration.statements { try connection.execute(statement) }
                } catch let error as DatabaseError {
                    throw DatabaseError(
                        code: error.code,
                        message: "migration \(migration.name) failed, nothing of it was kept: \(error.message)"
                    )
                }
                try connection.execute(
                    "INSERT INTO hallmark_migrations (position, name) VALUES (?, ?)",
                    .integer(Int64(position)),
                    .text(migration.name)
                )
            }
        }
    }

    /// How many of the known migrations have been applied.
    private static func appliedMigrations(on connection: any SQLConnection, known: [String]) throws -> Int {
        let applied = try connection.query("SELECT name FROM hallmark_migrations ORDER BY position").map {
            try $0.text(0)
        }
        for (position, name) in applied.enumerated() where position >= known.count || known[position] != name {
            let expected = position < known.count ? "\"\(known[position])\"" : "no more"
            throw DatabaseError(
                code: .corrupt,
                message:
                    "the database has the migration \"\(name)\" where this version knows \(expected): a newer version "
                    + "has written it, or it belongs to another service; use that version, or another database"
            )
        }
        return applied.count
    }
}

extension SQLiteDatabase {
    package func migrate(_ migrations: [SQLMigration]) async throws {
        try await self.applyMigrations(migrations)
    }
}
