// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import DurableFiles
import Foundation
import HTTPService
import Logging
import NIOCore
import NotaryAPI
import Registry
import S3Client
import ServiceLifecycle
import Settings
import TUF
import TokenAuthentication
import TrustServer
import TrustSigner
import UnixSignals

/// The services of this process, on the storage that they were given.
struct EmbeddedServer {
    /// Where everything is kept; nil when all of it is elsewhere.
    let directory: String?
    /// Where what is served is reached; nil for what is not in this process.
    let registryURL: String?
    let trustServerURL: String?
    let signerAddress: String?
    /// Where metrics and health are, for who wants them.
    let operationsURL: String?
    /// The certificate that clients must trust; nil with the operator's own.
    let authorityPath: String?
    /// Whether clients need a token.
    let asksForLogin: Bool

    private let logger: Logger
    private let services: [any Service]
    private let registry: Registry?
    private let databases: [any SQLDatabase]
    private let claims: [ServiceClaim]

    /// What ``open(_:logger:)`` has put together so far. What comes later is shut down earlier.
    private struct Parts {
        let settings: SettingValues
        let authority: LocalCertificateAuthority
        let logger: Logger
        /// Says what tokens are worth; nil when nobody needs one.
        let verifier: TokenVerifier?
        /// Makes tokens; nil without users.
        let tokens: TokenServiceParts?
        let operations: Operations
        var services: [any Service] = []
        var databases: [any SQLDatabase] = []
        var claims: [ServiceClaim] = []
        var registry: Registry?
        var registryURL: String?
        var trustServerURL: String?
        var signerAddress: String?

        func verifier(for service: ServiceName) -> TokenVerifier? {
            self.tokens?.verifier(for: service) ?? self.verifier
        }
    }

    /// Opens the storage, and binds all addresses: connections wait from here on.
    /// - Throws: ``CommandError`` for what whoever started it can put right.
    static func open(_ settings: SettingValues, logger: Logger) async throws -> EmbeddedServer {
        let openFiles = OpenFiles.raiseLimit()
        let services = settings.services
        let directory = DataDirectory.path(settings)
        if let directory { try DataDirectory.prepare(directory, for: services) }
        let authority = LocalCertificateAuthority(
            directory: settings[ServeSettings.data].expandingTilde,
            names: Self.names(settings)
        )
        let verifier = try await Authentication.verifier(settings, logger: logger)
        let operations = Operations(settings, logger: logger)
        let tokens = try await TokenServiceParts.open(
            settings,
            authority: authority,
            metrics: operations.metrics,
            logger: logger
        )
        var parts = Parts(
            settings: settings,
            authority: authority,
            logger: logger,
            verifier: verifier,
            tokens: tokens,
            operations: operations
        )
        if let verifier { parts.services.append(verifier) }
        parts.services += tokens?.services ?? []
        let fronts = try await HTTPFronts(settings, authority: authority, openFiles: openFiles, logger: logger)
        let page = try await operations.page(fronts)
        parts.services += (page?.services ?? []) + fronts.services
        let signer = try await Self.openSigner(&parts)
        do {
            if services.contains(.registry) { try await Self.openRegistry(fronts, &parts) }
            if services.contains(.server), let signer { try await Self.openTrustServer(signer, fronts, &parts) }
        } catch {
            // The client of an S3 storage must not go without.
            try? await parts.registry?.close()
            throw error
        }
        tokens?.announce(registry: parts.registryURL, server: parts.trustServerURL)
        return EmbeddedServer(
            directory: directory,
            registryURL: parts.registryURL,
            trustServerURL: parts.trustServerURL,
            signerAddress: parts.signerAddress,
            operationsURL: page?.url,
            authorityPath: fronts.showsLocalAuthority ? authority.certificatePath : nil,
            asksForLogin: parts.verifier(for: .registry) != nil,
            logger: logger,
            services: parts.services,
            registry: parts.registry,
            databases: parts.databases,
            claims: parts.claims
        )
    }

