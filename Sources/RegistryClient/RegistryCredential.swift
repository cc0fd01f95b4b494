// SPDX-License-Identifier: Apache-2.0

/// What proves to a registry who is calling.
package enum RegistryCredential: Sendable, Hashable {
    /// A user's name and password.
    case password(username: String, password: String)
    /// A refresh token that an authorization service has given out before.
    case identityToken(String)
    /// A token to send to the registry as it is.
    case bearerToken(String)
}

/// Knows credentials by registry.
package protocol RegistryCredentialSource: Sendable {
    /// The credential for a registry.
    /// - Parameter registry: host, with port if there is one; `docker.io` for Docker Hub.
    /// - Returns: nil to go without.
    /// - Throws: ``RegistryError`` with code `credentials` when there should be one but it cannot be had.
    func credential(for registry: String) async throws -> RegistryCredential?
}

/// The same credential for every registry; nil for anonymous access.
package struct FixedCredential: RegistryCredentialSource {
    private let credential: RegistryCredential?

    package init(_ credential: RegistryCredential? = nil) {
        self.credential = credential
    }

    package func credential(for registry: String) async throws -> RegistryCredential? {
        self.credential
    }
}
