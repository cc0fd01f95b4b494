// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignerAPI

/// A signer of its own: where it listens, where the trust server finds it, and what certificates they show each other.
struct SignerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where the signer listens, with mutual TLS. Default with --only signer: 127.0.0.1:7899.",
            valueName: "host:port"
        )
    )
    var signerAddress: ListenAddress?

    @Option(
        help: ArgumentHelp("The signer's own certificate chain, PEM, instead of the local CA's.", valueName: "file")
    )
    var signerCertificate: String?

    @Option(help: ArgumentHelp("The key of --signer-certificate, PEM.", valueName: "file"))
    var signerKey: String?

    @Option(
        help: ArgumentHelp(
            "The CA that the certificates of the signer's clients must lead to. Default: the local CA.",
            valueName: "file"
        )
    )
    var signerClientCa: String?

    @Flag(help: "Let clients without a certificate use the signer: only where nobody else can reach it.")
    var signerAnyClient = false

    @Option(
        name: .customLong("signer"),
        help: ArgumentHelp(
            "The signer that the trust server uses, ours or notary-signer; several that share their keys may be given. "
                + "Default with --only server: 127.0.0.1:7899.",
            valueName: "host:port"
        )
    )
    var signers: [ListenAddress] = []

    @Option(
        help: ArgumentHelp(
            "The CA that the signer's certificate must lead to. Default: the local CA.",
            valueName: "file"
        )
    )
    var signerCa: String?

    @Option(
        help: ArgumentHelp(
            "The trust server's certificate for the signer, PEM. Default: the local CA's.",
            valueName: "file"
        )
    )
    var signerClientCertificate: String?

    @Option(help: ArgumentHelp("The key of --signer-client-certificate, PEM.", valueName: "file"))
    var signerClientKey: String?

    static let defaultAddress = ListenAddress(host: "127.0.0.1", port: 7899)

    func validate() throws {
        guard (self.signerCertificate == nil) == (self.signerKey == nil) else {
            throw ValidationError("--signer-certificate and --signer-key go together")
        }
        guard (self.signerClientCertificate == nil) == (self.signerClientKey == nil) else {
            throw ValidationError("--signer-client-certificate and --signer-client-key go together")
        }
        guard self.signerCertificate == nil || self.signerClientCa != nil || self.signerAnyClient else {
            throw ValidationError(
                "--signer-certificate needs --signer-client-ca, the CA of those who may have things signed"
            )
        }
        guard !self.signerAnyClient || self.signerClientCa == nil else {
            throw ValidationError("--signer-any-client and --signer-client-ca exclude each other")
        }
        guard self.signers.allSatisfy({ $0.port > 0 }) else { throw ValidationError("--signer needs a port") }
    }

    /// Checks what belongs together, given the services of this process.
    func validate(for services: Set<DatabaseOptions.Service>) throws {
        if !services.contains(.signer) {
            guard self.signerAddress == nil, self.signerCertificate == nil, self.signerClientCa == nil,
                !self.signerAnyClient
            else {
                throw ValidationError(
                    "--signer-address, --signer-certificate, --signer-client-ca and --signer-any-client are for a process "
                        + "with the signer: add --only signer"
                )
            }
        }
        if services.contains(.signer) || !services.contains(.server) {
            guard self.signers.isEmpty, self.signerCa == nil, self.signerClientCertificate == nil else {
                throw ValidationError(
                    "--signer, --signer-ca and --signer-client-certificate are for a trust server whose signer is another "
                        + "process: add --only server"
                )
            }
        }
    }

    /// Files that must be readable.
    var files: [String] {
        [
            self.signerCertificate, self.signerKey, self.signerClientCa, self.signerCa, self.signerClientCertificate,
            self.signerClientKey,
        ].compactMap(\.self)
    }
}

extension ListenAddress {
    /// As the address of a signer; the wildcard stands for this machine.
    var signer: SignerAddress { SignerAddress(host: self.host, port: self.port) }
}
