// SPDX-License-Identifier: Apache-2.0

/// Where a PostgreSQL database is, and how it is used.
package struct PostgreSQLConfiguration: Sendable {
    /// A URL (`postgres://user@host:port/name?sslmode=verify-full`) or `key=value` pairs, as libpq takes them, with its
    /// environment variables and password file. It may hold a password: it is never shown.
    package var connection: String
    /// The schema that holds the tables, made when it is missing; nil for what the connection gives (`public`).
    package var schema: String?
    /// How many connections are kept at most.
    package var maximumConnections = 8
    /// How long a call goes on trying, in milliseconds, while the database is away or its transaction loses against others.
    package var patience: Int64 = 15_000
    /// How long one statement may take, in milliseconds.
    package var statementTimeout: Int64 = 30_000
    /// Whether several statements are sent at once where the library can (it can from version 14 on).
    package var sendsAhead = true

    package init(connection: String, schema: String? = nil) {
        self.connection = connection
        self.schema = schema
    }
}
