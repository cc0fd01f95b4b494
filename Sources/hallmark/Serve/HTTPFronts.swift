// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import HTTPService
import Logging
import NIOCore
import ServiceLifecycle
import Settings

/// How the HTTP servers of this process listen.
struct HTTPFronts {
    let registry: HTTPServerConfiguration
    let trustServer: HTTPServerConfiguration
    /// What keeps their certificates fresh.
    let services: [any Service]
    /// Whether clients must know the local CA.
    let showsLocalAuthority: Bool
    private let settings: SettingValues

    init(
        _ settings: SettingValues,
        authority: LocalCertificateAuthority,
        openFiles: Int?,
        logger: Logger
    ) async throws {
        let services = settings.services
        let registryUsesTLS = services.contains(.registry) && settings[RegistrySettings.usesTLS]
        let serverUsesTLS = services.contains(.server) && !settings[TrustServerSettings.plainHTTP]
        let certificate = settings[ServeSettings.certificate]
        let source: TLSIdentity.Source
        if let certificate, let key = settings[ServeSettings.key] {
            source = .files(certificate: certificate.expandingTilde, key: key.expandingTilde)
        } else {
            source = .authority(authority)
        }
        var identities: [TLSIdentity] = []
        func identity(asking clientAuthority: String? = nil) async throws -> TLSContextSource {
            let identity = try await TLSIdentity.load(
                source,
                peerAuthorities: clientAuthority?.expandingTilde,
                logger: logger
            )
            identities.append(identity)
            return identity.contexts
        }
        let clientAuthority = settings[TrustServerSettings.clientAuthority]
        let open = registryUsesTLS || serverUsesTLS && clientAuthority == nil ? try await identity() : nil
        let mutual = serverUsesTLS && clientAuthority != nil ? try await identity(asking: clientAuthority) : nil
        self.registry = Self.configuration(
            settings[RegistrySettings.address],
            registryUsesTLS ? open : nil,
            openFiles: openFiles
        )
        self.trustServer = Self.configuration(
            settings[TrustServerSettings.address],
            serverUsesTLS ? mutual ?? open : nil,
            openFiles: openFiles
        )
        self.services = identities
        self.showsLocalAuthority = certificate == nil && (registryUsesTLS || serverUsesTLS)
        self.settings = settings
    }

    private static func configuration(
        _ address: ListenAddress,
        _ contexts: TLSContextSource?,
        openFiles: Int?
    ) -> HTTPServerConfiguration {
        var http = HTTPServerConfiguration(host: address.bindHost, port: address.port, tls: contexts)
        http.maximumConnections = OpenFiles.connections(
            within: openFiles,
            servers: 2,
            atMost: http.maximumConnections
        )
        return http
    }

    /// Takes the address.
    /// - Returns: its URL as clients write it.
    /// - Throws: ``CommandError`` that names the setting.
    func bind(_ server: HTTPServer, _ setting: Setting<ListenAddress>, isSecure: Bool) async throws -> String {
        try await self.bind(server, self.settings[setting], named: self.settings.name(setting), isSecure: isSecure)
    }

    /// - Parameter name: how the address was given.
    func bind(
        _ server: HTTPServer,
        _ address: ListenAddress,
        named name: String,
        isSecure: Bool = false
    ) async throws -> String {
        do {
            let bound = try await server.bind()
            let host = address.isWildcard ? ProcessInfo.processInfo.hostName : address.host
            return (isSecure ? "https://" : "http://")
                + ListenAddress(host: host, port: bound.port ?? address.port).description
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw CommandError(
                .failure,
                "cannot listen on \(address): \(reason); \(name) names another, and port 0 takes a free one"
            )
        }
    }
}
