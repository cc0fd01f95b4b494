// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import SwiftASN1

/// PKCS#8 EncryptedPrivateKeyInfo (RFC 5958) under PBES2 (RFC 8018) with PBKDF2 and AES-CBC.
enum EncryptedPKCS8 {
    /// What Go's notary uses, and all that it reads: HMAC-SHA1, which it does not write down, and AES-256-CBC.
    private static let writtenIterations = 2048
    private static let writtenSaltSize = 8
    /// More than anybody needs; what stands in a file must not keep us busy for hours.
    static let maximumIterations = 10_000_000
    private static let maximumSaltSize = 1024
    private static let blockSize = 16

    private struct Parameters {
        var salt: [UInt8]
        var iterations: Int
        var function: KDF.Insecure.PBKDF2.HashFunction
        var keySize: Int
        var initializationVector: [UInt8]

        func key(_ passphrase: Passphrase) throws -> SymmetricKey {
            try KDF.Insecure.PBKDF2.deriveKey(
                from: passphrase.bytes,
                salt: self.salt,
                using: self.function,
                outputByteCount: self.keySize,
                unsafeUncheckedRounds: self.iterations
            )
        }
    }

    /// Encrypts in the form that Go's notary and docker read. Blocks while it derives the key.
    static func encrypt(_ privateKeyInfo: [UInt8], passphrase: Passphrase) throws -> [UInt8] {
        let parameters = Parameters(
            salt: randomBytes(self.writtenSaltSize),
            iterations: self.writtenIterations,
            function: .insecureSHA1,
            keySize: 32,
            initializationVector: randomBytes(self.blockSize)
        )
        let encrypted = try AES._CBC.encrypt(
            privateKeyInfo,
            using: parameters.key(passphrase),
            iv: AES._CBC.IV(ivBytes: parameters.initializationVector)
        )
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { info in
            try info.appendConstructedNode(identifier: .sequence) { algorithm in
                try algorithm.serialize(AlgorithmIdentifiers.pbes2)
                try algorithm.appendConstructedNode(identifier: .sequence) { schemes in
                    try schemes.appendConstructedNode(identifier: .sequence) { derivation in
                        try derivation.serialize(AlgorithmIdentifiers.pbkdf2)
                        try derivation.appendConstructedNode(identifier: .sequence) { values in
                            try values.serialize(ASN1OctetString(contentBytes: parameters.salt[...]))
                            try values.serialize(parameters.iterations)
                        }
                    }
                    try schemes.appendConstructedNode(identifier: .sequence) { cipher in
                        try cipher.serialize(AlgorithmIdentifiers.aes256CBC)
                        try cipher.serialize(ASN1OctetString(contentBytes: parameters.initializationVector[...]))
                    }
                }
            }
            try info.serialize(ASN1OctetString(contentBytes: Array(encrypted)[...]))
        }
        return serializer.serializedBytes
    }

    /// Decrypts to the PrivateKeyInfo. Blocks while it derives the key.
    ///
    /// A wrong passphrase shows only in the padding, by luck not always: the caller must take content that makes no sense for
    /// the same.
    /// - Throws: ``KeyStoreError`` with code `malformed`, `unsupported` or `wrongPassphrase`.
    static func decrypt(_ der: [UInt8], passphrase: Passphrase) throws -> [UInt8] {
        let (parameters, encrypted) = try self.parse(der)
        do {
            return Array(
                try AES._CBC.decrypt(
                    encrypted,
                    using: parameters.key(passphrase),
                    iv: AES._CBC.IV(ivBytes: parameters.initializationVector)
                )
            )
        } catch {
            throw KeyStoreError(.wrongPassphrase, "the passphrase does not open the key")
        }
    }

