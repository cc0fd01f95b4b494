// SPDX-License-Identifier: Apache-2.0

import CPKCS11
import Crypto
import CryptoExtras
import SwiftASN1
import TUF

// MARK: - Finding keys

extension CryptokiSession {
    /// The objects of a class with an identifier.
    func objects(_ objectClass: CK_ULONG, withID identifier: [UInt8]) throws -> [CK_ULONG] {
        try self.objects([
            Attribute(Cryptoki.Attribute.objectClass, objectClass), Attribute(Cryptoki.Attribute.token, true),
            Attribute(Cryptoki.Attribute.id, identifier),
        ])
    }

    /// The private half of a key.
    /// - Throws: ``KeyStoreError`` with code `token` when it is not there, or not the only one of its identifier.
    func privateKey(_ identifier: [UInt8], of id: KeyID, on slot: CryptokiModule.Slot) throws -> CK_ULONG {
        let found = try self.objects(Cryptoki.ObjectClass.privateKey, withID: identifier)
        guard found.count == 1, let key = found.first else {
            throw KeyStoreError(
                .token,
                found.isEmpty
                    ? "\(slot.uri) has only the public half of the key \(id); hallmark key remove --token \(id) clears it"
                    : "\(slot.uri) has \(found.count) private keys with the CKA_ID \(Hexadecimal.encode(identifier)), which is that of "
                        + "the key \(id): give each one of its own with the vendor's tool"
            )
        }
        return key
    }

    /// The public key with an identifier.
    func kind(withID identifier: [UInt8], publicKey: PublicKey) throws -> TokenKey.Kind? {
        for object in try self.objects(Cryptoki.ObjectClass.publicKey, withID: identifier) {
            if let kind = try self.kind(of: object), kind.publicKey == publicKey { return kind }
        }
        return nil
    }

    /// CKA_ID of the private halves that this session may see.
    func privateIdentifiers() throws -> Set<[UInt8]> {
        let wanted = [
            Attribute(Cryptoki.Attribute.objectClass, Cryptoki.ObjectClass.privateKey),
            Attribute(Cryptoki.Attribute.token, true),
        ]
        return Set(try self.objects(wanted).compactMap { try self.value(of: Cryptoki.Attribute.id, in: $0) })
    }

    /// Destroys both halves of a key, and nothing else.
    /// - Throws: ``KeyStoreError`` with code `token` when other keys have the same identifier: nothing tells which half is whose.
    func destroy(_ publicKey: PublicKey, withID identifier: [UInt8], on slot: CryptokiModule.Slot) throws {
        let privateHalves = try self.objects(Cryptoki.ObjectClass.privateKey, withID: identifier)
        let publicHalves = try self.objects(Cryptoki.ObjectClass.publicKey, withID: identifier)
        guard privateHalves.count <= 1,
            try publicHalves.allSatisfy({ try self.kind(of: $0)?.publicKey == publicKey })
        else {
            throw KeyStoreError(
                .token,
                "\(slot.uri) has other keys with the CKA_ID \(Hexadecimal.encode(identifier)) of \(publicKey.id): nothing is removed; "
                    + "remove the right objects with the vendor's tool"
            )
        }
        // The private half first: what is left after a failure is harmless.
        for object in privateHalves + publicHalves { try self.destroy(object) }
    }

    /// Reads a public key; nil for one of a kind that signs nothing here.
    func kind(of object: CK_ULONG) throws -> TokenKey.Kind? {
        switch try self.number(of: Cryptoki.Attribute.keyType, in: object) {
        case Cryptoki.KeyType.rsa:
            guard let modulus = try self.value(of: Cryptoki.Attribute.modulus, in: object),
                let exponent = try self.value(of: Cryptoki.Attribute.publicExponent, in: object),
                let key = try? _RSA.Signing.PublicKey(n: modulus, e: exponent)
            else { return nil }
            return .rsa(key)
        case Cryptoki.KeyType.ec:
            let point = try self.value(of: Cryptoki.Attribute.ecPoint, in: object)
            return point.flatMap { TokenKey.Kind(curvePoint: $0) }
        case Cryptoki.KeyType.ecEdwards:
            return try self.value(of: Cryptoki.Attribute.ecPoint, in: object).flatMap {
                TokenKey.Kind(edwardsPoint: $0)
            }
        default: return nil
        }
    }
}

