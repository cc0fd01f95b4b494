// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Logging
import Settings

/// Where a service keeps what is not a blob: in a SQLite file under the data directory, or on PostgreSQL.
struct ServiceDatabase {
    let service: ServiceName
    let settings: SettingValues

    /// Its file under the data directory.
    var file: String { Self.file(of: self.service) }

    static func file(of service: ServiceName) -> String {
        switch service {
        case .registry: "registry.sqlite"
        case .server: "trust.sqlite"
        case .signer: "signer/keys.sqlite"
        }
    }

    var path: String { self.settings[ServeSettings.data].expandingTilde + "/" + self.file }

    /// The PostgreSQL database; nil when it has a file. An option goes before a variable, and that before a file; of what is
    /// said in the same place, what is said for one service goes before what is said for all.
    var postgreSQL: PostgreSQLConfiguration? {
        let own = DatabaseSettings.own(self.service)
        let ownRank = self.settings.origin(of: own).rank
        let sharedRank = self.settings.origin(of: DatabaseSettings.shared).rank
        var configuration: PostgreSQLConfiguration
        if let connection = self.settings[own], ownRank >= sharedRank {
            configuration = PostgreSQLConfiguration(connection: connection)
        } else if let connection = self.settings[DatabaseSettings.shared] {
            // Where several share a database each has a schema.
            configuration = PostgreSQLConfiguration(connection: connection, schema: "hallmark_\(self.service.rawValue)")
        } else {
            return nil
        }
        configuration.maximumConnections = self.settings[DatabaseSettings.connections]
        return configuration
    }

    /// Opens it.
    /// - Throws: ``CommandError`` that names the setting concerned.
    func open(logger: Logger) async throws -> any SQLDatabase {
        guard let configuration = self.postgreSQL else { return try await SQLiteDatabase(path: self.path) }
        do {
            return try await PostgreSQLDatabase(configuration, logger: logger)
        } catch let error as DatabaseError {
            let isOwn = configuration.schema == nil
            let name = self.settings.name(isOwn ? DatabaseSettings.own(self.service) : DatabaseSettings.shared)
            throw CommandError(.failure, "\(error.message) (\(name))")
        }
    }
}
