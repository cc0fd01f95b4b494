// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Database
import Foundation
import HTTPService
import Logging
import NIOCore
import ServiceLifecycle
import SignerAPI
import TrustSigner

/// The two ends of the signer's gRPC in a process that has one of them.
enum SignerParts {
    /// Opens the signer on its database.
    static func local(
        _ database: any SQLDatabase,
        directory: String,
        environment: [String: String]
    ) async throws -> LocalSigner {
        try await LocalSigner(database: database, passphrases: Self.passphrases(directory, environment))
    }

    /// Notary's variables when they are there, else the file that is made at the first start.
    static func passphrases(
        _ directory: String,
        _ environment: [String: String]
    ) throws -> any SignerPassphrases {
        let file = Self.passphraseFile(directory)
        guard environment["NOTARY_SIGNER_DEFAULT_ALIAS"] != nil else { return file }
        return SignerPassphraseSources(
            variables: try EnvironmentSignerPassphrases(environment: environment),
            file: file
        )
    }

    static func passphraseFile(_ directory: String) -> SignerPassphraseFile {
        SignerPassphraseFile(path: directory + "/signer/passphrase")
    }

    /// A signer's server, bound: connections wait from here on.
    /// - Returns: the services to run, and the address as clients write it.
    static func serve(
        _ signer: LocalSigner,
        _ options: SignerOptions,
        authority: LocalCertificateAuthority,
        logger: Logger
    ) async throws -> (services: [any Service], address: String) {
        var services: [any Service] = []
        let source: TLSIdentity.Source
        if let certificate = options.signerCertificate?.expandingTilde, let key = options.signerKey?.expandingTilde {
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
            peerAuthorities: options.signerAnyClient
                ? nil : options.signerClientCa?.expandingTilde ?? authority.certificatePath,
            logger: logger
        )
        let address = options.signerAddress ?? SignerOptions.defaultAddress
        let server = SignerServer(
            SignerServer.Configuration(address: address.signer, tls: identity.contexts),
            signer: signer,
            logger: logger
        )
        do {
            let bound = try await server.bind()
            let host = address.isWildcard ? ProcessInfo.processInfo.hostName : address.host
            return (services + [identity, server], ListenAddress(host: host, port: bound.port).description)
        } catch let error as IOError {
            throw CommandError(
                .failure,
                "cannot listen on \(address): \(String(cString: strerror(error.errnoCode))); --signer-address names "
                    + "another, and port 0 takes a free one"
            )
        }
    }

    /// A signer in another process. It need not be there yet.
    static func remote(
        _ options: SignerOptions,
        authority: LocalCertificateAuthority,
        logger: Logger
    ) async throws -> (services: [any Service], signer: RemoteSigner) {
        let source: TLSIdentity.Source
        if let certificate = options.signerClientCertificate?.expandingTilde,
            let key = options.signerClientKey?.expandingTilde
        {
            source = .files(certificate: certificate, key: key)
        } else {
            source = .authority(authority, use: .signerClient)
        }
        let identity = try await TLSIdentity.load(
            source,
            for: .grpcClient,
            peerAuthorities: options.signerCa?.expandingTilde ?? authority.certificatePath,
            logger: logger
        )
        let addresses = options.signers.isEmpty ? [SignerOptions.defaultAddress] : options.signers
        let signer = try RemoteSigner(
            RemoteSigner.Configuration(addresses: addresses.map(\.signer)),
            logger: logger
        ) { identity.contexts.current }
        return ([identity, signer], signer)
    }
}