extension TokenKey.Kind {
    /// Reads CKA_EC_POINT of a key on P-256 or P-384.
    init?(curvePoint value: [UInt8]) {
        for point in Self.readings(ofPoint: value) {
            if let key = try? P256.Signing.PublicKey(x963Representation: point) {
                self = .p256(key)
                return
            }
            if let key = try? P384.Signing.PublicKey(x963Representation: point) {
                self = .p384(key)
                return
            }
        }
        return nil
    }

    /// Reads CKA_EC_POINT of an Ed25519 key.
    init?(edwardsPoint value: [UInt8]) {
        for point in Self.readings(ofPoint: value) {
            if let key = try? Curve25519.Signing.PublicKey(rawRepresentation: point) {
                self = .ed25519(key)
                return
            }
        }
        return nil
    }

    /// In an OCTET STRING as it should be, or bare as some tokens have it. A bare one may look like an OCTET STRING.
    private static func readings(ofPoint value: [UInt8]) -> [[UInt8]] {
        guard let node = try? DER.parse(value), let content = try? ASN1OctetString(derEncoded: node) else {
            return [value]
        }
        return [Array(content.bytes), value]
    }
}

// MARK: - Making keys

extension CryptokiSession {
    /// What the two halves of every key of ours have.
    private static func attributes(
        label: TokenKeyLabel,
        identifier: [UInt8]
    ) -> (public: [Attribute], private: [Attribute]) {
        let both = [
            Attribute(Cryptoki.Attribute.token, true), Attribute(Cryptoki.Attribute.id, identifier),
            Attribute(Cryptoki.Attribute.label, Array(label.text.utf8)),
        ]
        return (
            both + [
                Attribute(Cryptoki.Attribute.isPrivate, false), Attribute(Cryptoki.Attribute.verify, true),
            ],
            both + [
                Attribute(Cryptoki.Attribute.isPrivate, true), Attribute(Cryptoki.Attribute.sensitive, true),
                Attribute(Cryptoki.Attribute.extractable, false), Attribute(Cryptoki.Attribute.sign, true),
            ]
        )
    }

