// SPDX-License-Identifier: Apache-2.0

import Foundation
package import Logging
import NIOPosix
import NIOSSL
import ServiceLifecycle
import Synchronization

/// The key and certificate that a server shows, kept fresh while it runs.
///
/// As a service it looks after them from time to time, and hands what is new to ``contexts``: connections from then on
/// use it, those that are open stay.
package final class TLSIdentity: Service, Sendable {
    /// Where key and certificate come from.
    package enum Source: Sendable {
        /// PEM files of the operator's: the server's certificate first, then those between it and its root.
        case files(certificate: String, key: String)
        /// An authority of our own.
        case authority(LocalCertificateAuthority)
    }

    private struct Material: Equatable {
        let keyPEM: String
        let chainPEM: String
        let clientAuthoritiesPEM: String?
    }

    /// Where servers take their contexts from.
    package let contexts: TLSContextSource
    private let source: Source
    private let clientAuthorities: String?
    private let interval: Duration
    private let sleep: @Sendable (Duration) async throws -> Void
    private let logger: Logger
    private let current: Mutex<Material>

    /// Loads, and with an authority makes, what is needed.
    /// - Parameters:
    ///   - source: Where key and certificate come from.
    ///   - clientAuthorities: A PEM file of the roots that clients' certificates must lead to; nil to ask for none.
    ///   - interval: The pause between two looks at the files.
    ///   - logger: Takes what happens to the certificate.
    ///   - sleep: Waits for that long; tests give their own.
    /// - Throws: ``TLSIdentityError`` that names the file and what is wrong with it.
    package static func load(
        _ source: Source,
        clientAuthorities: String? = nil,
        interval: Duration = .seconds(60),
        logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) async throws -> TLSIdentity {
        let (material, context) = try await NIOThreadPool.singleton.runIfActive {
            let material = try Self.read(source, clientAuthorities: clientAuthorities)
            return (material, try Self.context(of: material))
        }
        return TLSIdentity(source, clientAuthorities, interval, logger, sleep, material, context)
    }

    private init(
        _ source: Source,
        _ clientAuthorities: String?,
        _ interval: Duration,
        _ logger: Logger,
        _ sleep: @escaping @Sendable (Duration) async throws -> Void,
        _ material: Material,
        _ context: NIOSSLContext
    ) {
        self.source = source
        self.clientAuthorities = clientAuthorities
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
            let material = try Self.read(self.source, clientAuthorities: self.clientAuthorities)
            return material == known ? nil : (material, try Self.context(of: material))
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

    private static func read(_ source: Source, clientAuthorities: String?) throws -> Material {
        let roots = try clientAuthorities.map(Self.text)
        switch source {
        case .files(let certificate, let key):
            return Material(
                keyPEM: try Self.text(of: key),
                chainPEM: try Self.text(of: certificate),
                clientAuthoritiesPEM: roots
            )
        case .authority(let authority):
            let identity = try authority.identity()
            return Material(keyPEM: identity.keyPEM, chainPEM: identity.chainPEM, clientAuthoritiesPEM: roots)
        }
    }

    private static func text(of path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw TLSIdentityError(.unreadable, "\(path) cannot be read: \(error)")
        }
    }

    private static func context(of material: Material) throws -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes([UInt8](material.chainPEM.utf8))
            let key = try NIOSSLPrivateKey(bytes: [UInt8](material.keyPEM.utf8), format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            if let roots = material.clientAuthoritiesPEM {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes([UInt8](roots.utf8)))
                configuration.certificateVerification = .noHostnameVerification
            }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSIdentityError(
                .unusable,
                "key and certificate cannot be used together: \(error); check that both are PEM and belong together"
            )
        }
    }
}

/// A key or certificate of a server cannot be used. Equal by ``code`` alone.
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
