// SPDX-License-Identifier: Apache-2.0

/// The settings of a signer in a process of its own, and of the trust server that uses it.
package enum SignerSettings: SettingGroup {
    package static let title = "Signer in a process of its own"
    package static let settings = [
        Self.address.declaration, Self.certificate.declaration, Self.key.declaration, Self.clientAuthority.declaration,
        Self.anyClient.declaration, Self.defaultAlias.declaration, Self.remote.declaration, Self.authority.declaration,
        Self.clientCertificate.declaration, Self.clientKey.declaration,
    ]

    /// In place of a CA's file: whom the system trusts.
    package static let systemAuthorities = "system"
    /// In place of a certificate's file: none is shown.
    package static let noCertificate = "none"
    /// Where a signer is when nothing else is said.
    package static let defaultAddress = ListenAddress(host: "127.0.0.1", port: 7899)

    package static let address = Setting(
        "signer.address",
        .address,
        otherwise: "127.0.0.1:7899 with --only signer",
        help: "Where the signer listens, with mutual TLS. Default with --only signer: 127.0.0.1:7899."
    )

    package static let certificate = Setting(
        "signer.certificate",
        .file,
        otherwise: "one of the local CA",
        help: "The signer's own certificate chain, PEM, instead of the local CA's."
    )

    package static let key = Setting(
        "signer.key",
        .file,
        otherwise: "that of the local CA's certificate",
        help: "The key of --signer-certificate, PEM."
    )

    package static let clientAuthority = Setting(
        "signer.client-ca",
        .file,
        otherwise: "the local CA",
        help: "The CA that the certificates of the signer's clients must lead to. Default: the local CA."
    )

    package static let anyClient = Setting(
        "signer.any-client",
        .flag,
        default: false,
        help: "Let clients without a certificate use the signer: only where nobody else can reach it."
    )

    package static let defaultAlias = Setting(
        "signer.default-alias",
        .text("alias"),
        otherwise: "a passphrase in a file under `data`",
        variables: ["HALLMARK_SIGNER_DEFAULT_ALIAS", "NOTARY_SIGNER_DEFAULT_ALIAS"],
        help: "Store new keys under the passphrase in NOTARY_SIGNER_<ALIAS>, instead of one in a file."
    )

    package static let remote = Setting(
        "signer.remote",
        .list(of: .peer),
        default: [],
        otherwise: "127.0.0.1:7899 with --only server",
        option: "signer",
        variables: ["HALLMARK_SIGNER"],
        isMain: true,
        help:
            "The signer that the trust server uses, ours or notary-signer; several that share their keys may be given. "
            + "Default with --only server: 127.0.0.1:7899."
    )

    package static let authority = Setting(
        "signer.ca",
        .file(or: Self.systemAuthorities),
        otherwise: "the local CA",
        help: "The CA that the signer's certificate must lead to, or `system` for those of the system. "
            + "Default: the local CA."
    )

    package static let clientCertificate = Setting(
        "signer.client-certificate",
        .file(or: Self.noCertificate),
        otherwise: "one of the local CA",
        help: "The trust server's certificate for the signer, PEM, or `none`. Default: the local CA's."
    )

    package static let clientKey = Setting(
        "signer.client-key",
        .file,
        otherwise: "that of the local CA's certificate",
        help: "The key of --signer-client-certificate, PEM."
    )
}
