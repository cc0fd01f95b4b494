// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import KeyStore

@Suite("The key store")
struct KeyStoreTests {
    private static let passphrase = FixedPassphrase(Passphrase("a passphrase"))

    private static func code(_ body: () async throws -> Void) async -> KeyStoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? KeyStoreError)?.code
        }
    }

    private static func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    private static func write(_ text: String, to path: String) throws {
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    @Test("a key is stored where and as docker and notary look for it")
    func layout() async throws {
        try await withTemporaryDirectory { directory in
            let trust = directory.appending(path: "trust").path
            let store = try await KeyStore(trustDirectory: trust, encryption: .quick)
            #expect(try await store.list() == [])
            let key = try await PrivateKey.generate(.p256)
            let entry = try await store.add(key, role: .targets, gun: "example.com/a", passphrases: Self.passphrase)
            #expect(entry.location == "\(trust)/private/\(key.publicKey.id).key")
            #expect(try Self.mode(entry.location) == 0o600)
            #expect(try Self.mode("\(trust)/private") == 0o700)
            #expect(try Self.mode(trust) == 0o700)
            let text = try String(contentsOfFile: entry.location, encoding: .utf8)
            #expect(text.hasPrefix("-----BEGIN ENCRYPTED PRIVATE KEY-----\ngun: example.com/a\nrole: targets\n\n"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(trust)/private").count == 1)
            #expect(try await store.list() == [entry])
            let unlocked = try await store.key(entry.id, passphrases: Self.passphrase)
            #expect(unlocked.publicKey == key.publicKey)
        }
    }

    @Test("keys that Notary stored are listed and unlocked")
    func notaryStore() async throws {
        try await withTemporaryDirectory { directory in
            try Self.write(NotaryKeyFile.pem, to: "\(directory.path)/private/\(NotaryKeyFile.id).key")
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let entry = try #require(try await store.list().first)
            #expect(entry.role == .targets)
            #expect(entry.gun == "example.com/wire/one")
            let passphrase = FixedPassphrase(Passphrase(NotaryKeyFile.passphrase))
            #expect(try await store.key(NotaryKeyFile.id, passphrases: passphrase).publicKey.id == NotaryKeyFile.id)
        }
    }

    @Test("root and delegation keys serve several collections and carry no name of one", arguments: ["root", "jane"])
    func sharedKeys(role: String) async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let key = try await PrivateKey.generate(.ed25519)
            let entry = try await store.add(key, role: RoleName(role), gun: "g", passphrases: Self.passphrase)
            #expect(entry.gun == nil)
            #expect(try await store.entry(entry.id)?.role.text == role)
        }
    }

    @Test("a wrong passphrase is asked for again until the source gives up")
    func retries() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let entry = try await store.add(
                try await PrivateKey.generate(.p256),
                role: .root,
                passphrases: Self.passphrase
            )
            let terminal = ScriptedTerminal(["wrong one", "wrong two", "a passphrase"])
            _ = try await store.key(entry.id, passphrases: PassphrasePrompt(terminal: terminal))
            let ask = "Enter passphrase for root key with ID \(entry.id.text.prefix(7)): \n"
            let again = "Passphrase incorrect. Please retry.\n"
            #expect(terminal.shown == ask + again + ask + again + ask)

            let stubborn = ScriptedTerminal(Array(repeating: "wrong", count: 9))
            let prompt = PassphrasePrompt(terminal: stubborn)
            #expect(await Self.code { _ = try await store.key(entry.id, passphrases: prompt) } == .attemptsExceeded)
            #expect(stubborn.left == 5)
            let wrong = FixedPassphrase(Passphrase("wrong"))
            #expect(await Self.code { _ = try await store.key(entry.id, passphrases: wrong) } == .attemptsExceeded)
            let none = PassphraseChain([])
            #expect(await Self.code { _ = try await store.key(entry.id, passphrases: none) } == .passphraseUnavailable)
        }
    }

    @Test("a passphrase is changed; the old one is worth nothing then")
    func changePassphrase() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let key = try await PrivateKey.generate(.p256)
            let entry = try await store.add(key, role: .targets, gun: "g", passphrases: Self.passphrase)
            let new = FixedPassphrase(Passphrase("another passphrase"))
            try await store.changePassphrase(entry.id, old: Self.passphrase, new: new)
            #expect(try await store.entry(entry.id) == entry)
            #expect(try await store.key(entry.id, passphrases: new).publicKey == key.publicKey)
            #expect(
                await Self.code { _ = try await store.key(entry.id, passphrases: Self.passphrase) } == .attemptsExceeded
            )
        }
    }

    @Test("keys go out and into another store, and out of this one")
    func exportAndImport() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.appending(path: "one").path, encryption: .quick)
            let other = try await KeyStore(trustDirectory: directory.appending(path: "two").path, encryption: .quick)
            let key = try await PrivateKey.generate(.p256)
            let entry = try await store.add(key, role: .snapshot, gun: "g", passphrases: Self.passphrase)
            let exported = try await store.export(entry.id).serialized()
            #expect(exported.contains("\npath: \(entry.id)\n"))
            let imported = try await other.importKey(try PrivateKeyPEM(exported), passphrases: Self.passphrase)
            #expect(imported.id == entry.id)
            #expect(imported.role == .snapshot)
            #expect(imported.gun == "g")
            #expect(try await other.key(entry.id, passphrases: Self.passphrase).publicKey == key.publicKey)
            try await store.remove(entry.id)
            #expect(try await store.list() == [])
            #expect(await Self.code { try await store.remove(entry.id) } == .notFound)
            #expect(await Self.code { _ = try await store.export(entry.id) } == .notFound)
        }
    }

    @Test("a key in clear is encrypted when it is imported")
    func importPlain() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let key = try await PrivateKey.generate(.ed25519)
            let plain = try PrivateKeyPEM(
                key,
                attributes: KeyAttributes(role: RoleName("")),
                passphrase: Passphrase("")
            )
            let entry = try await store.importKey(plain, role: RoleName("jane"), passphrases: Self.passphrase)
            #expect(entry.isEncrypted)
            #expect(entry.role.text == "jane")
            #expect(try await store.key(key.publicKey.id, passphrases: Self.passphrase).publicKey == key.publicKey)
        }
    }

    @Test("a file's path header cannot make the store write elsewhere")
    func hostilePath() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.appending(path: "trust").path, encryption: .quick)
            let pem = NotaryKeyFile.pem.replacing("role: targets\n", with: "path: ../../evil\nrole: targets\n")
            let passphrase = FixedPassphrase(Passphrase(NotaryKeyFile.passphrase))
            let entry = try await store.importKey(try PrivateKeyPEM(pem), passphrases: passphrase)
            #expect(entry.id == NotaryKeyFile.id)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["trust"])
            #expect(try await store.list().map(\.id) == [NotaryKeyFile.id])
        }
    }

    @Test("ids that are no file name of ours find nothing", arguments: ["", "..", "../private/x", "a/b", "ABCDEF"])
    func hostileID(text: String) async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            for id in [KeyID(text), KeyID(text + String(repeating: "0", count: 64))] {
                #expect(try await store.entry(id) == nil)
                #expect(await Self.code { try await store.remove(id) } == .notFound)
            }
        }
    }

    @Test("a role that would break the file is refused before anybody is asked for a passphrase")
    func hostileRole() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let key = try await PrivateKey.generate(.p256)
            let terminal = ScriptedTerminal([])
            let prompt = PassphrasePrompt(terminal: terminal)
            let code = await Self.code {
                _ = try await store.add(key, role: RoleName("a\nrole: root"), passphrases: prompt)
            }
            #expect(code == .invalidName)
            #expect(terminal.shown.isEmpty)
        }
    }

    @Test("what is no key is left out of the list and named when asked for")
    func strangeFiles() async throws {
        try await withTemporaryDirectory { directory in
            let broken = KeyID(String(repeating: "0", count: 64))
            let large = KeyID(String(repeating: "1", count: 64))
            let folder = KeyID(String(repeating: "2", count: 64))
            let wrong = KeyID(String(repeating: "3", count: 64))
            let path = "\(directory.path)/private"
            try Self.write("hello", to: "\(path)/\(broken).key")
            try Self.write(String(repeating: "x", count: 1 << 20), to: "\(path)/\(large).key")
            try Self.write(NotaryKeyFile.pem, to: "\(path)/\(wrong).key")
            try Self.write(NotaryKeyFile.pem, to: "\(path)/notes.key")
            try Self.write(NotaryKeyFile.pem, to: "\(path)/.\(wrong).key.1.tmp")
            try FileManager.default.createDirectory(atPath: "\(path)/\(folder).key", withIntermediateDirectories: true)
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            #expect(try await store.list().map(\.id) == [wrong])
            #expect(await Self.code { _ = try await store.entry(broken) } == .malformed)
            #expect(await Self.code { _ = try await store.entry(large) } == .malformed)
            #expect(await Self.code { _ = try await store.entry(folder) } == .storage)
            let passphrase = FixedPassphrase(Passphrase(NotaryKeyFile.passphrase))
            #expect(await Self.code { _ = try await store.key(wrong, passphrases: passphrase) } == .malformed)
        }
    }

    @Test("keys of old layouts move to where they belong; other files stay")
    func migration() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory.path)/private"
            let keys = [
                try await PrivateKey.generate(.p256), try await PrivateKey.generate(.p256),
                try await PrivateKey.generate(.p256),
            ]
            let places = [
                "root_keys/\(keys[0].publicKey.id)_root.key",
                "tuf_keys/example.com/a/b/\(keys[1].publicKey.id)_snapshot.key",
                "tuf_keys/example.com/a/\(keys[2].publicKey.id)_targets/releases.key",
            ]
            for (key, place) in zip(keys, places) {
                let file = try PrivateKeyPEM(
                    key,
                    attributes: KeyAttributes(role: RoleName("")),
                    passphrase: Passphrase("a passphrase"),
                    encryption: .quick
                )
                try Self.write(try file.serialized(), to: "\(path)/\(place)")
            }
            try Self.write("mine", to: "\(path)/tuf_keys/other/notes.txt")
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            for (key, expected) in zip(
                keys,
                [("root", nil), ("snapshot", "example.com/a/b"), ("targets/releases", nil)]
            ) {
                let entry = try #require(try await store.entry(key.publicKey.id))
                #expect(entry.role.text == expected.0)
                #expect(entry.gun == expected.1)
                #expect(try await store.key(entry.id, passphrases: Self.passphrase).publicKey == key.publicKey)
            }
            #expect(!FileManager.default.fileExists(atPath: "\(path)/root_keys"))
            #expect(!FileManager.default.fileExists(atPath: "\(path)/tuf_keys/example.com"))
            #expect(FileManager.default.fileExists(atPath: "\(path)/tuf_keys/other/notes.txt"))
            #expect(try await KeyStore(trustDirectory: directory.path, encryption: .quick).list().count == 3)
        }
    }

    @Test("a key that was moved already keeps its newer passphrase")
    func repeatedMigration() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let key = try await PrivateKey.generate(.p256)
            let entry = try await store.add(key, role: .root, passphrases: Self.passphrase)
            let old = try PrivateKeyPEM(
                key,
                attributes: KeyAttributes(role: .root),
                passphrase: Passphrase("older one"),
                encryption: .quick
            )
            let place = "\(directory.path)/private/root_keys/\(entry.id)_root.key"
            try Self.write(try old.serialized(), to: place)
            let again = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            #expect(try await again.key(entry.id, passphrases: Self.passphrase).publicKey == key.publicKey)
            #expect(!FileManager.default.fileExists(atPath: place))
        }
    }

    @Test("readers and writers of one key at the same time see whole files")
    func concurrency() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, encryption: .quick)
            let key = try await PrivateKey.generate(.p256)
            let entry = try await store.add(key, role: .root, passphrases: Self.passphrase)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask { try await store.add(key, role: .root, passphrases: Self.passphrase) }
                    group.addTask { _ = try await store.key(entry.id, passphrases: Self.passphrase) }
                    group.addTask {
                        let entries = try await store.list()
                        #expect(entries == [entry])
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("a certificate's key signs under the certificate's id")
    func certified() async throws {
        let key = try await PrivateKey.generate(.p256)
        let date = Date(timeIntervalSince1970: 1_800_000_000)
        let certificate = try PublicKey.rootCertificate(for: "example.com/a", signedBy: key.certificateKey, at: date)
        let signer = try ListedPrivateKey(key, as: certificate)
        let signature = try await signer.sign([1, 2, 3])
        #expect(signature.keyID == certificate.id)
        #expect(certificate.isValid(signature, for: [1, 2, 3]))
        let other = try await PrivateKey.generate(.p256)
        #expect(await Self.code { _ = try ListedPrivateKey(other, as: certificate) } == .malformed)
    }
}
