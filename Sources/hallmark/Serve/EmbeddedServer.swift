// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import Foundation
import HTTPService
import Logging
import NIOCore
import NotaryAPI
import Registry
import ServiceLifecycle
import TrustServer
import TrustSigner
import UnixSignals

/// The services of this process, on the storage that they were given.
struct EmbeddedServer {
    struct Configuration: Sendable {
        let services: Set<DatabaseOptions.Service>
        let directory: String
        let registry: ListenAddress
        let trustServer: ListenAddress
        let hostNames: [String]
        let certificate: (chain: String, key: String)?
        let registryUsesTLS: Bool
        let signer: SignerOptions
        let databases: DatabaseOptions

        /// Who else wants the signer in this process reaches it over gRPC.
        var servesSigner: Bool {
            self.services.contains(.signer) && (!self.services.contains(.server) || self.signer.signerAddress != nil)
        }
    }

    let directory: String
    /// Where what is served is reached; nil for what is not in this process.
    let registryURL: String?
    let trustServerURL: String?
    let signerAddress: String?
    /// The certificate that clients must trust; nil with the operator's own.
    let authorityPath: String?

    private let logger: Logger
    private let services: [any Service]
    private let registry: Registry?
    private let databases: [any SQLDatabase]
    private let claims: [ServiceClaim]

    /// What ``open(_:logger:)`` has put together so far. What comes later is shut down earlier.
    private struct Parts {
        var services: [any Service] = []
        var databases: [any SQLDatabase] = []
        var claims: [ServiceClaim] = []
        var registry: Registry?
        var registryURL: String?
        var trustServerURL: String?
        var signerAddress: String?
    }

    /// Opens the storage, and binds all addresses: connections wait from here on.
    /// - Throws: ``CommandError`` for what whoever started it can put right.
    static func open(_ configuration: Configuration, logger: Logger) async throws -> EmbeddedServer {
        let openFiles = OpenFiles.raiseLimit()
        let directory = configuration.directory
        try DataDirectory.prepare(directory, for: configuration.services)
        var parts = Parts()
        let authority = LocalCertificateAuthority(directory: directory, names: Self.names(configuration))
        var http: @Sendable (ListenAddress, Bool) -> HTTPServerConfiguration = { address, _ in
            HTTPServerConfiguration(host: address.host, port: address.port, tls: nil)
        }
        if configuration.services != [.signer] {
            let identity = try await TLSIdentity.load(
                configuration.certificate.map { .files(certificate: $0.chain, key: $0.key) } ?? .authority(authority),
                logger: logger
            )
            parts.services.append(identity)
            http = { address, isSecure in
                var http = HTTPServerConfiguration(
                    host: address.host,
                    port: address.port,
                    tls: isSecure ? identity.contexts : nil
                )
                http.maximumConnections = OpenFiles.connections(
                    within: openFiles,
                    servers: 2,
                    atMost: http.maximumConnections
                )
                return http
            }
        }
        let signer = try await Self.openSigner(configuration, authority, logger, &parts)
        if configuration.services.contains(.registry) {
            try await Self.openRegistry(configuration, http, logger, &parts)
        }
        if configuration.services.contains(.server), let signer {
            try await Self.openTrustServer(configuration, signer, http, logger, &parts)
        }
        return EmbeddedServer(
            directory: directory,
            registryURL: parts.registryURL,
            trustServerURL: parts.trustServerURL,
            signerAddress: parts.signerAddress,
            authorityPath: configuration.certificate == nil && configuration.services != [.signer]
                ? authority.certificatePath : nil,
            logger: logger,
            services: parts.services,
            registry: parts.registry,
            databases: parts.databases,
            claims: parts.claims
        )
    }

    /// The signer of the trust server in this process, and what others reach; nil when there is nobody who signs here.
    private static func openSigner(
        _ configuration: Configuration,
        _ authority: LocalCertificateAuthority,
        _ logger: Logger,
        _ parts: inout Parts
    ) async throws -> (any Signer)? {
        guard configuration.services.contains(.signer) else {
            guard configuration.services.contains(.server) else { return nil }
            let remote = try await SignerParts.remote(configuration.signer, authority: authority, logger: logger)
            parts.services += remote.services
            return remote.signer
        }
        let signer = try await SignerParts.local(
            Self.database(.signer, configuration, logger, &parts),
            directory: configuration.directory,
            environment: ProcessInfo.processInfo.environment
        )
        if configuration.servesSigner {
            let served = try await SignerParts.serve(signer, configuration.signer, authority: authority, logger: logger)
            parts.services += served.services
            parts.signerAddress = served.address
        }
        return signer
    }

