// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import SwiftASN1
import Testing
import X509

@testable import TUF

struct KeyTests {
    static let rsa = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    static func keys() throws -> [TestKey] {
        [
            TestKey(), TestKey(.p384(P384.Signing.PrivateKey())), TestKey(.p521(P521.Signing.PrivateKey())),
            TestKey(.rsa(try self.rsa.get(), pss: true)), TestKey(.rsa(try self.rsa.get(), pss: false)),
            TestKey(.ed25519(Curve25519.Signing.PrivateKey())),
        ]
    }

    /// A certificate of the key, with no more in it than is needed.
    static func certificate(
        _ key: Certificate.PrivateKey,
        _ subject: DistinguishedName,
        _ basicConstraints: BasicConstraints? = .notCertificateAuthority,
        from: Date = Fixture.now,
        to: Date = Fixture.now.addingTimeInterval(86400)
    ) throws -> String {
        try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: key.publicKey,
            notValidBefore: from,
            notValidAfter: to,
            issuer: subject,
            subject: subject,
            extensions: try Certificate.Extensions { if let basicConstraints { Critical(basicConstraints) } },
            issuerPrivateKey: key
        ).serializeAsPEM().pemString
    }

    @Test("verifies what each type of key signs, and only that")
    func signatures() throws {
        let message = Array("message".utf8)
        for key in try Self.keys() {
            let signature = try key.signature(of: message)
            #expect(key.publicKey.isValid(signature, for: message))
            #expect(!key.publicKey.isValid(signature, for: Array("massage".utf8)))
            for bytes in [
                [], Array(signature.bytes.dropLast()), signature.bytes + [0], [0] + signature.bytes,
                [UInt8](repeating: 0, count: signature.bytes.count),
            ] {
                #expect(
                    !key.publicKey.isValid(
                        Signature(keyID: signature.keyID, method: signature.method, bytes: bytes),
                        for: message
                    )
                )
            }
            for method in ["ecdsa", "rsapss", "rsapkcs1v15", "eddsa", "pycrypto-pkcs#1 pss", "", "none"]
            where method != signature.method.name {
                let other = Signature(keyID: signature.keyID, method: SignatureMethod(method), bytes: signature.bytes)
                #expect(!key.publicKey.isValid(other, for: message))
            }
            for type in ["ecdsa", "rsa", "ed25519", "ecdsa-x509", "rsa-x509", "", "ECDSA"]
            where type != key.publicKey.type.name {
                #expect(!PublicKey(type: KeyType(type), bytes: key.publicKey.bytes).isValid(signature, for: message))
            }
        }
    }

    @Test("pads r and s to the curve's size, and takes no DER", arguments: [64, 96, 132])
    func ecdsaLengths(_ length: Int) throws {
        let key = try #require(try Self.keys().first { try $0.signature(of: []).bytes.count == length })
        let derived: Data =
            switch key.material {
            case .p256(let key): try key.signature(for: SHA256.hash(data: [])).derRepresentation
            case .p384(let key): try key.signature(for: SHA256.hash(data: [])).derRepresentation
            case .p521(let key): try key.signature(for: SHA256.hash(data: [])).derRepresentation
            default: Data()
            }
        #expect(
            !key.publicKey.isValid(Signature(keyID: key.publicKey.id, method: .ecdsa, bytes: Array(derived)), for: [])
        )
    }

    @Test("PSS with a salt of another length is refused")
    func pssSalt() throws {
        let folder = try TemporaryFolder()
        let pem = try Self.rsa.get().pemRepresentation
        try folder.write("key.pem", Array(pem.utf8))
        try folder.write("message", Array("message".utf8))
        for (salt, isValid) in [("32", true), ("20", false), ("max", false), ("0", false)] {
            _ = try folder.run(
                "openssl",
                [
                    "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:\(salt)", "-sign",
                    "key.pem", "-out", "sig", "message",
                ]
            )
            let key = TestKey(.rsa(try Self.rsa.get(), pss: true)).publicKey
            let signature = Signature(keyID: key.id, method: .rsaPSS, bytes: try folder.read("sig"))
            #expect(key.isValid(signature, for: Array("message".utf8)) == isValid, "salt \(salt)")
        }
    }

    @Test("RSA below 2048 bits verifies nothing, bare or in a certificate")
    func weakRSA() throws {
        let folder = try TemporaryFolder()
        _ = try folder.run(
            "openssl",
            [
                "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "key.pem", "-out", "crt.pem", "-subj",
                "/CN=x",
            ]
        )
        _ = try folder.run("openssl", ["rsa", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "key.der"])
        try folder.write("message", [1])
        _ = try folder.run("openssl", ["dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "message"])
        for key in [
            PublicKey(type: .rsa, bytes: try folder.read("key.der")),
            PublicKey(type: .rsaX509, bytes: try folder.read("crt.pem")),
        ] {
            #expect(
                !key.isValid(Signature(keyID: key.id, method: .rsaPKCS1v15, bytes: try folder.read("sig")), for: [1])
            )
            #expect(throws: TUFError(.invalidKey, "")) { try VerificationKey(key) }
        }
    }

    @Test("the key of a certificate verifies under the certificate's type, and has the bare key's canonical id")
    func certificates() throws {
        let name = try DistinguishedName { CommonName("x") }
        let ecdsa = P384.Signing.PrivateKey()
        let rsa = try Self.rsa.get()
        for (bare, type, other, certificate) in [
            (TestKey(.p384(ecdsa)), KeyType.ecdsaX509, KeyType.rsaX509, Certificate.PrivateKey(ecdsa)),
            (TestKey(.rsa(rsa, pss: true)), .rsaX509, .ecdsaX509, Certificate.PrivateKey(rsa)),
        ] {
            let pem = Array(try Self.certificate(certificate, name).utf8)
            let key = PublicKey(type: type, bytes: pem)
            let signature = try bare.signature(of: [1, 2])
            #expect(key.isValid(signature, for: [1, 2]))
            #expect(!PublicKey(type: other, bytes: pem).isValid(signature, for: [1, 2]))
            #expect(key.id != bare.publicKey.id)
            #expect(try key.canonicalID == bare.publicKey.id)
            #expect(try key.withoutCertificate == bare.publicKey)
            #expect(try bare.publicKey.canonicalID == bare.publicKey.id)
        }
    }

    @Test("bytes that are no key verify nothing and have no canonical id", arguments: KeyType.all)
    func garbage(_ type: KeyType) throws {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for bytes in [
            [], [0x30], Array(pem.utf8), Array("-----BEGIN CERTIFICATE-----".utf8),
            [UInt8](repeating: 0xFF, count: 200_000),
        ] {
            let key = PublicKey(type: type, bytes: bytes)
            for method in ["ecdsa", "rsapss", "rsapkcs1v15", "eddsa"] {
                #expect(
                    !key.isValid(
                        Signature(
                            keyID: key.id,
                            method: SignatureMethod(method),
                            bytes: [UInt8](repeating: 1, count: 64)
                        ),
                        for: []
                    )
                )
            }
            if type.isCertificate { #expect(throws: TUFError(.invalidKey, "")) { try key.canonicalID } }
        }
    }

    @Test("computes the id that notary-signer gave a key")
    func keyID() throws {
        let text = #"{"keytype":"ecdsa","keyval":{"private":null,"public":"\#(A.publicKey)"}}"#
        #expect(Hexadecimal.encode(SHA256.hash(data: Array(text.utf8))) == A.keyID)
        let key = PublicKey(type: .ecdsa, bytes: try #require(Base64.decode(A.publicKey)))
        #expect(key.id == KeyID(A.keyID))
        #expect(try NotaryWire.key(try JSONParser.parse(Array(text.utf8))) == key)
        #expect(CanonicalJSON.encode(NotaryWire.json(key)) == Array(text.utf8))
    }

    @Test("verifies a timestamp that notary-signer signed, and writes it again byte for byte")
    func capturedTimestamp() throws {
        let bytes = Array(A.timestamp.utf8)
        #expect(
            Hexadecimal.encode(SHA256.hash(data: bytes))
                == "4706e4d4cb0d22eb06a444f5c8688999731de40f7bf2d10dca1289c22db41f0b"
        )
        let key = PublicKey(type: .ecdsa, bytes: try #require(Base64.decode(A.publicKey)))
        let metadata = try UnverifiedMetadata(bytes, format: .notary)
        #expect(metadata.isSigned(by: key))
        #expect(!metadata.isSigned(by: TestKey().publicKey))
        let timestamp: Verified<TUF.Timestamp> = try metadata.verified(
            by: RoleKeys(role: .timestamp, keys: [key], threshold: 1)
        )
        #expect(timestamp.payload.snapshot.length == 683)
        #expect(timestamp.signers == [key.id])
        #expect(
            CanonicalJSON.encodeForWire(timestamp.payload.json(format: .notary)) == Array(bytes[metadata.signedRange])
        )
    }
}