    /// The signer of the trust server in this process, and what others reach; nil when there is nobody who signs here.
    private static func openSigner(_ parts: inout Parts) async throws -> (any Signer)? {
        let settings = parts.settings
        guard settings.services.contains(.signer) else {
            guard settings.services.contains(.server) else { return nil }
            let remote = try await SignerParts.remote(settings, authority: parts.authority, logger: parts.logger)
            parts.services += remote.services
            parts.operations.watch(remote.signer)
            return remote.signer
        }
        let signer = try await SignerParts.local(Self.database(.signer, &parts), settings)
        parts.operations.watch(signer)
        if settings.servesSigner {
            let served = try await SignerParts.serve(
                signer,
                settings,
                authority: parts.authority,
                metrics: parts.operations.metrics,
                logger: parts.logger
            )
            parts.services += served.services
            parts.signerAddress = served.address
        }
        return signer
    }

    private static func openRegistry(_ fronts: HTTPFronts, _ parts: inout Parts) async throws {
        let settings = parts.settings
        let database = try await Self.database(.registry, &parts)
        let directory = settings[ServeSettings.data].expandingTilde
        let storage = try await Self.storage(directory, database, parts)
        let registry: Registry
        do {
            if storage != nil, !(database is PostgreSQLDatabase) {
                parts.claims.append(try ServiceClaim("registry", in: directory))
            }
            registry = try await Self.registry(directory, database, storage, parts)
        } catch {
            try? await storage?.close()
            throw error
        }
        let server = HTTPServer(
            configuration: parts.operations.measured(fronts.registry, as: .registry),
            responder: parts.tokens?.responder(before: registry.responder, isSecure: settings[RegistrySettings.usesTLS])
                ?? registry.responder,
            logger: parts.logger
        )
        parts.registry = registry
        parts.registryURL = try await fronts.bind(
            server,
            RegistrySettings.address,
            isSecure: settings[RegistrySettings.usesTLS]
        )
        parts.services += registry.services + [server]
    }

    private static func openTrustServer(
        _ signer: any Signer,
        _ fronts: HTTPFronts,
        _ parts: inout Parts
    ) async throws {
        let settings = parts.settings
        let database = try await Self.database(.server, &parts)
        var configuration = TrustServerConfiguration(settings)
        if database is PostgreSQLDatabase {
            // Other servers may write to the same database.
            configuration.revalidation = .zero
        } else {
            parts.claims.append(try ServiceClaim("server", in: settings[ServeSettings.data].expandingTilde))
        }
        let trust = try await TrustServer(
            configuration: configuration,
            database: database,
            signer: signer,
            logger: parts.logger,
            metrics: parts.operations.metrics,
            verifier: parts.verifier(for: .server)
        )
        let server = HTTPServer(
            configuration: parts.operations.measured(fronts.trustServer, as: .server),
            responder: parts.tokens?.responder(before: trust.responder, isSecure: fronts.trustServer.tls != nil)
                ?? trust.responder,
            logger: parts.logger
        )
        parts.trustServerURL = try await fronts.bind(
            server,
            TrustServerSettings.address,
            isSecure: !settings[TrustServerSettings.plainHTTP]
        )
        parts.services += trust.services + [server]
    }

    private static func database(_ service: ServiceName, _ parts: inout Parts) async throws -> any SQLDatabase {
        let database = try await ServiceDatabase(service: service, settings: parts.settings).open(logger: parts.logger)
        parts.databases.append(database)
        parts.operations.watch(database, of: service)
        return database
    }

