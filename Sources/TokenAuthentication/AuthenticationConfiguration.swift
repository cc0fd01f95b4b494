// SPDX-License-Identifier: Apache-2.0

/// Who issues the tokens that a registry or a trust server asks for, and how its clients find out. The same as
/// `auth.token` of docker-registry and `auth.options` of notary-server.
package struct AuthenticationConfiguration: Sendable, Hashable {
    /// The URL of the token service that clients are sent to (`realm`). May be empty with ``redirectsToRequestHost``.
    package var realm: String
    /// The name by which tokens must mean this server (`service`).
    package var service: String
    /// The name that the tokens' issuer must give itself (`issuer`).
    package var issuer: String
    /// A PEM file of certificates (`rootcertbundle`): tokens may be signed by their keys, and by keys whose certificates
    /// they carry when these lead to one here.
    package var certificateBundle: String?
    /// A file with a JSON Web Key Set (`jwks`): tokens may be signed by its keys.
    package var keySet: String?
    /// Send clients to ``redirectPath`` on the host that they asked, over HTTPS, instead of ``realm`` (`autoredirect`).
    package var redirectsToRequestHost = false
    /// The path of the token service there (`autoredirectpath`).
    package var redirectPath = "/auth/token"
    /// How far the clocks of the issuer and this server may differ, in seconds.
    package var leeway: Int64 = 60
    /// The memory for tokens that have been verified, in bytes.
    package var cacheSize = 16 << 20
    /// The pause between two looks at the files.
    package var refreshInterval: Duration = .seconds(30)

    package init(
        realm: String,
        service: String,
        issuer: String,
        certificateBundle: String? = nil,
        keySet: String? = nil
    ) {
        self.realm = realm
        self.service = service
        self.issuer = issuer
        self.certificateBundle = certificateBundle
        self.keySet = keySet
    }

    /// - Throws: ``TokenError`` with code `configuration` that names what is missing or wrong.
    func validate() throws(TokenError) {
        guard !self.service.isEmpty, self.service.isQuotable else {
            throw TokenError(.configuration, "the service must have a name without quotes and control characters")
        }
        guard !self.issuer.isEmpty else {
            throw TokenError(.configuration, "the issuer must have a name: that of the tokens' claim \"iss\"")
        }
        if !self.redirectsToRequestHost || !self.realm.isEmpty {
            let isURL = ["https://", "http://"].contains { self.realm.lowercased().hasPrefix($0) }
            guard isURL, self.realm.isQuotable else {
                throw TokenError(
                    .configuration,
                    "the realm must be the URL of the token service, https://…; it is \"\(self.realm.prefix(256))\""
                )
            }
        }
        guard self.redirectPath.hasPrefix("/"), self.redirectPath.isQuotable else {
            throw TokenError(.configuration, "the path to redirect to must begin with a slash")
        }
        guard self.leeway >= 0 else { throw TokenError(.configuration, "the leeway must not be negative") }
    }
}

extension String {
    /// Can stand between quotes in a header field as it is.
    var isQuotable: Bool {
        self.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
    }
}
