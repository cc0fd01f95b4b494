// SPDX-License-Identifier: Apache-2.0

import Database
import OCI

/// What the registry knows besides the bytes of blobs: which repository has which blobs, manifests and tags. Each method
/// is one transaction.
///
/// Each statement of a write decides by itself whether it applies; only where one concludes from what another has found, for a
/// condition on a tag, whoever may change that holds the lock of the repository.
struct RegistryStore: Sendable {
    let database: any SQLDatabase
    /// Makes events of changes, which are written with them; nil when nobody wants to know.
    let events: RegistryEvents?

    /// Held by whoever changes manifests or tags of a repository.
    static func lock(_ repository: RepositoryName) -> SQLLock { .exclusive("repository \(repository)") }
    /// Shared by whoever relies on blobs that are there, and held by whoever collects some.
    static let relying = SQLLock.shared("collection")
    static let collecting = SQLLock.exclusive("collection")

    /// - Throws: ``DatabaseError`` when the tables cannot be brought up to date.
    init(database: any SQLDatabase, events: RegistryEvents? = nil) async throws {
        self.database = database
        self.events = events
        try await database.migrate(RegistrySchema.migrations)
    }

    /// What writes the event of a change.
    func telling(_ subject: @autoclosure () -> EventSubject) -> [SQLStatement] {
        self.events?.statements(for: subject()) ?? []
    }

    static func createRepository(_ name: RepositoryName, at time: Int64, on connection: any SQLConnection) throws {
        try connection.execute(
            "INSERT INTO repositories (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
            .text(name.description),
            .integer(time)
        )
    }
}