    private static func openRegistry(
        _ configuration: Configuration,
        _ http: (ListenAddress, Bool) -> HTTPServerConfiguration,
        _ logger: Logger,
        _ parts: inout Parts
    ) async throws {
        let database = try await Self.database(.registry, configuration, logger, &parts)
        let registry = try await Self.registry(configuration.directory, database, logger)
        let server = HTTPServer(
            configuration: http(configuration.registry, configuration.registryUsesTLS),
            responder: registry.responder,
            logger: logger
        )
        let address = try await Self.bind(server, configuration.registry, "--registry-address")
        if !configuration.registry.isLoopback, !configuration.registryUsesTLS {
            logger.warning("the registry speaks plain HTTP beyond this machine; --registry-tls encrypts it")
        }
        parts.registry = registry
        parts.registryURL = (configuration.registryUsesTLS ? "https://" : "http://") + address
        parts.services += registry.services + [server]
    }

    private static func openTrustServer(
        _ configuration: Configuration,
        _ signer: any Signer,
        _ http: (ListenAddress, Bool) -> HTTPServerConfiguration,
        _ logger: Logger,
        _ parts: inout Parts
    ) async throws {
        let database = try await Self.database(.server, configuration, logger, &parts)
        var trustConfiguration = TrustServerConfiguration()
        if database is PostgreSQLDatabase {
            // Other servers may write to the same database.
            trustConfiguration.revalidation = .zero
        } else {
            parts.claims.append(try ServiceClaim("server", in: configuration.directory))
        }
        let trust = try await TrustServer(
            configuration: trustConfiguration,
            database: database,
            signer: signer,
            logger: logger
        )
        let server = HTTPServer(
            configuration: http(configuration.trustServer, true),
            responder: trust.responder,
            logger: logger
        )
        parts.trustServerURL = "https://" + (try await Self.bind(server, configuration.trustServer, "--server-address"))
        parts.services += trust.services + [server]
    }

    private static func database(
        _ service: DatabaseOptions.Service,
        _ configuration: Configuration,
        _ logger: Logger,
        _ parts: inout Parts
    ) async throws -> any SQLDatabase {
        let database = try await configuration.databases.open(
            service,
            directory: configuration.directory,
            environment: ProcessInfo.processInfo.environment,
            logger: logger
        )
        parts.databases.append(database)
        return database
    }

    /// Serves until a signal or a failure; then finishes what it accepted and closes the storage.
    func run(until signals: UnixSignalsSequence) async throws {
        let ending = ServiceGroupConfiguration.ServiceConfiguration(
            service: SignalService(signals: signals),
            successTerminationBehavior: .gracefullyShutdownGroup
        )
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: self.services.map { .init(service: $0) } + [ending],
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

    private static func names(_ configuration: Configuration) -> [String] {
        configuration.hostNames
            + [configuration.registry, configuration.trustServer, configuration.signer.signerAddress].compactMap(\.self)
            .filter { !$0.isWildcard }.map(\.host)
    }

    private static func registry(
        _ directory: String,
        _ database: any SQLDatabase,
        _ logger: Logger
    ) async throws -> Registry {
        do {
            return try await Registry(
                configuration: Registry.Configuration(directory: directory + "/registry"),
                database: database,
                logger: logger
            )
        } catch let error as FileSystemError where error.number == EWOULDBLOCK {
            throw DataDirectory.inUse(directory)
        }
    }

    /// - Returns: the address as clients write it.
    private static func bind(_ server: HTTPServer, _ address: ListenAddress, _ option: String) async throws -> String {
        do {
            let bound = try await server.bind()
            let host = address.isWildcard ? ProcessInfo.processInfo.hostName : address.host
            return ListenAddress(host: host, port: bound.port ?? address.port).description
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw CommandError(
                .failure,
                "cannot listen on \(address): \(reason); \(option) names another, and port 0 takes a free one"
            )
        }
    }
}
