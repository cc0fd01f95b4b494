// SPDX-License-Identifier: Apache-2.0

/// The trust server's settings.
package enum TrustServerSettings: SettingGroup {
    package static let title = "Trust server"
    package static let settings = [
        Self.address.declaration, Self.plainHTTP.declaration, Self.clientAuthority.declaration,
        Self.keyAlgorithm.declaration, Self.gunPrefixes.declaration, Self.currentMaximumAge.declaration,
        Self.consistentMaximumAge.declaration,
    ]

    package static let address = Setting(
        "server.address",
        .address,
        default: ListenAddress(host: "127.0.0.1", port: 4443),
        help: "Where the trust server listens, with TLS."
    )

    package static let plainHTTP = Setting(
        "server.plain-http",
        .flag,
        default: false,
        help: "Speak plain HTTP on the trust server's address: only behind a proxy with TLS, which Docker insists on."
    )

    package static let clientAuthority = Setting(
        "server.client-ca",
        .file,
        otherwise: "no certificate is asked for",
        help: "The CA that the certificates of the trust server's clients must lead to."
    )

    package static let keyAlgorithm = Setting(
        "server.key-algorithm",
        .choice(["ecdsa", "ed25519", "rsa"]),
        default: "ecdsa",
        help: "The algorithm of the timestamp and snapshot keys that are made from now on: ecdsa, ed25519 or rsa."
    )

    package static let gunPrefixes = Setting(
        "server.gun-prefixes",
        .list(of: .gunPrefix),
        default: [],
        otherwise: "all names",
        help: "Take publications only for collections whose names begin so; may be repeated."
    )

    package static let currentMaximumAge = Setting(
        "server.current-max-age",
        .number(0...31_536_000, of: "seconds"),
        default: 300,
        help: "How long caches may keep what is current."
    )

    package static let consistentMaximumAge = Setting(
        "server.consistent-max-age",
        .number(0...31_536_000, of: "seconds"),
        default: 2_592_000,
        help: "How long caches may keep what is named by its hash."
    )
}

extension SettingType where Value == String {
    /// The beginning of GUNs, by Notary's rules.
    static var gunPrefix: Self {
        .word(
            "prefix",
            expected:
                "the beginning of names that ends with `/`, without `//`, `.` or `..` in it or `/` before it, such as "
                + "example.com/team/",
            placeholder: "prefix",
            text: { $0 },
            parse: { prefix in
                let parts = prefix.split(separator: "/", omittingEmptySubsequences: false)
                let isClean = parts.dropLast().allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
                return parts.count > 1 && parts.last == "" && isClean ? prefix : nil
            }
        )
    }
}