    private static func parse(_ der: [UInt8]) throws -> (Parameters, [UInt8]) {
        do {
            return try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                let parameters = try DER.nextSequence(of: &nodes) { algorithm in
                    guard try ASN1ObjectIdentifier(derEncoded: &algorithm) == AlgorithmIdentifiers.pbes2 else {
                        throw KeyStoreError(
                            .unsupported,
                            "the key is not encrypted with PBES2; convert it with openssl pkcs8"
                        )
                    }
                    return try DER.nextSequence(of: &algorithm) { schemes in
                        var parameters = try DER.nextSequence(of: &schemes) { try self.derivation(&$0) }
                        let derivedSize = parameters.keySize
                        try DER.nextSequence(of: &schemes) { cipher in
                            parameters.keySize = try self.cipherKeySize(ASN1ObjectIdentifier(derEncoded: &cipher))
                            parameters.initializationVector = Array(try ASN1OctetString(derEncoded: &cipher).bytes)
                        }
                        guard derivedSize == 0 || derivedSize == parameters.keySize,
                            parameters.initializationVector.count == self.blockSize
                        else {
                            throw KeyStoreError(.malformed, "the sizes of the key's encryption do not fit together")
                        }
                        return parameters
                    }
                }
                let encrypted = Array(try ASN1OctetString(derEncoded: &nodes).bytes)
                guard !encrypted.isEmpty, encrypted.count.isMultiple(of: self.blockSize) else {
                    throw KeyStoreError(.malformed, "the encrypted key is cut off")
                }
                return (parameters, encrypted)
            }
        } catch let error as KeyStoreError {
            throw error
        } catch {
            throw KeyStoreError(.malformed, "not an encrypted PKCS#8 private key")
        }
    }

    /// The key derivation; its key size is 0 when it does not say.
    private static func derivation(_ nodes: inout ASN1NodeCollection.Iterator) throws -> Parameters {
        guard try ASN1ObjectIdentifier(derEncoded: &nodes) == AlgorithmIdentifiers.pbkdf2 else {
            throw KeyStoreError(
                .unsupported,
                "the key's passphrase is not derived with PBKDF2; convert it with openssl pkcs8"
            )
        }
        return try DER.nextSequence(of: &nodes) { values in
            let salt = Array(try ASN1OctetString(derEncoded: &values).bytes)
            let iterations = try Int(derEncoded: &values)
            guard (1...self.maximumIterations).contains(iterations), salt.count <= self.maximumSaltSize else {
                throw KeyStoreError(
                    .unsupported,
                    "the key asks for \(iterations) iterations; at most \(self.maximumIterations) are computed"
                )
            }
            var parameters = Parameters(
                salt: salt,
                iterations: iterations,
                function: .insecureSHA1,
                keySize: 0,
                initializationVector: []
            )
            var next = values.next()
            if let node = next, node.identifier == .integer {
                parameters.keySize = try Int(derEncoded: node)
                next = values.next()
            }
            if let node = next {
                parameters.function = try self.function(of: node)
            }
            return parameters
        }
    }

    private static func function(of node: ASN1Node) throws -> KDF.Insecure.PBKDF2.HashFunction {
        try DER.sequence(node, identifier: .sequence) { nodes in
            let identifier = try ASN1ObjectIdentifier(derEncoded: &nodes)
            // Its parameters are NULL or nothing.
            _ = nodes.next()
            switch identifier {
            case AlgorithmIdentifiers.hmacSHA1: return .insecureSHA1
            case AlgorithmIdentifiers.hmacSHA256: return .sha256
            case AlgorithmIdentifiers.hmacSHA384: return .sha384
            case AlgorithmIdentifiers.hmacSHA512: return .sha512
            default: throw KeyStoreError(.unsupported, "the key's passphrase is derived with the unknown \(identifier)")
            }
        }
    }

    private static func cipherKeySize(_ identifier: ASN1ObjectIdentifier) throws -> Int {
        switch identifier {
        case AlgorithmIdentifiers.aes128CBC: 16
        case AlgorithmIdentifiers.aes192CBC: 24
        case AlgorithmIdentifiers.aes256CBC: 32
        default:
            throw KeyStoreError(
                .unsupported,
                "the key is encrypted with \(identifier), not with AES-CBC; convert it with openssl"
            )
        }
    }
}

/// Bytes from the system's generator.
func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}
