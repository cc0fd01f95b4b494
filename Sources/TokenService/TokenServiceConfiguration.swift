// SPDX-License-Identifier: Apache-2.0

package import HTTPService

/// What a token service is about.
package struct TokenServiceConfiguration: Sendable {
    /// The name of the issuer unless another is given.
    package static let defaultIssuer = "hallmark"
    /// Where the service answers unless told otherwise.
    package static let defaultPath = "/auth/token"

    /// The file of users: `htpasswd`, bcrypt.
    package var usersPath: String
    /// The file of rules; nil lets every user do everything, and others nothing.
    package var rulesPath: String?
    /// Where the keys are kept, made when it is not there.
    package var directory: String
    /// The path of the URL, percent-encoded as it is asked for.
    package var path = Self.defaultPath
    /// Who the tokens are from: `iss`.
    package var issuer = Self.defaultIssuer
    /// The services that are registries, as they call themselves in challenges. A request that names none is for the first.
    package var registryServices: [String]
    /// The services that are trust servers.
    package var trustServices: [String]
    /// How long a token is good for, in seconds.
    package var tokenLifetime: Int64 = 300
    /// How long a refresh token is good for, in seconds.
    package var refreshLifetime: Int64 = 90 * 86_400
    /// How long a right password is remembered. One that is changed in the file counts as soon as the file is read.
    package var verdictLifetime = Duration.seconds(60)
    /// The pause between two looks at the files of users and rules.
    package var interval = Duration.seconds(1)
    /// The pause between two looks at the age of the signing key.
    package var keyInterval = Duration.seconds(600)
    /// Proxies whose word for their clients is taken, by the limits on failed logins.
    package var trustedProxies = TrustedProxies()

    package init(usersPath: String, directory: String, registryServices: [String], trustServices: [String]) {
        self.usersPath = usersPath
        self.directory = directory
        self.registryServices = registryServices
        self.trustServices = trustServices
    }
}
