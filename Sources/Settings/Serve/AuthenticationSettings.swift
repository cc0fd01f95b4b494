// SPDX-License-Identifier: Apache-2.0

/// Whose tokens the registry and the trust server ask for.
package enum AuthenticationSettings: SettingGroup {
    package static let title = "Authentication"
    package static let settings = [
        Self.realm.declaration, Self.autoredirect.declaration, Self.service.declaration, Self.issuer.declaration,
        Self.certificates.declaration, Self.keySet.declaration,
    ]

    package static let realm = Setting(
        "auth.realm",
        .url,
        otherwise: "nobody is asked for a token",
        help: "The URL of the token service that clients are sent to. With this, nobody gets in without a token."
    )

    package static let autoredirect = Setting(
        "auth.autoredirect",
        .flag,
        default: false,
        help: "Send clients to /auth/token on the host that they asked, with HTTPS, instead of --auth-realm."
    )

    package static let service = Setting(
        "auth.service",
        .text("name"),
        help: "The name that tokens must be made out to (their \"aud\")."
    )

    package static let issuer = Setting(
        "auth.issuer",
        .text("name"),
        help: "The name that the tokens' issuer gives itself (their \"iss\")."
    )

    package static let certificates = Setting(
        "auth.certificates",
        .file,
        help: "The certificates of the token service, or of its CA, PEM. Looked at again while running."
    )

    package static let keySet = Setting(
        "auth.jwks",
        .file,
        help: "The keys of the token service, a JSON Web Key Set. Looked at again while running."
    )
}

extension SettingType where Value == String {
    /// The URL of a service.
    static var url: Self {
        .word(
            "URL",
            expected: "a URL, such as https://auth.example.com/token",
            placeholder: "url",
            text: { $0 },
            parse: { text in
                let scheme = ["https://", "http://"].first { text.lowercased().hasPrefix($0) }
                guard let scheme, text.count > scheme.count else { return nil }
                // It is to stand between quotes in a header field.
                let isQuotable = text.utf8.allSatisfy {
                    $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
                }
                return isQuotable ? text : nil
            }
        )
    }
}
