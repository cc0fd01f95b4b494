// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPService
import KeyStore
import Logging
import NIOSSL
import NotaryAPI
import ServiceLifecycle
import SignerAPI
import Testing

@testable import TrustSigner

/// A directory with an authority and a database, signers on loopback ports, and clients of them. Ends with its closure.
struct SignerHouse: Sendable {
    struct Passphrases: SignerPassphrases {
        var defaultAlias = "timestamp_1"
        var values = ["timestamp_1": "a passphrase"]

        func passphrase(forAlias alias: String, keysExist: Bool) throws -> Passphrase {
            guard let value = self.values[alias] else { throw SignerError(.passphrase, "none for \(alias)") }
            return Passphrase(value)
        }
    }

    let directory: String
    let database: SQLiteDatabase
    let local: LocalSigner
    let authority: LocalCertificateAuthority
    let logger: Logger

    static func with(_ body: (SignerHouse) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "hallmark-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let database = try await SQLiteDatabase(path: directory + "/signer.db")
        var configuration = LocalSigner.Configuration()
        configuration.iterations = 1000
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        do {
            let house = SignerHouse(
                directory: directory,
                database: database,
                local: try await LocalSigner(
                    database: database,
                    passphrases: Passphrases(),
                    configuration: configuration
                ),
                authority: LocalCertificateAuthority(directory: directory),
                logger: logger
            )
            try await body(house)
        } catch {
            try await database.close()
            throw error
        }
        try await database.close()
    }

    /// A server that is bound, with mutual TLS unless told otherwise.
    func server(
        port: Int = 0,
        asksForCertificates: Bool = true,
        configure: (inout SignerServer.Configuration) -> Void = { _ in }
    ) async throws -> (server: SignerServer, address: SignerAddress) {
        let identity = try await TLSIdentity.load(
            .authority(self.authority, use: .signer),
            for: .grpcServer,
            peerAuthorities: asksForCertificates ? self.authority.certificatePath : nil,
            logger: self.logger
        )
        var configuration = SignerServer.Configuration(
            address: SignerAddress(host: "127.0.0.1", port: port),
            tls: identity.contexts
        )
        configure(&configuration)
        let server = SignerServer(configuration, signer: self.local, logger: self.logger)
        return (server, try await server.bind())
    }

    /// A client of some addresses.
    func client(
        _ addresses: SignerAddress...,
        source: TLSIdentity.Source? = nil,
        roots: String? = nil,
        configure: (inout RemoteSigner.Configuration) -> Void = { _ in }
    ) async throws -> RemoteSigner {
        let identity = try await TLSIdentity.load(
            source ?? .authority(self.authority, use: .signerClient),
            for: .grpcClient,
            peerAuthorities: roots ?? self.authority.certificatePath,
            logger: self.logger
        )
        var configuration = RemoteSigner.Configuration(addresses: addresses)
        // All tests share a machine: what is slow is not silent.
        configuration.deadline = .seconds(120)
        configure(&configuration)
        return try RemoteSigner(configuration, logger: self.logger) { identity.contexts.current }
    }

    /// Runs a server and a client of it.
    static func withPair(_ body: (SignerHouse, RemoteSigner) async throws -> Void) async throws {
        try await Self.with { house in
            let (server, address) = try await house.server()
            let client = try await house.client(address)
            try await Self.running([server, client]) { try await body(house, client) }
        }
    }

    /// Runs services around a closure, and shuts them down gracefully.
    static func running(_ services: [any Service], _ body: () async throws -> Void) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { .init(service: $0) },
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let result = await Result(catching: body)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }
}

extension Result where Failure == any Error {
    init(catching body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

/// The code of the signer's error that `body` throws; nil when it throws none.
func signerCode(_ body: () async throws -> Void) async -> SignerError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? SignerError)?.code
    }
}
