// SPDX-License-Identifier: Apache-2.0

import TUF

/// Who somebody is to a trust server or the token service that it names.
package enum Credentials: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// A name and a password.
    case basic(username: String, password: String)
    /// A token that stands for a login, to be traded for others (Docker's identity token).
    case identityToken(String)

    /// Reads `NOTARY_AUTH`: base64 of `user:password`.
    /// - Throws: ``TrustClientError`` with code `invalid`, which does not repeat the text.
    package init(notaryAuth text: String) throws {
        let trimmed = text.utf8.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
        guard let bytes = Base64.decode(String(decoding: Array(trimmed), as: UTF8.self)),
            let decoded = String(validating: bytes, as: UTF8.self), let colon = decoded.firstIndex(of: ":")
        else {
            throw TrustClientError(.invalid, "NOTARY_AUTH must be base64 of user:password")
        }
        self = .basic(
            username: String(decoded[..<colon]),
            password: String(decoded[decoded.index(after: colon)...])
        )
    }

    /// Not the secret.
    package var description: String {
        switch self {
        case .basic(let username, _): "<password of \(username)>"
        case .identityToken: "<identity token>"
        }
    }

    /// Nothing to look into.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Says who this is, for the host of a server (with its port where one is given); nil for nobody.
package typealias CredentialsProvider = @Sendable (_ host: String) async throws -> Credentials?
