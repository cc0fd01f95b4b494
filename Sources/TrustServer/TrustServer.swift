// SPDX-License-Identifier: Apache-2.0

package import Database
package import FoundationEssentials
package import HTTPService
package import Logging
package import NotaryAPI
package import ServiceLifecycle
package import TokenAuthentication

/// A trust server: stores, checks and serves the metadata of collections, and makes their timestamps and, where their
/// publishers leave it to the server, their snapshots. It speaks the HTTP API of notary-server.
package struct TrustServer: Sendable {
    /// Answers the API; give it to an HTTP server.
    package let responder: any HTTPResponder
    /// What runs beside it: renewal of what expires, and the checks behind the health page.
    package let services: [any Service]

    let renewal: Renewal
    let expiryWatch: ExpiryWatch
    /// What the server depends on, checked in the background.
    package let health: HealthChecks

    /// Opens the store, making its tables where they are missing.
    /// - Parameters:
    ///   - database: where everything is kept.
    ///   - signer: holds the online keys.
    ///   - metrics: what `/metrics` shows; the program's own, for one page with the numbers of all its services.
    ///   - verifier: says what the tokens of clients are worth; without one, everybody may do everything. To be run as a
    ///     service by whoever made it.
    ///   - now: the time that expiries are compared with.
    ///   - sleep: waits for that long; tests give their own.
    /// - Throws: `DatabaseError`.
    package init(
        configuration: TrustServerConfiguration,
        database: any SQLDatabase,
        signer: any Signer,
        logger: Logger,
        metrics: Metrics = Metrics(),
        verifier: TokenVerifier? = nil,
        now: @escaping @Sendable () -> Date = { Date() },
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) async throws {
        let store = TrustStore(database: database)
        try await store.migrate()
        let collections = Collections(store: store, configuration: configuration, now: now)
        let counted = TrustMetrics(metrics)
        let keys = OnlineKeys(signer: signer, algorithm: configuration.keyAlgorithm, store: store, metrics: counted)
        let publisher = Publisher(collections: collections, keys: keys, metrics: counted)
        let refresher = Refresher(collections: collections, metadata: publisher.metadata, logger: logger)
        let health = HealthChecks(logger: logger)
        health.register("DB operational") { try await store.check() }
        health.register("Trust operational") { try await keys.check() }
        let renewal = Renewal(
            collections: collections,
            refresher: refresher,
            metrics: counted,
            logger: logger,
            sleep: sleep
        )
        let expiryWatch = ExpiryWatch(
            collections: collections,
            adoption: Adoption(refresher: refresher, logger: logger),
            metrics: counted,
            logger: logger,
            sleep: sleep
        )
        self.renewal = renewal
        self.health = health
        self.expiryWatch = expiryWatch
        self.services = [health, renewal, expiryWatch]
        self.responder = TrustResponder(
            collections: collections,
            keys: keys,
            publisher: publisher,
            refresher: refresher,
            health: health,
            budget: HTTPBodyBudget(bytes: configuration.uploadMemory),
            metrics: RequestMetrics(metrics),
            authorizer: verifier.map { Authorizer($0, metrics: metrics, logger: logger) },
            logger: logger
        )
    }
}
