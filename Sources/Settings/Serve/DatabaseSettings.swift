// SPDX-License-Identifier: Apache-2.0

/// Where the services keep what is not a blob, if not in files.
package enum DatabaseSettings: SettingGroup {
    package static let title = "PostgreSQL"
    package static let settings = [
        Self.shared.declaration, Self.server.declaration, Self.signer.declaration, Self.registry.declaration,
        Self.connections.declaration,
    ]

    package static let shared = Setting(
        "database.url",
        .database,
        otherwise: "files under `data`",
        option: "database",
        variables: ["HALLMARK_DATABASE"],
        isMain: true,
        help: """
            A PostgreSQL database for all services, each in a schema of its own, instead of files under --data: a URL \
            (postgres://user@host/name?sslmode=verify-full) or key=value pairs, as libpq takes them. A password belongs in \
            PGPASSFILE, or into HALLMARK_DATABASE; others on the machine can see options.
            """
    )

    package static let server = Setting(
        "server.database",
        .database,
        otherwise: "`database.url`",
        help: "The trust server's own PostgreSQL database, such as notary-server's (or HALLMARK_SERVER_DATABASE)."
    )

    package static let signer = Setting(
        "signer.database",
        .database,
        otherwise: "`database.url`",
        help: "The signer's own PostgreSQL database, such as notary-signer's (or HALLMARK_SIGNER_DATABASE)."
    )

    package static let registry = Setting(
        "registry.database",
        .database,
        otherwise: "`database.url`",
        help: "The registry's own PostgreSQL database (or HALLMARK_REGISTRY_DATABASE)."
    )

    package static let connections = Setting(
        "database.connections",
        .number(1...1000),
        default: 8,
        help: "The most connections of each service to PostgreSQL."
    )

    /// The setting of a service's own.
    package static func own(_ service: ServiceName) -> Setting<String?> {
        switch service {
        case .registry: Self.registry
        case .server: Self.server
        case .signer: Self.signer
        }
    }
}

/// Of the settings of `hallmark serve`, those that say where the signer's keys are.
package enum SignerKeySettings: SettingGroup {
    package static let title = "Where the signer's keys are"
    package static let settings = [
        ServeSettings.data.declaration, DatabaseSettings.shared.declaration, DatabaseSettings.signer.declaration,
        SignerSettings.defaultAlias.declaration,
    ]
}