    private static func parameters(_ curve: ASN1ObjectIdentifier) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(curve)
        return serializer.serializedBytes
    }

    /// The two ways in which tokens name Ed25519: as PKCS#11 3.1 does, and as 3.0 did.
    private static func edwardsParameters() throws -> [[UInt8]] {
        var serializer = DER.Serializer()
        try serializer.serialize(ASN1PrintableString("edwards25519"))
        return [try self.parameters(AlgorithmIdentifiers.ed25519), serializer.serializedBytes]
    }

    private static func octetString(_ bytes: [UInt8]) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(ASN1OctetString(contentBytes: bytes[...]))
        return serializer.serializedBytes
    }

    /// Makes a key pair.
    func generate(
        _ algorithm: PrivateKey.Algorithm,
        label: TokenKeyLabel,
        identifier: [UInt8]
    ) throws -> TokenKey.Kind {
        func make(_ mechanism: CK_ULONG, _ own: [Attribute]) throws -> TokenKey.Kind {
            try self.generate(mechanism, own, label: label, identifier: identifier)
        }
        func onCurve(_ curve: ASN1ObjectIdentifier) throws -> TokenKey.Kind {
            try make(
                Cryptoki.Mechanism.ecKeyPair,
                [Attribute(Cryptoki.Attribute.ecParameters, Self.parameters(curve))]
            )
        }
        switch algorithm {
        case .p256: return try onCurve(AlgorithmIdentifiers.p256)
        case .p384: return try onCurve(AlgorithmIdentifiers.p384)
        case .p521: throw KeyStoreError(.unsupported, "a P-521 key on a token: use P-256 or P-384")
        case .rsa(let bits):
            guard (PrivateKey.minimumRSABits...PrivateKey.maximumRSABits).contains(bits), bits.isMultiple(of: 256)
            else {
                throw KeyStoreError(.unsupported, "an RSA key of \(bits) bits")
            }
            return try make(
                Cryptoki.Mechanism.rsaKeyPair,
                [
                    Attribute(Cryptoki.Attribute.modulusBits, CK_ULONG(bits)),
                    Attribute(Cryptoki.Attribute.publicExponent, [1, 0, 1]),
                ]
            )
        case .ed25519:
            var failure: (any Error)?
            for parameters in try Self.edwardsParameters() {
                do {
                    return try make(
                        Cryptoki.Mechanism.edwardsKeyPair,
                        [Attribute(Cryptoki.Attribute.ecParameters, parameters)]
                    )
                } catch let error as CryptokiFailure {
                    failure = failure ?? error
                }
            }
            throw failure ?? KeyStoreError(.unsupported, "Ed25519")
        }
    }

    /// Makes a key pair, and leaves nothing behind when it cannot be used.
    func generate(
        _ mechanism: CK_ULONG,
        _ own: [Attribute],
        label: TokenKeyLabel,
        identifier: [UInt8]
    ) throws -> TokenKey.Kind {
        let common = Self.attributes(label: label, identifier: identifier)
        let pair = try self.generate(mechanism, public: common.public + own, private: common.private)
        do {
            guard let kind = try self.kind(of: pair.publicKey) else {
                throw KeyStoreError(.token, "the token has made a key that cannot be read")
            }
            return kind
        } catch {
            for half in [pair.privateKey, pair.publicKey] { try? self.destroy(half) }
            throw error
        }
    }

    /// Puts a key pair there.
    func store(_ material: PrivateKey.Material, label: TokenKeyLabel, identifier: [UInt8]) throws {
        let common = Self.attributes(label: label, identifier: identifier)
        func put(_ type: CK_ULONG, _ publicOwn: [Attribute], _ privateOwn: [Attribute]) throws {
            func whole(_ objectClass: CK_ULONG, _ attributes: [Attribute]) -> [Attribute] {
                [
                    Attribute(Cryptoki.Attribute.objectClass, objectClass),
                    Attribute(Cryptoki.Attribute.keyType, type),
                ] + attributes
            }
            // The public half last: with it the key shows.
            let object = try self.create(whole(Cryptoki.ObjectClass.privateKey, common.private + privateOwn))
            do {
                _ = try self.create(whole(Cryptoki.ObjectClass.publicKey, common.public + publicOwn))
            } catch {
                try? self.destroy(object)
                throw error
            }
        }
        switch material {
        case .p521: throw KeyStoreError(.unsupported, "a P-521 key on a token: use P-256 or P-384")
        case .p256, .p384:
            guard let curve = material.curve, let scalar = material.scalar, let point = material.x963Point else {
                throw KeyStoreError(.unsupported, "an EC key that has no curve")
            }
            let parameters = Attribute(Cryptoki.Attribute.ecParameters, try Self.parameters(curve))
            try put(
                Cryptoki.KeyType.ec,
                [parameters, Attribute(Cryptoki.Attribute.ecPoint, Self.octetString(point))],
                [parameters, Attribute(Cryptoki.Attribute.value, scalar)]
            )
        case .ed25519(let key):
            let point = try Self.octetString(Array(key.publicKey.rawRepresentation))
            var failure: (any Error)?
            for name in try Self.edwardsParameters() {
                let parameters = Attribute(Cryptoki.Attribute.ecParameters, name)
                do {
                    return try put(
                        Cryptoki.KeyType.ecEdwards,
                        [parameters, Attribute(Cryptoki.Attribute.ecPoint, point)],
                        [parameters, Attribute(Cryptoki.Attribute.value, Array(key.rawRepresentation))]
                    )
                } catch let error as CryptokiFailure {
                    failure = failure ?? error
                }
            }
            throw failure ?? KeyStoreError(.unsupported, "Ed25519")
        case .rsa(let key):
            let numbers = try Self.numbers(ofPKCS1: Array(key.derRepresentation))
            let publicTypes = [Cryptoki.Attribute.modulus, Cryptoki.Attribute.publicExponent]
            let privateTypes = [
                Cryptoki.Attribute.privateExponent, Cryptoki.Attribute.prime1, Cryptoki.Attribute.prime2,
                Cryptoki.Attribute.exponent1, Cryptoki.Attribute.exponent2, Cryptoki.Attribute.coefficient,
            ]
            let all = zip(publicTypes + privateTypes, numbers).map { Attribute($0, $1) }
            try put(Cryptoki.KeyType.rsa, Array(all.prefix(2)), all)
        }
    }

    /// Modulus, exponents, primes and what follows from them, of an RSAPrivateKey.
    private static func numbers(ofPKCS1 der: [UInt8]) throws -> [[UInt8]] {
        try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
            _ = try Int(derEncoded: &nodes)
            return try (0..<8).map { _ in
                Array(try ArraySlice<UInt8>(derEncoded: &nodes).drop { $0 == 0 })
            }
        }
    }
}
