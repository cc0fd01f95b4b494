// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import FoundationEssentials

/// The members of a JSON Web Key that make the key (RFC 7518, section 6; RFC 8037, section 2).
enum JSONWebKey: Sendable, Hashable {
    case elliptic(curve: String, x: String, y: String)
    case rsa(modulus: String, exponent: String)
    case octet(curve: String, x: String)

    init?(_ key: TokenVerificationKey.Backing) {
        func elliptic(_ curve: String, _ point: Data) -> JSONWebKey {
            let half = point.count / 2
            return .elliptic(
                curve: curve,
                x: Base64URL.encode(point.prefix(half)),
                y: Base64URL.encode(point.suffix(half))
            )
        }
        switch key {
        case .p256(let key): self = elliptic("P-256", key.rawRepresentation)
        case .p384(let key): self = elliptic("P-384", key.rawRepresentation)
        case .p521(let key): self = elliptic("P-521", key.rawRepresentation)
        case .ed25519(let key): self = .octet(curve: "Ed25519", x: Base64URL.encode(key.rawRepresentation))
        case .rsa(let key):
            guard let primitives = try? key.getKeyPrimitives() else { return nil }
            self = .rsa(
                modulus: Base64URL.encode(primitives.modulus.drop { $0 == 0 }),
                exponent: Base64URL.encode(primitives.publicExponent.drop { $0 == 0 })
            )
        }
    }

    /// - Throws: ``TokenError`` with code `key`.
    func verificationKey() throws -> TokenVerificationKey {
        do {
            switch self {
            case .elliptic("P-256", let x, let y):
                let point = try Self.point(x, y, size: 32)
                return try TokenVerificationKey(.p256(P256.Signing.PublicKey(x963Representation: point)))
            case .elliptic("P-384", let x, let y):
                let point = try Self.point(x, y, size: 48)
                return try TokenVerificationKey(.p384(P384.Signing.PublicKey(x963Representation: point)))
            case .elliptic("P-521", let x, let y):
                let point = try Self.point(x, y, size: 66)
                return try TokenVerificationKey(.p521(P521.Signing.PublicKey(x963Representation: point)))
            case .octet("Ed25519", let x):
                let key = try Curve25519.Signing.PublicKey(rawRepresentation: try Self.bytes(x))
                return try TokenVerificationKey(.ed25519(key))
            case .rsa(let modulus, let exponent):
                let key = try _RSA.Signing.PublicKey(n: try Self.bytes(modulus), e: try Self.bytes(exponent))
                return try TokenVerificationKey(.rsa(key))
            case .elliptic(let curve, _, _), .octet(let curve, _):
                throw TokenError(.key, "a key on the curve \(curve.prefix(32)), which is not supported")
            }
        } catch let error as TokenError {
            throw error
        } catch {
            throw TokenError(.key, "a JSON Web Key that is no key: \(error)")
        }
    }

    private static func point(_ x: String, _ y: String, size: Int) throws(TokenError) -> [UInt8] {
        let (x, y) = (try self.bytes(x), try self.bytes(y))
        guard x.count == size, y.count == size else { throw TokenError(.key, "a coordinate of the wrong length") }
        return [4] + x + y
    }

    private static func bytes(_ text: String) throws(TokenError) -> [UInt8] {
        guard text.utf8.count <= 2048, let bytes = Base64URL.decode(text), !bytes.isEmpty else {
            throw TokenError(.key, "a member of the key that is not base 64 for URLs, or too long")
        }
        return bytes
    }
}

extension JSONWebKey: Codable {
    private enum CodingKeys: String, CodingKey {
        case kind = "kty"
        case curve = "crv"
        case x
        case y
        case modulus = "n"
        case exponent = "e"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func text(_ key: CodingKeys) throws -> String { try container.decode(String.self, forKey: key) }
        switch try text(.kind) {
        case "EC": self = .elliptic(curve: try text(.curve), x: try text(.x), y: try text(.y))
        case "RSA": self = .rsa(modulus: try text(.modulus), exponent: try text(.exponent))
        case "OKP": self = .octet(curve: try text(.curve), x: try text(.x))
        case let kind: throw TokenError(.key, "a key of the type \(kind.prefix(32)), which is not supported")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .elliptic(let curve, let x, let y):
            try container.encode("EC", forKey: .kind)
            try container.encode(curve, forKey: .curve)
            try container.encode(x, forKey: .x)
            try container.encode(y, forKey: .y)
        case .rsa(let modulus, let exponent):
            try container.encode("RSA", forKey: .kind)
            try container.encode(modulus, forKey: .modulus)
            try container.encode(exponent, forKey: .exponent)
        case .octet(let curve, let x):
            try container.encode("OKP", forKey: .kind)
            try container.encode(curve, forKey: .curve)
            try container.encode(x, forKey: .x)
        }
    }
}
