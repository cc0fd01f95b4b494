// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import TokenAuthentication

/// What clients keep instead of a password, and get tokens for: Docker's identity tokens.
///
/// A token names its user and its times. Its MAC covers the stored hash of the user's password too, so it ends when the password
/// is changed or the user removed, without a list of what was given out.
struct RefreshTokens: Sendable {
    private static let prefix = "hallmark1"
    private static let maximumLength = 2_048

    private let key: SymmetricKey
    /// How long one is good for, in seconds.
    private let lifetime: Int64

    init(key: SymmetricKey, lifetime: Int64) {
        self.key = key
        self.lifetime = lifetime
    }

    /// A token for a user who has just shown the password, or a token.
    /// - Parameter now: in seconds since 1970.
    func token(for user: String, hash: BcryptHash, now: Int64) -> String {
        let (end, isBeyond) = now.addingReportingOverflow(self.lifetime)
        let claims = "\(now).\(isBeyond ? Int64.max : end).\(user)"
        let mac = self.mac(claims, hash)
        return "\(Self.prefix).\(Base64URL.encode(claims.utf8)).\(Base64URL.encode(mac))"
    }

    /// Whose token it is.
    /// - Parameter hash: what is stored for a user.
    /// - Returns: nil for a token that is not ours, has expired, or is of a user whose password is another by now.
    func user(of token: String, now: Int64, hash: (String) -> BcryptHash?) -> String? {
        guard token.utf8.count <= Self.maximumLength else { return nil }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == Self.prefix, let bytes = Base64URL.decode(parts[1]),
            let mac = Base64URL.decode(parts[2]), let claims = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let fields = claims.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, let start = Int64(fields[0]), let end = Int64(fields[1]),
            let stored = hash("\(fields[2])"),
            HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: Self.message(claims, stored), using: self.key),
            start <= now + 60, now < end
        else { return nil }
        return "\(fields[2])"
    }

    private func mac(_ claims: String, _ hash: BcryptHash) -> HMAC<SHA256>.MAC {
        HMAC<SHA256>.authenticationCode(for: Self.message(claims, hash), using: self.key)
    }

    /// A hash has neither zeros nor another length than 60.
    private static func message(_ claims: String, _ hash: BcryptHash) -> [UInt8] {
        Array("\(self.prefix)\0\(hash.text)\0\(claims)".utf8)
    }
}