extension KeyType {
    static let all: [KeyType] = [.ecdsa, .ecdsaX509, .rsa, .rsaX509, .ed25519, KeyType("unknown")]
}

/// What notary-signer and notary-server 0.7.0 made with a throwaway key.
private enum A {
    static let keyID = "48243cbb3df8ac00d37e5305d821cf5d71759df81c3a64ef8aed40f90d11cccf"
    static let publicKey =
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiCRoA+fVzZZsVM6pcbeMb+LaFup94eabuiXQHA9YmiBtpg7QbLdbefuzoWNWtxn7NEWhNWvl1PjhCY2Pfh7BQA=="
    static let timestamp =
        #"{"signed":{"_type":"Timestamp","expires":"2026-12-05T06:42:26.819038829Z","meta":{"snapshot":{"hashes":{"#
        + #""sha256":"DWdHqREcXe3Hy6l3TqesXDJnuGIvZGMEB8wc8sdV8f0=","#
        + #""sha512":"4S+6BOCvs6WesiJ90Ajk8qJjkjJhMxpgeR+k7KFP3YBK/HHkQCtPxZNiT/Eq88LPLyOhInUIwSP6MagqkhbjvQ=="},"#
        + #""length":683}},"version":1},"signatures":[{"keyid":"\#(A.keyID)","method":"ecdsa","#
        + #""sig":"7cyrdiVf/8aoEUg7/RW3u4z92RPsWF2lePt7QtiuugJcwVzYD5+FJtdUoBQFKZSlju/9YxMmMlnq5FWFvvlh2A=="}]}"#
}

/// A folder of its own, gone with its owner, and programs run in it.
final class TemporaryFolder {
    let url: URL

    init() throws {
        self.url = FileManager.default.temporaryDirectory.appendingPathComponent("hallmark-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: self.url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: self.url) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: self.url.appendingPathComponent(name))
    }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: self.url.appendingPathComponent(name))) }

    /// What it writes to standard output; it must end with success.
    func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.currentDirectoryURL = self.url
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments)")
        return String(decoding: text, as: UTF8.self)
    }
}
