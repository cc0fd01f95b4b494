// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import FoundationEssentials

/// The names under which a token says whose signature it has.
enum TokenKeyID {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// The first 240 bits of the SHA-256 of the SubjectPublicKeyInfo, base 32 (RFC 4648, section 6), with a colon after
    /// each four characters.
    static func libtrust(_ subjectPublicKeyInfo: [UInt8]) -> String {
        let digest = Array(SHA256.hash(data: subjectPublicKeyInfo)).prefix(30)
        var text: [UInt8] = []
        var bits = 0
        var value: UInt32 = 0
        var count = 0
        for byte in digest {
            value = (value << 8 | UInt32(byte)) & 0xFFFF
            bits += 8
            while bits >= 5 {
                if count > 0, count % 4 == 0 { text.append(UInt8(ascii: ":")) }
                bits -= 5
                text.append(self.alphabet[Int(value >> UInt32(bits) & 31)])
                count += 1
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The SHA-256 of the key as a JSON Web Key with its required members only (RFC 7638; RFC 8037, section 2).
    static func thumbprint(_ key: TokenVerificationKey.Backing) throws -> String {
        let members: String
        switch JSONWebKey(key) {
        case .elliptic(let curve, let x, let y): members = #"{"crv":"\#(curve)","kty":"EC","x":"\#(x)","y":"\#(y)"}"#
        case .rsa(let modulus, let exponent): members = #"{"e":"\#(exponent)","kty":"RSA","n":"\#(modulus)"}"#
        case .octet(let curve, let x): members = #"{"crv":"\#(curve)","kty":"OKP","x":"\#(x)"}"#
        case nil: throw TokenError(.key, "a key that has no form as a JSON Web Key")
        }
        return Base64URL.encode(SHA256.hash(data: Data(members.utf8)))
    }
}
