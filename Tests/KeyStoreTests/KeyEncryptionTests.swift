// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import KeyStore

@Suite("How key files are encrypted")
struct KeyEncryptionTests {
    private let passphrase = Passphrase("correct horse")

    @Test(
        "every form is read back, with the right passphrase only",
        arguments: [KeyEncryption.quick, .openssl(iterations: 2048), .scrypt]
    )
    func roundTrip(encryption: KeyEncryption) async throws {
        // scrypt is slow where nothing is optimized: one kind of key will do.
        let algorithms: [PrivateKey.Algorithm] =
            encryption == .scrypt ? [.p256] : [.p256, .rsa(bits: 2048), .ed25519]
        for algorithm in algorithms {
            let key = try await PrivateKey.generate(algorithm)
            let attributes = KeyAttributes(role: .root)
            let text = try PrivateKeyPEM(
                key,
                attributes: attributes,
                passphrase: self.passphrase,
                encryption: encryption
            ).serialized()
            let file = try PrivateKeyPEM(text)
            #expect(file.isEncrypted)
            #expect(try file.decode(passphrase: self.passphrase).publicKey == key.publicKey)
            #expect(throws: KeyStoreError(.wrongPassphrase, "")) {
                try file.decode(passphrase: Passphrase("wrong"))
            }
            #expect(file.isNotarys == (encryption == .quick))
        }
    }

    @Test("OpenSSL reads what is written for it", arguments: [KeyEncryption.openssl(iterations: 2048), .scrypt])
    func openssl(encryption: KeyEncryption) async throws {
        try await withTemporaryDirectory { directory in
            let algorithms: [PrivateKey.Algorithm] =
                encryption == .scrypt ? [.ed25519] : [.p384, .rsa(bits: 2048), .ed25519]
            for algorithm in algorithms {
                let key = try await PrivateKey.generate(algorithm)
                let file = directory.appending(path: "key.pem").path
                let text = try PrivateKeyPEM(
                    key,
                    attributes: KeyAttributes(role: .targets, gun: "example.com/a"),
                    passphrase: self.passphrase,
                    encryption: encryption
                ).serialized()
                try Data(text.utf8).write(to: URL(fileURLWithPath: file))
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
                process.arguments = ["pkey", "-in", file, "-passin", "pass:correct horse", "-pubout"]
                let output = Pipe()
                process.standardOutput = output
                try process.run()
                let bytes = output.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                #expect(process.terminationStatus == 0)
                let read = try PublicKeyFile.listedKey(Array(bytes), at: Date())
                #expect(read == key.publicKey)
            }
        }
    }

    @Test("new files take OWASP's number of iterations, unless the environment has another that makes sense")
    func iterations() throws {
        #expect(try KeyEncryption(environment: [:]) == .notary(iterations: 1_300_000))
        let variable = KeyEncryption.iterationsVariable
        #expect(try KeyEncryption(environment: [variable: "2000000"]) == .notary(iterations: 2_000_000))
        for text in ["0", "2048", "-1", "many", "10000001", "99999999999999999999"] {
            #expect(throws: KeyStoreError(.unsupported, "")) { try KeyEncryption(environment: [variable: text]) }
        }
    }

    @Test("a file that asks for more memory than anybody needs is refused before it is spent")
    func bounded() async throws {
        let key = try await PrivateKey.generate(.p256)
        let content = try EncryptedPKCS8.encrypt(
            PKCS8.encode(key.material),
            passphrase: self.passphrase,
            as: .scrypt
        )
        // N, an INTEGER of 2^14, becomes one of the same length that is larger, or no power of two.
        let place = try #require(content.firstRange(of: [0x02, 0x02, 0x40, 0x00] as [UInt8]))
        for number in [[0x7F, 0xFF], [0x00, 0x01], [0xC0, 0x00]] as [[UInt8]] {
            var changed = content
            changed.replaceSubrange(place, with: [0x02, 0x02] + number)
            #expect(throws: (any Error).self) {
                try EncryptedPKCS8.decrypt(changed, passphrase: self.passphrase)
            }
        }
    }

    @Test("several keys are unlocked together, and only whose passphrase is wrong is asked for again")
    func together() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            var ids: [KeyID] = []
            for (role, passphrase) in [(RoleName.targets, "one one one"), (.snapshot, "two two two")] {
                let key = try await PrivateKey.generate(.p256)
                let source = FixedPassphrase(Passphrase(passphrase))
                ids.append(try await store.add(key, role: role, gun: "a/b", passphrases: source).id)
            }
            let terminal = ScriptedTerminal(["one one one", "wrong", "two two two"])
            let keys = try await store.keys(ids, passphrases: PassphrasePrompt(terminal: terminal))
            #expect(Set(keys.keys) == Set(ids))
            for id in ids { #expect(keys[id]?.publicKey.id == id) }
            let prompts = terminal.shown.components(separatedBy: "Enter passphrase for ")
            #expect(prompts.count == 4)
            #expect(prompts.dropFirst().first?.hasPrefix("targets key") == true)
            #expect(prompts.last?.hasPrefix("snapshot key") == true)
        }
    }

    @Test("one of Notary's exports is taken as it is, without its passphrase")
    func notaryExport() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path)
            var file = try PrivateKeyPEM(NotaryKeyFile.pem)
            file.attributes.path = NotaryKeyFile.id.text
            let entry = try await store.importKey(file, passphrases: PassphraseChain([]))
            #expect(entry.id == NotaryKeyFile.id)
            let right = FixedPassphrase(Passphrase(NotaryKeyFile.passphrase))
            #expect(try await store.key(entry.id, passphrases: right).publicKey.id == entry.id)
        }
    }

    @Test("a key that lies in clear is not exported")
    func clear() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path)
            let key = try await PrivateKey.generate(.p256)
            let entry = try await store.add(key, role: .root, passphrases: FixedPassphrase(Passphrase("")))
            #expect(!entry.isEncrypted)
            await #expect(throws: KeyStoreError(.unsupported, "")) { try await store.export(entry.id) }
        }
    }
}

extension KeyEncryption {
    /// As little work as notary itself spends.
    static let quick = KeyEncryption.notary(iterations: 2048)
}
