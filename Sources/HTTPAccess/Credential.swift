// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// What proves to a server, or to the token service that it names, who is calling.
package enum Credential: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// A user's name and password.
    case password(username: String, password: String)
    /// A token that stands for a login, to be traded for others (Docker's identity token).
    case identityToken(String)
    /// A token to send to the server as it is.
    case bearerToken(String)

    /// Not the secret.
    package var description: String {
        switch self {
        case .password(let username, _): "<password of \(username)>"
        case .identityToken: "<identity token>"
        case .bearerToken: "<bearer token>"
        }
    }

    /// Nothing to look into.
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// The value of an `Authorization` field for a name and a password (RFC 7617).
    static func basic(_ username: String, _ password: String) -> String {
        "Basic " + Data((username + ":" + password).utf8).base64EncodedString()
    }
}

/// Knows credentials by server.
package protocol CredentialSource: Sendable {
    /// The credential for a server.
    /// - Parameter host: host, with port if there is one; `docker.io` for Docker Hub's registry.
    /// - Returns: nil to go without.
    /// - Throws: ``HTTPAccessError`` with code `credentials` when there should be one but it cannot be had.
    func credential(for host: String) async throws -> Credential?
}

/// The same credential for every server; nil for anonymous access.
package struct FixedCredential: CredentialSource {
    private let credential: Credential?

    package init(_ credential: Credential? = nil) {
        self.credential = credential
    }

    package func credential(for host: String) async throws -> Credential? {
        self.credential
    }
}
