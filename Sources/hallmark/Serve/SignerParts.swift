// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Foundation
import HTTPService
import Logging
import NIOCore
import ServiceLifecycle
import Settings
import SignerAPI
import TrustSigner

/// The two ends of the signer's gRPC in a process that has one of them.
enum SignerParts {
    /// Opens the signer on its database.
    static func local(
        _ database: any SQLDatabase,
        _ settings: SettingValues
    ) async throws -> LocalSigner {
        try await LocalSigner(database: database, passphrases: Self.passphrases(settings))
    }

    /// Notary's variables when an alias is named, else the file that is made at the first start.
    static func passphrases(_ settings: SettingValues) throws -> any SignerPassphrases {
        let file = Self.passphraseFile(settings)
        guard let alias = settings[SignerSettings.defaultAlias] else { return file }
        return SignerPassphraseSources(
            variables: try EnvironmentSignerPassphrases(
                environment: ProcessInfo.processInfo.environment,
                defaultAlias: alias
            ),
            file: file
        )
    }

    static func passphraseFile(_ settings: SettingValues) -> SignerPassphraseFile {
        SignerPassphraseFile(path: settings[ServeSettings.data].expandingTilde + "/signer/passphrase")
    }

    /// A signer's server, bound: connections wait from here on.
    /// - Returns: the services to run, and the address as clients write it.
    static func serve(
        _ signer: LocalSigner,
        _ settings: SettingValues,
        authority: LocalCertificateAuthority,
        metrics: Metrics,
        logger: Logger
    ) async throws -> (services: [any Service], address: String) {
        var services: [any Service] = []
        let source: TLSIdentity.Source
        if let certificate = settings[SignerSettings.certificate]?.expandingTilde,
            let key = settings[SignerSettings.key]?.expandingTilde
        {
            source = .files(certificate: certificate, key: key)
        } else {
            source = .authority(authority, use: .signer)
            // What a trust server on another machine is to be given.
            services.append(
                try await TLSIdentity.load(
                    .authority(authority, use: .signerClient),
                    for: .grpcClient,
                    logger: logger
                )
            )
        }
        let identity = try await TLSIdentity.load(
            source,
            for: .grpcServer,
            peerAuthorities: settings[SignerSettings.anyClient]
                ? nil : settings[SignerSettings.clientAuthority]?.expandingTilde ?? authority.certificatePath,
            logger: logger
        )
        let address = settings[SignerSettings.address] ?? SignerSettings.defaultAddress
        let server = SignerServer(
            SignerServer.Configuration(address: address.signer, tls: identity.contexts),
            signer: signer,
            metrics: metrics,
            logger: logger
        )
        do {
            let bound = try await server.bind()
            let host = address.isWildcard ? ProcessInfo.processInfo.hostName : address.host
            return (services + [identity, server], ListenAddress(host: host, port: bound.port).description)
        } catch let error as IOError {
            throw CommandError(
                .failure,
                "cannot listen on \(address): \(String(cString: strerror(error.errnoCode))); "
                    + "\(settings.name(SignerSettings.address)) names another, and port 0 takes a free one"
            )
        }
    }

    /// A signer in another process. It need not be there yet.
    static func remote(
        _ settings: SettingValues,
        authority: LocalCertificateAuthority,
        logger: Logger
    ) async throws -> (services: [any Service], signer: RemoteSigner) {
        let identity = try await TLSIdentity.load(
            Self.clientSource(settings, authority),
            for: .grpcClient,
            peerAuthorities: Self.signerAuthority(settings, authority),
            logger: logger
        )
        let remotes = settings[SignerSettings.remote]
        let addresses = remotes.isEmpty ? [SignerSettings.defaultAddress] : remotes
        let signer = try RemoteSigner(
            RemoteSigner.Configuration(addresses: addresses.map(\.signer)),
            logger: logger
        ) { identity.contexts.current }
        return ([identity, signer], signer)
    }

    /// What the trust server shows the signer.
    private static func clientSource(
        _ settings: SettingValues,
        _ authority: LocalCertificateAuthority
    ) -> TLSIdentity.Source {
        guard let certificate = settings[SignerSettings.clientCertificate] else {
            return .authority(authority, use: .signerClient)
        }
        guard certificate != SignerSettings.noCertificate, let key = settings[SignerSettings.clientKey] else {
            return .anonymous
        }
        return .files(certificate: certificate.expandingTilde, key: key.expandingTilde)
    }

    /// Whom the signer's certificate must lead to; nil for those that the system trusts.
    private static func signerAuthority(
        _ settings: SettingValues,
        _ authority: LocalCertificateAuthority
    ) -> String? {
        guard let file = settings[SignerSettings.authority] else { return authority.certificatePath }
        return file == SignerSettings.systemAuthorities ? nil : file.expandingTilde
    }
}

extension ListenAddress {
    /// As the address of a signer; the wildcard stands for this machine.
    var signer: SignerAddress { SignerAddress(host: self.bindHost, port: self.port) }
}

extension SettingValues {
    /// Who else wants the signer in this process reaches it over gRPC.
    var servesSigner: Bool {
        let services = self.services
        return services.contains(.signer) && (!services.contains(.server) || self[SignerSettings.address] != nil)
    }
}