    /// Serves until a signal or a failure; then finishes what it accepted and closes the storage.
    /// - Parameter others: run beside the services, and end with them.
    func run(until signals: UnixSignalsSequence, beside others: [any Service] = []) async throws {
        let ending = ServiceGroupConfiguration.ServiceConfiguration(
            service: SignalService(signals: signals),
            successTerminationBehavior: .gracefullyShutdownGroup
        )
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: (others + self.services).map { .init(service: $0) } + [ending],
                logger: self.logger
            )
        )
        do {
            try await group.run()
        } catch {
            try? await self.close()
            throw error
        }
        try await self.close()
    }

    private func close() async throws {
        try await self.registry?.close()
        for database in self.databases { try await database.close() }
    }

    private static func names(_ settings: SettingValues) -> [String] {
        let addresses = [
            settings[RegistrySettings.address], settings[TrustServerSettings.address], settings[SignerSettings.address],
        ]
        return settings[ServeSettings.hostNames] + addresses.compactMap(\.self).filter { !$0.isWildcard }.map(\.host)
    }

    /// The storage of the registry's blobs; nil for files.
    private static func storage(
        _ directory: String,
        _ database: any SQLDatabase,
        _ parts: Parts
    ) async throws -> S3BlobStore? {
        do {
            let storage = try S3BlobStore.configured(
                by: parts.settings,
                environment: ProcessInfo.processInfo.environment,
                database: database,
                directory: directory + "/registry",
                logger: parts.logger
            )
            do {
                try await storage?.check()
            } catch let error as S3Error where error.isTemporary {
                parts.logger.warning("\(error)")
            } catch {
                try await storage?.close()
                throw error
            }
            return storage
        } catch let error as S3Error {
            throw CommandError(.failure, error.message)
        }
    }

    private static func registry(
        _ directory: String,
        _ database: any SQLDatabase,
        _ storage: S3BlobStore?,
        _ parts: Parts
    ) async throws -> Registry {
        var configuration = try Registry.Configuration(directory: directory + "/registry", parts.settings)
        configuration.events = try EventConfiguration(parts.settings)
        configuration.events?.trustedProxies = TrustedProxies(parts.settings)
        do {
            guard let storage else {
                return try await Registry(
                    configuration: configuration,
                    database: database,
                    logger: parts.logger,
                    verifier: parts.verifier(for: .registry),
                    metrics: parts.operations.metrics
                )
            }
            // Other instances may write to the same database.
            configuration.cacheSize = 0
            configuration.maximumBlobSize = min(configuration.maximumBlobSize, S3PartPlan.maximumSize)
            return try await Registry(
                configuration: configuration,
                blobs: storage,
                foreign: nil,
                database: database,
                logger: parts.logger,
                verifier: parts.verifier(for: .registry),
                metrics: parts.operations.metrics
            )
        } catch let error as StorageIdentityError {
            throw CommandError(.failure, error.description)
        } catch let error as FileSystemError where error.number == EWOULDBLOCK {
            throw DataDirectory.inUse(directory)
        }
    }
}

extension TrustServerConfiguration {
    init(_ settings: SettingValues) {
        self.init()
        self.gunPrefixes = settings[TrustServerSettings.gunPrefixes]
        self.keyAlgorithm = KeyType(settings[TrustServerSettings.keyAlgorithm])
        self.currentMaximumAge = settings[TrustServerSettings.currentMaximumAge]
        self.consistentMaximumAge = settings[TrustServerSettings.consistentMaximumAge]
        self.expiryWarnings = settings[OperationsSettings.expiryWarnings].map { Int64($0) }
        self.renewalRate = settings[OperationsSettings.renewalRate]
    }
}

extension Registry.Configuration {
    /// - Throws: `RetentionError`.
    init(directory: String, _ settings: SettingValues) throws {
        self.init(directory: directory)
        self.collection = try CollectionPolicy(settings)
        self.graceTime = TimeInterval(self.collection.graceTime)
        self.collectionInterval = settings[CollectionSettings.interval].seconds.map { TimeInterval($0) }
        self.scrubInterval = settings[CollectionSettings.scrubInterval].seconds.map { TimeInterval($0) }
        self.scrubRate = Int64(settings[CollectionSettings.scrubRate])
        self.allowsWrites = !settings[RegistrySettings.isReadOnly]
        self.allowsDelete = !settings[RegistrySettings.refusesDeletes]
        self.sparse = SparseManifests(rawValue: settings[RegistrySettings.sparse]) ?? .none
        self.notices = settings[RegistrySettings.notices]
    }
}
