// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import SwiftASN1

/// The plain forms of a private key: PKCS#8 PrivateKeyInfo (RFC 5958), SEC1 ECPrivateKey (RFC 5915), PKCS#1, and
/// Notary's 96 bytes for Ed25519.
enum PKCS8 {
    // MARK: - Reading

    /// Reads a PrivateKeyInfo.
    /// - Throws: ``KeyStoreError`` with code `malformed` or `unsupported`.
    static func decode(_ der: [UInt8]) throws -> PrivateKey.Material {
        try self.parsing("a PKCS#8 private key") {
            try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                // Notary writes 1 where there is no public key, which only 0 allows.
                let version = try Int(derEncoded: &nodes)
                guard (0...1).contains(version) else { throw KeyStoreError(.unsupported, "PKCS#8 version \(version)") }
                let (algorithm, curve) = try DER.nextSequence(of: &nodes) { nodes in
                    let algorithm = try ASN1ObjectIdentifier(derEncoded: &nodes)
                    let parameters = nodes.next()
                    let isCurve = parameters?.identifier == .objectIdentifier
                    return (algorithm, isCurve ? try parameters.map { try ASN1ObjectIdentifier(derEncoded: $0) } : nil)
                }
                let content = Array(try ASN1OctetString(derEncoded: &nodes).bytes)
                // Attributes and the public key: not needed.
                while nodes.next() != nil {}
                return try self.decode(content, algorithm: algorithm, curve: curve)
            }
        }
    }

    private static func decode(
        _ content: [UInt8],
        algorithm: ASN1ObjectIdentifier,
        curve: ASN1ObjectIdentifier?
    ) throws -> PrivateKey.Material {
        switch algorithm {
        case AlgorithmIdentifiers.ecPublicKey: try self.decodeSEC1(content, curve: curve)
        case AlgorithmIdentifiers.rsaEncryption: try self.decodePKCS1(content)
        case AlgorithmIdentifiers.notaryEd25519: try self.decodeNotaryEd25519(content)
        case AlgorithmIdentifiers.ed25519:
            try self.ed25519(seed: Array(ASN1OctetString(derEncoded: DER.parse(content)).bytes))
        default: throw KeyStoreError(.unsupported, "a private key of the unknown algorithm \(algorithm)")
        }
    }

    /// Reads an ECPrivateKey, whose curve stands in itself or in the PKCS#8 around it.
    static func decodeSEC1(_ der: [UInt8], curve outerCurve: ASN1ObjectIdentifier? = nil) throws -> PrivateKey.Material
    {
        try self.parsing("an EC private key") {
            try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                guard try Int(derEncoded: &nodes) == 1 else { throw KeyStoreError(.malformed, "not an EC private key") }
                let scalar = Array(try ASN1OctetString(derEncoded: &nodes).bytes)
                let curve = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 0, tagClass: .contextSpecific) {
                    try ASN1ObjectIdentifier(derEncoded: $0)
                }
                let point = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 1, tagClass: .contextSpecific) {
                    Array(try ASN1BitString(derEncoded: $0).bytes)
                }
                guard let chosen = curve ?? outerCurve, outerCurve == nil || outerCurve == chosen else {
                    throw KeyStoreError(.malformed, "an EC private key without a curve, or with two")
                }
                let material = try self.ecdsa(scalar: scalar, curve: chosen)
                guard point == nil || point == material.x963Point else {
                    throw KeyStoreError(.malformed, "an EC private key with the public key of another")
                }
                return material
            }
        }
    }

    private static func ecdsa(scalar: [UInt8], curve: ASN1ObjectIdentifier) throws -> PrivateKey.Material {
        func padded(_ size: Int) throws -> [UInt8] {
            guard scalar.count <= size else { throw KeyStoreError(.malformed, "an EC private key that is too long") }
            return [UInt8](repeating: 0, count: size - scalar.count) + scalar
        }
        switch curve {
        case AlgorithmIdentifiers.p256: return .p256(try P256.Signing.PrivateKey(rawRepresentation: padded(32)))
        case AlgorithmIdentifiers.p384: return .p384(try P384.Signing.PrivateKey(rawRepresentation: padded(48)))
        case AlgorithmIdentifiers.p521: return .p521(try P521.Signing.PrivateKey(rawRepresentation: padded(66)))
        default: throw KeyStoreError(.unsupported, "an EC private key on the unknown curve \(curve)")
        }
    }

    /// Reads an RSAPrivateKey of PKCS#1.
    static func decodePKCS1(_ der: [UInt8]) throws -> PrivateKey.Material {
        try self.parsing("an RSA private key") {
            // The size is in the first number, and a small one deserves an answer of its own.
            let bits = try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                _ = try Int(derEncoded: &nodes)
                let modulus = try ArraySlice<UInt8>(derEncoded: &nodes).drop { $0 == 0 }
                while nodes.next() != nil {}
                return modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
            }
            guard (PrivateKey.minimumRSABits...PrivateKey.maximumRSABits).contains(bits) else {
                throw KeyStoreError(
                    .unsupported,
                    "an RSA key of \(bits) bits; \(PrivateKey.minimumRSABits) to \(PrivateKey.maximumRSABits) are supported"
                )
            }
            return .rsa(try _RSA.Signing.PrivateKey(derRepresentation: der))
        }
    }

    /// Reads Notary's form: public key, seed, public key again.
    static func decodeNotaryEd25519(_ bytes: [UInt8]) throws -> PrivateKey.Material {
        guard bytes.count == 96 else {
            throw KeyStoreError(.malformed, "a Notary Ed25519 private key has 96 bytes, this one \(bytes.count)")
        }
        let material = try self.ed25519(seed: Array(bytes[32..<64]))
        guard case .ed25519(let key) = material, key.publicKey.rawRepresentation.elementsEqual(bytes[..<32]),
            bytes[..<32] == bytes[64...]
        else { throw KeyStoreError(.malformed, "an Ed25519 private key with the public key of another") }
        return material
    }

    private static func ed25519(seed: [UInt8]) throws -> PrivateKey.Material {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw KeyStoreError(.malformed, "an Ed25519 private key has 32 bytes, this one \(seed.count)")
        }
        return .ed25519(key)
    }

    private static func parsing<Result>(_ what: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as KeyStoreError {
            throw error
        } catch {
            throw KeyStoreError(.malformed, "not \(what)")
        }
    }

    // MARK: - Writing

    /// Writes a PrivateKeyInfo byte for byte as Notary does, which is not quite RFC 5958: version 1 for EC keys, no NULL for
    /// RSA, a form of its own for Ed25519.
    static func encodeAsNotary(_ material: PrivateKey.Material) throws -> [UInt8] {
        switch material {
        case .p256, .p384, .p521:
            try self.encode(
                version: 1,
                algorithm: AlgorithmIdentifiers.ecPublicKey,
                curve: material.curve,
                content: self.encodeSEC1(material)
            )
        case .rsa(let key):
            try self.encode(algorithm: AlgorithmIdentifiers.rsaEncryption, content: Array(key.derRepresentation))
        case .ed25519(let key):
            try self.encode(
                algorithm: AlgorithmIdentifiers.notaryEd25519,
                content: self.encodeNotaryEd25519(key)
            )
        }
    }

    /// Writes a PrivateKeyInfo as RFC 5958 and RFC 8410 have it.
    static func encode(_ material: PrivateKey.Material) throws -> [UInt8] {
        switch material {
        case .p256(let key): Array(key.derRepresentation)
        case .p384(let key): Array(key.derRepresentation)
        case .p521(let key): Array(key.derRepresentation)
        case .rsa(let key): Array(key.pkcs8DERRepresentation)
        case .ed25519(let key):
            try self.encode(
                algorithm: AlgorithmIdentifiers.ed25519,
                content: self.octetString(Array(key.rawRepresentation))
            )
        }
    }

    private static func octetString(_ bytes: [UInt8]) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(ASN1OctetString(contentBytes: bytes[...]))
        return serializer.serializedBytes
    }

    /// Notary's 96 bytes.
    static func encodeNotaryEd25519(_ key: Curve25519.Signing.PrivateKey) -> [UInt8] {
        let publicKey = key.publicKey.rawRepresentation
        return Array(publicKey + key.rawRepresentation + publicKey)
    }

    /// An ECPrivateKey with its curve and public key, or nothing for keys of other kinds.
    static func encodeSEC1(_ material: PrivateKey.Material) throws -> [UInt8] {
        guard let curve = material.curve, let scalar = material.scalar, let point = material.x963Point else {
            return []
        }
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { key in
            try key.serialize(1)
            try key.serialize(ASN1OctetString(contentBytes: scalar[...]))
            try key.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { try $0.serialize(curve) }
            try key.serialize(explicitlyTaggedWithTagNumber: 1, tagClass: .contextSpecific) {
                try $0.serialize(ASN1BitString(bytes: point[...]))
            }
        }
        return serializer.serializedBytes
    }

    private static func encode(
        version: Int = 0,
        algorithm: ASN1ObjectIdentifier,
        curve: ASN1ObjectIdentifier? = nil,
        content: [UInt8]
    ) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { info in
            try info.serialize(version)
            try info.appendConstructedNode(identifier: .sequence) { identifier in
                try identifier.serialize(algorithm)
                if let curve { try identifier.serialize(curve) }
            }
            try info.serialize(ASN1OctetString(contentBytes: content[...]))
        }
        return serializer.serializedBytes
    }
}
