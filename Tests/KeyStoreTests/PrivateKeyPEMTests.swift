// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import TUF
import Testing

@testable import KeyStore

@Suite("Private key files")
struct PrivateKeyPEMTests {
    private static let algorithms: [PrivateKey.Algorithm] = [.p256, .p384, .p521, .rsa(bits: 2048), .ed25519]

    private static func code(_ body: () throws -> Void) -> KeyStoreError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? KeyStoreError)?.code
        }
    }

    @Test("a file that Notary wrote is read")
    func notaryFile() throws {
        let file = try PrivateKeyPEM(NotaryKeyFile.pem)
        #expect(file.isEncrypted)
        #expect(file.attributes == KeyAttributes(role: .targets, gun: "example.com/wire/one"))
        let key = try file.decode(passphrase: Passphrase(NotaryKeyFile.passphrase))
        #expect(key.publicKey.id == NotaryKeyFile.id)
        let info = try PKCS8.encodeAsNotary(key.material)
        #expect(Hexadecimal.encode(info) == NotaryKeyFile.privateKeyInfo)
        #expect(try file.serialized() == NotaryKeyFile.pem)
    }

    @Test("what is written has Notary's parameters, to the byte")
    func writtenForm() throws {
        let key = try PrivateKeyPEM(NotaryKeyFile.pem).decode(passphrase: Passphrase(NotaryKeyFile.passphrase))
        let file = try PrivateKeyPEM(
            key,
            attributes: KeyAttributes(role: .targets, gun: "example.com/wire/one"),
            passphrase: Passphrase("another pass"),
            encryption: .quick
        )
        let theirs = try #require(try PEMBlock.parse(NotaryKeyFile.pem).first).content
        let ours = try #require(try PEMBlock.parse(file.serialized()).first).content
        #expect(ours.count == theirs.count)
        // All but the salt, the vector and the encrypted key is the same.
        for range in [0..<35, 43..<62, 78..<81] { #expect(ours[range] == theirs[range], "\(range)") }
        for range in [35..<43, 62..<78] { #expect(ours[range] != theirs[range], "\(range)") }
    }

    @Test("every kind of key comes back, encrypted and in clear", arguments: algorithms, ["", "päss wörd"])
    func roundTrip(algorithm: PrivateKey.Algorithm, passphrase: String) async throws {
        let key = try await PrivateKey.generate(algorithm)
        let attributes = KeyAttributes(role: RoleName("jane"))
        let text = try PrivateKeyPEM(
            key,
            attributes: attributes,
            passphrase: Passphrase(passphrase),
            encryption: .quick
        ).serialized()
        let file = try PrivateKeyPEM(text)
        #expect(file.isEncrypted == !passphrase.isEmpty)
        #expect(file.attributes == attributes)
        #expect(try file.decode(passphrase: Passphrase(passphrase)).publicKey == key.publicKey)
    }

    @Test("every kind of key signs what its public key verifies", arguments: algorithms)
    func signing(algorithm: PrivateKey.Algorithm) async throws {
        let key = try await PrivateKey.generate(algorithm)
        let signature = try key.sign(Array("a message".utf8))
        #expect(signature.keyID == key.publicKey.id)
        #expect(key.publicKey.isValid(signature, for: Array("a message".utf8)))
        #expect(!key.publicKey.isValid(signature, for: Array("a massage".utf8)))
        let lengths: [PrivateKey.Algorithm: Int] = [
            .p256: 64, .p384: 96, .p521: 132, .rsa(bits: 2048): 256, .ed25519: 64,
        ]
        #expect(signature.bytes.count == lengths[algorithm])
    }

    @Test("a wrong passphrase is told from a damaged file, however the padding falls")
    func wrongPassphrase() throws {
        let file = try PrivateKeyPEM(NotaryKeyFile.pem)
        // One in 256 wrong keys leaves valid padding.
        for number in 0..<1000 {
            let code = Self.code { _ = try file.decode(passphrase: Passphrase("wrong \(number)")) }
            #expect(code == .wrongPassphrase)
        }
        #expect(Self.code { _ = try file.decode(passphrase: nil) } == .wrongPassphrase)
    }

    @Test("no damaged file traps, and none is taken for a key")
    func damaged() throws {
        let block = try #require(try PEMBlock.parse(NotaryKeyFile.pem).first)
        let passphrase = Passphrase(NotaryKeyFile.passphrase)
        for length in 1..<block.content.count {
            var cut = block
            cut.content = Array(block.content.prefix(length))
            let file = try PrivateKeyPEM(cut.serialized())
            #expect(Self.code { _ = try file.decode(passphrase: passphrase) } == .malformed)
        }
        let plain = try #require(Hexadecimal.decode(NotaryKeyFile.privateKeyInfo))
        for index in plain.indices {
            for bit in 0..<8 {
                var changed = plain
                changed[index] ^= 1 << bit
                let file = try PrivateKeyPEM(PEMBlock(type: "PRIVATE KEY", content: changed).serialized())
                guard let key = try? file.decode(passphrase: nil) else { continue }
                #expect(key.publicKey.id == NotaryKeyFile.id, "byte \(index) bit \(bit)")
            }
        }
    }

    @Test("a file that asks for too many iterations is refused at once")
    func iterations() throws {
        var block = try #require(try PEMBlock.parse(NotaryKeyFile.pem).first)
        let position = try #require(block.content.firstRange(of: [0x02, 0x02, 0x08, 0x00])?.lowerBound)
        block.content.replaceSubrange(position..<(position + 4), with: [0x02, 0x04, 0x7F, 0xFF, 0xFF, 0xFF])
        // The number is two bytes longer, and so are the five sequences around it.
        for length in [2, 4, 17, 19, 32] { block.content[length] += 2 }
        let file = try PrivateKeyPEM(block.serialized())
        #expect(Self.code { _ = try file.decode(passphrase: Passphrase("x")) } == .unsupported)
    }

    @Test(
        "a role or collection that would break the file's lines is not written",
        arguments: ["a\nrole: root", "a\r", " a"]
    )
    func hostileHeaders(name: String) async throws {
        let key = try await PrivateKey.generate(.p256)
        for attributes in [
            KeyAttributes(role: RoleName(name)), KeyAttributes(role: .targets, gun: name),
            KeyAttributes(role: .targets, path: name),
        ] {
            let file = try PrivateKeyPEM(
                key,
                attributes: attributes,
                passphrase: Passphrase("secret"),
                encryption: .quick
            )
            #expect(Self.code { _ = try file.serialized() } == .invalidName)
        }
    }

    @Test(
        "text that is no key file is refused",
        arguments: [
            "", "hello", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMIH!\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMIHu\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\nMIHu\n-----END CERTIFICATE-----",
            "-----BEGIN -----\nMIHu\n-----END -----", "-----BEGIN-----END",
        ]
    )
    func notAKey(text: String) {
        #expect(Self.code { _ = try PrivateKeyPEM(text) } == .malformed)
    }

    @Test("line ends of Windows and text around the block do no harm")
    func lineEnds() throws {
        let text =
            "key of jane\r\n"
            + NotaryKeyFile.pem.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
        let key = try PrivateKeyPEM(text).decode(passphrase: Passphrase(NotaryKeyFile.passphrase))
        #expect(key.publicKey.id == NotaryKeyFile.id)
    }

    @Test("a key does not show itself when printed")
    func printing() async throws {
        let key = try await PrivateKey.generate(.ed25519)
        var text = ""
        dump(key, to: &text)
        dump(Passphrase("targpass1"), to: &text)
        text += "\(key) \(Passphrase("targpass1")) \(String(reflecting: Passphrase("targpass1")))"
        #expect(!text.contains("targpass1"))
        #expect(text.contains(key.publicKey.id.text))
        #expect(!text.contains("ed25519("))
    }

    // MARK: - OpenSSL

    @Test(
        "encrypted keys that openssl writes are read",
        .enabled(if: hasOpenSSL),
        arguments: ["ec", "rsa", "ed25519"],
        ["hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"]
    )
    func readsOpenSSL(kind: String, function: String) throws {
        let plain = try Self.generate(kind)
        let expected = try PrivateKeyPEM(plain).decode(passphrase: nil)
        for cipher in ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"] {
            let encrypted = try openssl(
                "pkcs8",
                "-topk8",
                "-v2",
                cipher,
                "-v2prf",
                function,
                "-passout",
                "pass:secret",
                input: plain
            )
            let file = try PrivateKeyPEM(encrypted)
            #expect(try file.decode(passphrase: Passphrase("secret")).publicKey == expected.publicKey)
            #expect(Self.code { _ = try file.decode(passphrase: Passphrase("Secret")) } == .wrongPassphrase)
        }
    }

    private static func generate(_ kind: String) throws -> String {
        switch kind {
        case "ec": try openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        case "rsa": try openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        default: try openssl("genpkey", "-algorithm", "ED25519")
        }
    }

    @Test(
        "old forms that openssl writes are read, also encrypted ones",
        .enabled(if: hasOpenSSL),
        arguments: ["ec", "rsa"],
        ["-aes128", "-aes192", "-aes256"]
    )
    func readsTraditional(kind: String, cipher: String) throws {
        let plain = try Self.generate(kind)
        let expected = try PrivateKeyPEM(plain).decode(passphrase: nil)
        let old = try openssl("pkey", "-traditional", input: plain)
        #expect(old.contains("\(kind.uppercased()) PRIVATE KEY"))
        #expect(try PrivateKeyPEM(old).decode(passphrase: nil).publicKey == expected.publicKey)
        let encrypted = try openssl("pkey", "-traditional", cipher, "-passout", "pass:secret", input: plain)
        #expect(encrypted.contains("DEK-Info"))
        let file = try PrivateKeyPEM(encrypted)
        #expect(file.isEncrypted)
        #expect(try file.decode(passphrase: Passphrase("secret")).publicKey == expected.publicKey)
        #expect(Self.code { _ = try file.decode(passphrase: Passphrase("wrong")) } == .wrongPassphrase)
    }

    @Test("a key that OpenSSL encrypted with scrypt is read", .enabled(if: hasOpenSSL))
    func scrypt() throws {
        let plain = try Self.generate("ec")
        let file = try PrivateKeyPEM(
            try openssl("pkcs8", "-topk8", "-scrypt", "-passout", "pass:secret", input: plain)
        )
        let key = try PrivateKeyPEM(plain).decode(passphrase: nil)
        #expect(try file.decode(passphrase: Passphrase("secret")).publicKey == key.publicKey)
        #expect(Self.code { _ = try file.decode(passphrase: Passphrase("wrong")) } == .wrongPassphrase)
    }

    @Test("what cannot be decrypted or used says so", .enabled(if: hasOpenSSL))
    func unsupported() throws {
        let plain = try Self.generate("ec")
        for text in [
            try openssl("pkey", "-traditional", "-des3", "-passout", "pass:secret", input: plain),
            try openssl("pkcs8", "-topk8", "-v2", "des3", "-passout", "pass:secret", input: plain),
            try openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"),
            try openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
            try openssl("genpkey", "-algorithm", "X25519"),
        ] {
            let file = try PrivateKeyPEM(text)
            #expect(Self.code { _ = try file.decode(passphrase: Passphrase("secret")) } == .unsupported)
        }
    }

    @Test(
        "openssl reads what is written",
        .enabled(if: hasOpenSSL),
        arguments: [PrivateKey.Algorithm.p384, .p521, .rsa(bits: 2048)]
    )
    func opensslReads(algorithm: PrivateKey.Algorithm) async throws {
        let key = try await PrivateKey.generate(algorithm)
        for passphrase in ["secret", ""] {
            let file = try PrivateKeyPEM(
                key,
                attributes: KeyAttributes(role: RoleName("")),
                passphrase: Passphrase(passphrase),
                encryption: .quick
            )
            let publicKey = try openssl("pkey", "-passin", "pass:secret", "-pubout", input: try file.serialized())
            #expect(try PEMBlock.parse(publicKey).first?.content == key.publicKey.bytes)
        }
    }
}
