// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import SwiftASN1

/// PKCS#8 EncryptedPrivateKeyInfo (RFC 5958) under PBES2 (RFC 8018) with PBKDF2 or scrypt (RFC 7914) and AES-CBC.
enum EncryptedPKCS8 {
    /// In Notary's form as many as notary has.
    private static let notarySaltSize = 8
    private static let writtenSaltSize = 16
    /// More than anybody needs; what stands in a file must not keep us busy for hours.
    static let maximumIterations = 10_000_000
    /// The memory that scrypt may take, in bytes.
    private static let maximumMemory = 256 << 20
    private static let maximumParallelism = 16
    private static let maximumSaltSize = 1024
    private static let blockSize = 16

    private enum Derivation {
        case pbkdf2(iterations: Int, KDF.Insecure.PBKDF2.HashFunction)
        case scrypt(rounds: Int, blockSize: Int, parallelism: Int)
    }

    private struct Parameters {
        var salt: [UInt8]
        var derivation: Derivation
        var keySize: Int
        var initializationVector: [UInt8]

        func key(_ passphrase: Passphrase) throws -> SymmetricKey {
            switch self.derivation {
            case .pbkdf2(let iterations, let function):
                try KDF.Insecure.PBKDF2.deriveKey(
                    from: passphrase.bytes,
                    salt: self.salt,
                    using: function,
                    outputByteCount: self.keySize,
                    unsafeUncheckedRounds: iterations
                )
            case .scrypt(let rounds, let blockSize, let parallelism):
                try KDF.Scrypt.deriveKey(
                    from: passphrase.bytes,
                    salt: self.salt,
                    outputByteCount: self.keySize,
                    rounds: rounds,
                    blockSize: blockSize,
                    parallelism: parallelism,
                    maxMemory: 2 * EncryptedPKCS8.maximumMemory
                )
            }
        }
    }

    /// Encrypts a key. Blocks while it derives the key.
    static func encrypt(
        _ privateKeyInfo: [UInt8],
        passphrase: Passphrase,
        as encryption: KeyEncryption
    ) throws -> [UInt8] {
        let derivation: Derivation =
            switch encryption {
            case .notary(let iterations): .pbkdf2(iterations: iterations, .insecureSHA1)
            case .openssl(let iterations): .pbkdf2(iterations: iterations, .sha256)
            case .scrypt:
                .scrypt(
                    rounds: KeyEncryption.scryptCost.rounds,
                    blockSize: KeyEncryption.scryptCost.blockSize,
                    parallelism: KeyEncryption.scryptCost.parallelism
                )
            }
        var saltSize = self.writtenSaltSize
        if case .notary = encryption { saltSize = self.notarySaltSize }
        let parameters = Parameters(
            salt: randomBytes(saltSize),
            derivation: derivation,
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
                    try self.write(parameters, to: &schemes)
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

    private static func write(_ parameters: Parameters, to schemes: inout DER.Serializer) throws {
        try schemes.appendConstructedNode(identifier: .sequence) { derivation in
            switch parameters.derivation {
            case .pbkdf2(let iterations, let function):
                try derivation.serialize(AlgorithmIdentifiers.pbkdf2)
                try derivation.appendConstructedNode(identifier: .sequence) { values in
                    try values.serialize(ASN1OctetString(contentBytes: parameters.salt[...]))
                    try values.serialize(iterations)
                    // Go's readers stumble over the name of the function, even that of the one that they use.
                    guard function != .insecureSHA1 else { return }
                    try values.appendConstructedNode(identifier: .sequence) { name in
                        try name.serialize(AlgorithmIdentifiers.hmacSHA256)
                        try name.serialize(ASN1Null())
                    }
                }
            case .scrypt(let rounds, let blockSize, let parallelism):
                try derivation.serialize(AlgorithmIdentifiers.scrypt)
                try derivation.appendConstructedNode(identifier: .sequence) { values in
                    try values.serialize(ASN1OctetString(contentBytes: parameters.salt[...]))
                    try values.serialize(rounds)
                    try values.serialize(blockSize)
                    try values.serialize(parallelism)
                }
            }
        }
    }

    /// Whether Go's notary and docker can read the encryption of a key.
    static func isNotarys(_ der: [UInt8]) -> Bool {
        guard let (parameters, _) = try? self.parse(der), parameters.keySize == 32 else { return false }
        if case .pbkdf2(_, .insecureSHA1) = parameters.derivation { return true }
        return false
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
        let identifier = try ASN1ObjectIdentifier(derEncoded: &nodes)
        if identifier == AlgorithmIdentifiers.scrypt { return try self.scrypt(&nodes) }
        guard identifier == AlgorithmIdentifiers.pbkdf2 else {
            throw KeyStoreError(
                .unsupported,
                "the key's passphrase is derived neither with PBKDF2 nor with scrypt; convert it with openssl pkcs8"
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
                derivation: .pbkdf2(iterations: iterations, .insecureSHA1),
                keySize: 0,
                initializationVector: []
            )
            var next = values.next()
            if let node = next, node.identifier == .integer {
                parameters.keySize = try Int(derEncoded: node)
                next = values.next()
            }
            if let node = next {
                parameters.derivation = .pbkdf2(iterations: iterations, try self.function(of: node))
            }
            return parameters
        }
    }

    private static func scrypt(_ nodes: inout ASN1NodeCollection.Iterator) throws -> Parameters {
        try DER.nextSequence(of: &nodes) { values in
            let salt = Array(try ASN1OctetString(derEncoded: &values).bytes)
            let rounds = try Int(derEncoded: &values)
            let blockSize = try Int(derEncoded: &values)
            let parallelism = try Int(derEncoded: &values)
            let keySize = try values.next().map { try Int(derEncoded: $0) } ?? 0
            let (block, overflows) = blockSize.multipliedReportingOverflow(by: 128)
            let (memory, overflowsToo) = block.multipliedReportingOverflow(by: rounds)
            guard rounds > 1, rounds & (rounds - 1) == 0, blockSize > 0,
                (1...self.maximumParallelism).contains(parallelism), !overflows, !overflowsToo,
                memory <= self.maximumMemory, salt.count <= self.maximumSaltSize
            else {
                throw KeyStoreError(
                    .unsupported,
                    "the key asks for scrypt with more than \(self.maximumMemory >> 20) MiB, or in a way that makes no sense"
                )
            }
            return Parameters(
                salt: salt,
                derivation: .scrypt(rounds: rounds, blockSize: blockSize, parallelism: parallelism),
                keySize: keySize,
                initializationVector: []
            )
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
