// SPDX-License-Identifier: Apache-2.0

package import HTTPAccess
import TUF

extension Credential {
    /// Reads `NOTARY_AUTH`: base64 of `user:password`.
    /// - Throws: ``TrustClientError`` with code `invalid`, which does not repeat the text.
    package init(notaryAuth text: String) throws {
        let trimmed = text.utf8.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
        guard let bytes = Base64.decode(String(decoding: Array(trimmed), as: UTF8.self)),
            let decoded = String(validating: bytes, as: UTF8.self), let colon = decoded.firstIndex(of: ":")
        else {
            throw TrustClientError(.invalid, "NOTARY_AUTH must be base64 of user:password")
        }
        self = .password(
            username: String(decoded[..<colon]),
            password: String(decoded[decoded.index(after: colon)...])
        )
    }
}
