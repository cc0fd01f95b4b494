// SPDX-License-Identifier: Apache-2.0

import CCrypt
import Crypto

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What is stored of a password: its bcrypt hash, in the form of `htpasswd -B`.
package struct BcryptHash: Sendable, Hashable {
    /// The costs that are accepted. Each more is twice the work; 14 takes a second or more of a processor.
    package static let costs = 4...14
    /// The cost of what is made here.
    package static let defaultCost = 12
    /// bcrypt looks at no more of a password.
    package static let maximumPasswordLength = 72
    /// The longest password that libcrypt takes.
    private static let longestPhrase = 511

    /// As it stands in the file: `$2y$12$` and 53 characters.
    package let text: String
    /// The binary logarithm of the number of rounds.
    package let cost: Int

    /// Reads a hash.
    /// - Throws: ``UsersFileError`` with code `hash` that says what it is instead.
    package init(_ text: some StringProtocol) throws(UsersFileError) {
        let bytes = Array(text.utf8)
        guard Self.prefixes.contains(where: { bytes.starts(with: $0.utf8) }) else { throw Self.refusal(of: bytes) }
        let salted = bytes.dropFirst(7)
        guard bytes.count == 60, bytes[6] == UInt8(ascii: "$"), salted.allSatisfy(Self.isOfAlphabet),
            let cost = Int(String(decoding: bytes[4...5], as: UTF8.self))
        else {
            throw UsersFileError(.hash, "the bcrypt hash is cut off or has other characters than one has")
        }
        guard Self.costs.contains(cost) else {
            throw UsersFileError(
                .hash,
                "the bcrypt hash has cost \(cost), accepted are \(Self.costs.lowerBound) to \(Self.costs.upperBound)"
            )
        }
        self.text = String(text)
        self.cost = cost
    }

    private init(trusted text: String, cost: Int) {
        self.text = text
        self.cost = cost
    }

    private static let prefixes = ["$2y$", "$2b$", "$2a$"]

    private static func isOfAlphabet(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    private static func refusal(of bytes: [UInt8]) -> UsersFileError {
        let kinds = [
            ("$apr1$", "Apache's MD5"), ("$1$", "MD5"), ("{SHA}", "SHA-1"), ("$5$", "SHA-256"), ("$6$", "SHA-512"),
            ("$y$", "yescrypt"), ("$argon2", "argon2"), ("$2x$", "of a faulty bcrypt"),
        ]
        let kind = kinds.first { bytes.starts(with: $0.0.utf8) }?.1
        return UsersFileError(
            .hash,
            "the password is not stored with bcrypt\(kind.map { " but its hash is \($0)" } ?? ""): "
                + "set it again with `hallmark user passwd`, or `htpasswd -B`"
        )
    }

    // MARK: Hashing

    /// Hashes a password with a new salt. Takes a quarter of a second of a processor, more or less, at the default cost.
    /// - Throws: ``UsersFileError`` with code `password`.
    package static func make(_ password: String, cost: Int = Self.defaultCost) throws(UsersFileError) -> BcryptHash {
        guard !password.isEmpty, password.utf8.count <= Self.maximumPasswordLength, !password.utf8.contains(0) else {
            throw UsersFileError(
                .password,
                "a password has 1 to \(Self.maximumPasswordLength) bytes, and none of them is zero"
            )
        }
        guard Self.costs.contains(cost) else { throw UsersFileError(.password, "\(cost) is not a cost of bcrypt") }
        var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        guard crypt_gensalt_rn("$2y$", UInt(cost), nil, 0, &setting, Int32(setting.count)) != nil,
            let text = Self.crypt(password, setting: setting)
        else { throw UsersFileError(.password, "libcrypt cannot make a bcrypt hash") }
        return BcryptHash(trusted: text, cost: cost)
    }

    /// A hash of that cost that no password is known for: what is compared for users that there are not.
    static func unknown(cost: Int) -> BcryptHash {
        BcryptHash(trusted: "$2y$\(cost < 10 ? "0" : "")\(cost)$" + String(repeating: ".", count: 53), cost: cost)
    }

    /// Whether this is the hash of `password`. Computes for as long as the cost says, whatever the answer.
    func matches(_ password: String) -> Bool {
        let isPossible = !password.utf8.contains(0) && password.utf8.count <= Self.longestPhrase
        let computed = Self.crypt(isPossible ? password : "", setting: self.text.utf8CString.map { $0 })
        // Compared under a random key: how far the two agree cannot be seen in how long it takes.
        let key = SymmetricKey(size: .bits256)
        let expected = HMAC<SHA256>.authenticationCode(for: Array(self.text.utf8), using: key)
        return HMAC<SHA256>.isValidAuthenticationCode(
            expected,
            authenticating: Array((computed ?? "").utf8),
            using: key
        )
            && isPossible && computed != nil
    }

    private static func crypt(_ password: String, setting: [CChar]) -> String? {
        var memory: UnsafeMutableRawPointer?
        var size: Int32 = 0
        defer { free(memory) }
        guard let output = crypt_ra(password, setting, &memory, &size) else { return nil }
        return String(cString: output)
    }
}
