// SPDX-License-Identifier: Apache-2.0

import Database
import DurableFiles
import Foundation
import HTTPService
import Logging
import NIOCore
import Registry
import ServiceLifecycle
import TrustServer
import TrustSigner
import UnixSignals

/// All services in one process, on embedded storage.
struct EmbeddedServer {
    struct Configuration: Sendable {
        let directory: String
        let registry: ListenAddress
        let trustServer: ListenAddress
        let hostNames: [String]
        let certificate: (chain: String, key: String)?
        let registryUsesTLS: Bool
        let databases: DatabaseOptions
    }

    let directory: String
    let registryURL: String
    let trustServerURL: String
    /// The certificate that clients must trust; nil with the operator's own.
    let authorityPath: String?

    private let logger: Logger
    private let services: [any Service]
    private let registry: Registry
    private let databases: [any SQLDatabase]

    /// Opens the storage, and binds both addresses: connections wait from here on.
    /// - Throws: ``CommandError`` for what whoever started it can put right.
    static func open(_ configuration: Configuration, logger: Logger) async throws -> EmbeddedServer {
        let openFiles = OpenFiles.raiseLimit()
        let directory = configuration.directory
        try DataDirectory.prepare(directory)
        let environment = ProcessInfo.processInfo.environment
        func database(_ service: DatabaseOptions.Service) async throws -> any SQLDatabase {
            try await configuration.databases.open(
                service,
                directory: directory,
                environment: environment,
                logger: logger
            )
        }
        let registryDatabase = try await database(.registry)
        let trustDatabase = try await database(.server)
        let signerDatabase = try await database(.signer)

        let registry = try await Self.openRegistry(directory, registryDatabase, logger)
        let signer = try await LocalSigner(
            database: signerDatabase,
            passphrases: Self.passphrases(directory, environment)
        )
        var trustConfiguration = TrustServerConfiguration()
        // Other servers may write to the same database.
        if trustDatabase is PostgreSQLDatabase { trustConfiguration.revalidation = .zero }
        let trust = try await TrustServer(
            configuration: trustConfiguration,
            database: trustDatabase,
            signer: signer,
            logger: logger
        )

        let authority = LocalCertificateAuthority(directory: directory, names: Self.names(configuration))
        let identity = try await TLSIdentity.load(
            configuration.certificate.map { .files(certificate: $0.chain, key: $0.key) } ?? .authority(authority),
            logger: logger
        )
        func http(_ address: ListenAddress, _ tls: TLSContextSource?) -> HTTPServerConfiguration {
            var http = HTTPServerConfiguration(host: address.host, port: address.port, tls: tls)
            http.maximumConnections = OpenFiles.connections(
                within: openFiles,
                servers: 2,
                atMost: http.maximumConnections
            )
            return http
        }
        let registryHTTP = HTTPServer(
            configuration: http(configuration.registry, configuration.registryUsesTLS ? identity.contexts : nil),
            responder: registry.responder,
            logger: logger
        )
        let trustHTTP = HTTPServer(
            configuration: http(configuration.trustServer, identity.contexts),
            responder: trust.responder,
            logger: logger
        )
        let registryAddress = try await Self.bind(registryHTTP, configuration.registry, "--registry-address")
        let trustAddress = try await Self.bind(trustHTTP, configuration.trustServer, "--server-address")
        if !configuration.registry.isLoopback, !configuration.registryUsesTLS {
            logger.warning("the registry speaks plain HTTP beyond this machine; --registry-tls encrypts it")
        }
        return EmbeddedServer(
            directory: directory,
            registryURL: (configuration.registryUsesTLS ? "https://" : "http://") + registryAddress,
            trustServerURL: "https://" + trustAddress,
            authorityPath: configuration.certificate == nil ? authority.certificatePath : nil,
            logger: logger,
            services: [identity] + registry.services + trust.services + [registryHTTP, trustHTTP],
            registry: registry,
            databases: [registryDatabase, trustDatabase, signerDatabase]
        )
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
        try await self.registry.close()
        for database in self.databases { try await database.close() }
    }

    private static func names(_ configuration: Configuration) -> [String] {
        configuration.hostNames
            + [configuration.registry, configuration.trustServer].filter { !$0.isWildcard }.map(\.host)
    }

    /// Notary's variables when they are there, else the file that is made at the first start.
    private static func passphrases(
        _ directory: String,
        _ environment: [String: String]
    ) throws -> any SignerPassphrases {
        guard environment["NOTARY_SIGNER_DEFAULT_ALIAS"] == nil else {
            return try EnvironmentSignerPassphrases(environment: environment)
        }
        return SignerPassphraseFile(path: directory + "/signer/passphrase")
    }

    private static func openRegistry(
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
            throw CommandError(
                .failure,
                "\(directory) is in use by another hallmark serve: end that one, or name another directory with --data"
            )
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
