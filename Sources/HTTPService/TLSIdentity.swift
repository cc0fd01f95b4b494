// SPDX-License-Identifier: Apache-2.0

import Foundation
package import Logging
import NIOPosix
import NIOSSL
import ServiceLifecycle
import Synchronization

/// The key and certificate that one end of a connection shows, kept fresh while it runs.
///
/// As a service it looks after them from time to time, and hands what is new to ``contexts``: connections from then on
/// use it, those that are open stay.
package final class TLSIdentity: Service, Sendable {
    /// Where key and certificate come from.
    package enum Source: Sendable {
        /// PEM files of the operator's: the server's certificate first, then those between it and its root.
        case files(certificate: String, key: String)
        /// An authority of our own.
        case authority(LocalCertificateAuthority, use: LocalCertificateAuthority.Use = .server)
        /// None, for a client whose server asks for none.
        case anonymous
    }

    /// What the contexts are for.
    package enum Purpose: Sendable {
        /// A server of HTTP/1.1.
        case httpServer
        /// A server of gRPC.
        case grpcServer
        /// A client of gRPC, which always verifies the server.
        case grpcClient
    }

    private struct Material: Equatable {
        /// Key and certificate chain; empty for an anonymous client.
        let keyPEM: String
        let chainPEM: String
        let peerAuthoritiesPEM: String?
    }

    /// Where connections take their contexts from.
    package let contexts: TLSContextSource
    private let source: Source
    private let purpose: Purpose
    private let peerAuthorities: String?
    private let interval: Duration
    private let sleep: @Sendable (Duration) async throws -> Void
    private let logger: Logger
    private let current: Mutex<Material>

    /// Loads, and with an authority makes, what is needed.
    /// - Parameters:
    ///   - source: Where key and certificate come from.
    ///   - purpose: What the contexts are for.
    ///   - peerAuthorities: A PEM file of the roots that the peers' certificates must lead to. When nil a server asks its
    ///     clients for none, and a client trusts the system's roots.
    ///   - interval: The pause between two looks at the files.
    ///   - logger: Takes what happens to the certificate.
    ///   - sleep: Waits for that long; tests give their own.
    /// - Throws: ``TLSIdentityError`` that names the file and what is wrong with it.
    package static func load(
        _ source: Source,
        for purpose: Purpose = .httpServer,
        peerAuthorities: String? = nil,
        interval: Duration = .seconds(60),
        logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) async throws -> TLSIdentity {
        let (material, context) = try await NIOThreadPool.singleton.runIfActive {
            let material = try Self.read(source, peerAuthorities: peerAuthorities)
            return (material, try Self.context(of: material, for: purpose))
        }
        return TLSIdentity(source, purpose, peerAuthorities, interval, logger, sleep, material, context)
    }

    private init(
        _ source: Source,
        _ purpose: Purpose,
        _ peerAuthorities: String?,
        _ interval: Duration,
        _ logger: Logger,
        _ sleep: @escaping @Sendable (Duration) async throws -> Void,
        _ material: Material,
        _ context: NIOSSLContext
    ) {
        self.source = source
        self.purpose = purpose
        self.peerAuthorities = peerAuthorities
        self.interval = interval
        self.logger = logger
        self.sleep = sleep
        self.current = Mutex(material)
        self.contexts = TLSContextSource(context)
    }

    /// Looks whether key or certificate have changed or must be renewed.
    /// - Returns: true when new connections get a new certificate.
    /// - Throws: ``TLSIdentityError``, `FileSystemError`; what is in use stays in use.
    @discardableResult
    package func refresh() async throws -> Bool {
        let known = self.current.withLock { $0 }
        let renewed = try await NIOThreadPool.singleton.runIfActive { () -> (Material, NIOSSLContext)? in
            let material = try Self.read(self.source, peerAuthorities: self.peerAuthorities)
            return material == known ? nil : (material, try Self.context(of: material, for: self.purpose))
        }
        guard let (material, context) = renewed else { return false }
        self.current.withLock { $0 = material }
        self.contexts.replace(with: context)
        self.logger.notice("TLS certificate replaced")
        return true
    }

    /// Refreshes until the service group shuts down or the task is cancelled. A failure is logged, and tried again.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do { try await self.sleep(self.interval) } catch { break }
                do {
                    try await self.refresh()
                } catch {
                    self.logger.error("TLS certificate cannot be refreshed", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    // MARK: Loading

    private static func read(_ source: Source, peerAuthorities: String?) throws -> Material {
        // An authority's own certificate is made before it is read.
        let authority: LocalCertificateAuthority.Identity? =
            if case .authority(let authority, let use) = source { try authority.identity(for: use) } else { nil }
        let roots = try peerAuthorities.map(Self.text)
        return switch source {
        case .files(let certificate, let key):
            Material(
                keyPEM: try Self.text(of: key),
                chainPEM: try Self.text(of: certificate),
                peerAuthoritiesPEM: roots
            )
        case .authority, .anonymous:
            Material(
                keyPEM: authority?.keyPEM ?? "",
                chainPEM: authority?.chainPEM ?? "",
                peerAuthoritiesPEM: roots
            )
        }
    }

    private static func text(of path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw TLSIdentityError(.unreadable, "\(path) cannot be read: \(error)")
        }
    }

    private static func context(of material: Material, for purpose: Purpose) throws -> NIOSSLContext {
        do {
            var configuration: TLSConfiguration
            switch purpose {
            case .httpServer, .grpcServer:
                configuration = .makeServerConfiguration(
                    certificateChain: try Self.chain(of: material),
                    privateKey: .privateKey(try Self.key(of: material))
                )
            case .grpcClient:
                configuration = .makeClientConfiguration()
                if !material.chainPEM.isEmpty {
                    configuration.certificateChain = try Self.chain(of: material)
                    configuration.privateKey = .privateKey(try Self.key(of: material))
                }
            }
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = purpose == .httpServer ? ["http/1.1"] : ["h2"]
            if let roots = material.peerAuthoritiesPEM {
                let certificates = try NIOSSLCertificate.fromPEMBytes([UInt8](roots.utf8))
                guard !certificates.isEmpty else {
                    throw TLSIdentityError(.unusable, "the file of the peers' authorities has no certificate")
                }
                configuration.trustRoots = .certificates(certificates)
                // The names of clients are nobody's; those of servers are verified.
                if purpose != .grpcClient { configuration.certificateVerification = .noHostnameVerification }
            }
            return try NIOSSLContext(configuration: configuration)
        } catch let error as TLSIdentityError {
            throw error
        } catch {
            throw TLSIdentityError(
                .unusable,
                "key and certificate cannot be used together: \(error); check that both are PEM and belong together"
            )
        }
    }

    private static func chain(of material: Material) throws -> [NIOSSLCertificateSource] {
        try NIOSSLCertificate.fromPEMBytes([UInt8](material.chainPEM.utf8)).map { .certificate($0) }
    }

    private static func key(of material: Material) throws -> NIOSSLPrivateKey {
        try NIOSSLPrivateKey(bytes: [UInt8](material.keyPEM.utf8), format: .pem)
    }
}

/// A key or certificate cannot be used. Equal by ``code`` alone.
package struct TLSIdentityError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// A file is not there, or is not what it should be.
        case unreadable
        /// Files do not belong together.
        case inconsistent
        /// The authority's time is over.
        case expired
        /// TLS refuses the pair.
        case unusable
    }

    package let code: Code
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package static func == (left: TLSIdentityError, right: TLSIdentityError) -> Bool {
        left.code == right.code
    }

    package var description: String { self.message }
}
