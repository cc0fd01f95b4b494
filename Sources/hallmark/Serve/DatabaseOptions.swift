// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Database
import Logging

/// Where the services keep what is not a blob: in SQLite files under the data directory, or on PostgreSQL.
struct DatabaseOptions: ParsableArguments {
    /// Each has a database of its own, or a schema of one.
    enum Service: String, CaseIterable, ExpressibleByArgument {
        case registry
        case server
        case signer

        var file: String {
            switch self {
            case .registry: "registry.sqlite"
            case .server: "trust.sqlite"
            case .signer: "signer/keys.sqlite"
            }
        }

        /// Where several share a database.
        var schema: String { "hallmark_\(self.rawValue)" }

        var option: String { "--\(self.rawValue)-database" }
        var variable: String { "HALLMARK_\(self.rawValue.uppercased())_DATABASE" }
    }

    @Option(
        help: ArgumentHelp(
            "A PostgreSQL database for all services, each in a schema of its own, instead of files under --data.",
            discussion: """
                A URL (postgres://user@host/name?sslmode=verify-full) or key=value pairs, as libpq takes them. A password \
                belongs in PGPASSFILE, or into HALLMARK_DATABASE, which is asked when the option is not there; others \
                on the machine can see options.
                """,
            valueName: "url"
        )
    )
    var database: String?

    @Option(
        help: ArgumentHelp(
            "The trust server's own PostgreSQL database, such as notary-server's (or HALLMARK_SERVER_DATABASE).",
            valueName: "url"
        )
    )
    var serverDatabase: String?

    @Option(
        help: ArgumentHelp(
            "The signer's own PostgreSQL database, such as notary-signer's (or HALLMARK_SIGNER_DATABASE).",
            valueName: "url"
        )
    )
    var signerDatabase: String?

    @Option(
        help: ArgumentHelp(
            "The registry's own PostgreSQL database (or HALLMARK_REGISTRY_DATABASE).",
            valueName: "url"
        )
    )
    var registryDatabase: String?

    @Option(help: ArgumentHelp("The most connections of each service to PostgreSQL.", valueName: "number"))
    var databaseConnections = 8

    func validate() throws {
        guard (1...1000).contains(self.databaseConnections) else {
            throw ValidationError("--database-connections is a number from 1 to 1000")
        }
    }

    /// The PostgreSQL database of a service; nil when it has a file. What is said for one service goes before what is said for
    /// all, and options before variables.
    func postgreSQL(_ service: Service, environment: [String: String]) -> PostgreSQLConfiguration? {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let own: String? =
            switch service {
            case .registry: self.registryDatabase
            case .server: self.serverDatabase
            case .signer: self.signerDatabase
            }
        var configuration: PostgreSQLConfiguration
        if let own = own ?? (self.database == nil ? variable(service.variable) : nil) {
            configuration = PostgreSQLConfiguration(connection: own)
        } else if let shared = self.database ?? variable("HALLMARK_DATABASE") {
            configuration = PostgreSQLConfiguration(connection: shared, schema: service.schema)
        } else {
            return nil
        }
        configuration.maximumConnections = self.databaseConnections
        return configuration
    }

    /// Opens the database of a service.
    /// - Throws: ``CommandError`` that names the option concerned.
    func open(
        _ service: Service,
        directory: String,
        environment: [String: String],
        logger: Logger
    ) async throws -> any SQLDatabase {
        guard let configuration = self.postgreSQL(service, environment: environment) else {
            return try await SQLiteDatabase(path: directory + "/" + service.file)
        }
        do {
            return try await PostgreSQLDatabase(configuration, logger: logger)
        } catch let error as DatabaseError {
            throw CommandError(.failure, "\(error.message) (\(service.option) or --database)")
        }
    }
}
