// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Synchronization
import TUF
import Testing

@testable import KeyStore

@Suite("A hardware token", .serialized, .enabled(if: SoftwareTokens.areThere, "softhsm2 is not installed"))
struct HardwareTokenTests {
    private static let pin = FixedPassphrase(Passphrase(SoftwareTokens.pin))
    private let message = Array("a message".utf8)
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    /// Counts how often somebody is asked.
    private final class Asked: PassphraseSource {
        private let answer: String
        private let requests = Mutex<[PassphraseRequest]>([])

        init(_ answer: String) { self.answer = answer }

        var all: [PassphraseRequest] { self.requests.withLock { $0 } }

        func passphrase(for request: PassphraseRequest) -> Passphrase? {
            self.requests.withLock { $0.append(request) }
            return Passphrase(self.answer)
        }
    }

    private static func error(_ body: () async throws -> Void) async -> KeyStoreError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? KeyStoreError
        }
    }

    @Test(
        "keys of every kind are made on it, show without a PIN, and sign what their public halves verify",
        arguments: [PrivateKey.Algorithm.p256, .p384, .rsa(bits: 2048), .ed25519]
    )
    func kinds(algorithm: PrivateKey.Algorithm) async throws {
        let token = try SoftwareTokens.token(.kinds)
        let gun = "localhost:5000/app"
        let made = try await token.generate(algorithm, role: .targets, gun: gun, passphrases: Self.pin)
        let id = made.publicKey.id
        let listed = try #require(try await token.keys().first { $0.publicKey.id == id })
        #expect(listed.publicKey == made.publicKey)
        #expect(listed.role == .targets)
        #expect(listed.gun == gun)
        #expect(listed.location.hasPrefix("pkcs11:token=kinds;serial="))
        let nobody = PassphraseChain([])
        let key = try await token.key(id, passphrases: nobody)
        let signature = try await key.sign(self.message)
        #expect(signature.keyID == id)
        #expect(key.publicKey.isValid(signature, for: self.message))
        #expect(!key.publicKey.isValid(signature, for: self.message + [0]))
        // In TUF's format, too, where P-384 hashes with SHA-384.
        let tuf = try ListedPrivateKey(key, as: try key.publicKey.spelled(in: .tuf))
        let targets = Targets(version: 1, expires: Expiry(self.now))
        #expect(try await targets.signed(by: [tuf], format: .tuf).signers == [tuf.publicKey.id])
    }

    @Test(
        "a key of a file is put on it, and cannot be taken out again",
        arguments: [PrivateKey.Algorithm.p256, .p384, .rsa(bits: 2048), .ed25519]
    )
    func imports(algorithm: PrivateKey.Algorithm) async throws {
        let token = try SoftwareTokens.token(.imports)
        let original = try await PrivateKey.generate(algorithm)
        let entry = try await token.add(original, role: RoleName("jane"), passphrases: Self.pin)
        #expect(entry.role == RoleName("jane"))
        #expect(entry.gun == nil)
        let key = try await token.key(original.publicKey.id, passphrases: Self.pin)
        #expect(original.publicKey.isValid(try await key.sign(self.message), for: self.message))
        let again = await Self.error {
            _ = try await token.add(original, role: RoleName("jane"), passphrases: Self.pin)
        }
        #expect(again?.code == .token)
        try await withTemporaryDirectory { directory in
            let store = try await KeyStore(trustDirectory: directory.path, token: token)
            #expect(await Self.error { _ = try await store.export(original.publicKey.id) }?.code == .unsupported)
        }
        let module = try CryptokiModule.load(token.settings.modulePath)
        try module.withSession(entry.slot) { session in
            let object = try session.privateKey(entry.identifier, of: entry.publicKey.id, on: entry.slot)
            for secret in [Cryptoki.Attribute.value, Cryptoki.Attribute.privateExponent, Cryptoki.Attribute.prime1] {
                #expect(try session.value(of: secret, in: object) == nil)
            }
        }
    }

    @Test(
        "it signs the certificate of a root, which then signs metadata",
        arguments: [PrivateKey.Algorithm.p256, .p384, .rsa(bits: 2048)]
    )
    func certificates(algorithm: PrivateKey.Algorithm) async throws {
        let token = try SoftwareTokens.token(.certificates)
        let key = try await token.generate(algorithm, role: .root, passphrases: Self.pin)
        let certificate = try await key.rootCertificate(for: "example.com/a", at: self.now)
        let file = try PublicKeyFile.rootCertificate(certificate.bytes, for: "example.com/a", at: self.now)
        #expect(try file.canonicalID == key.publicKey.id)
        #expect(file.isSelfSigned)
        let signer = try ListedPrivateKey(key, as: certificate)
        let targets = Targets(version: 1, expires: Expiry(self.now))
        #expect(try await targets.signed(by: [signer], format: .notary).signers == [certificate.id])
    }

    @Test("a wrong PIN is tried once in a process, and then the token is left alone")
    func wrongPIN() async throws {
        let tries = PINTries()
        let wrong = Asked("4321")
        for _ in 0..<3 {
            let token = try SoftwareTokens.token(.wrongPIN, tries: tries)
            let error = await Self.error {
                _ = try await token.generate(.p256, role: .root, passphrases: wrong)
            }
            #expect(error?.code == .attemptsExceeded)
        }
        #expect(wrong.all.map(\.purpose) == [.pin(token: "wrongPIN")])
        // Not so wrong that the right one does not do any more, in another process.
        let token = try SoftwareTokens.token(.wrongPIN, tries: PINTries())
        let key = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        #expect(key.publicKey.isValid(try await key.sign(self.message), for: self.message))
    }

    @Test("what is removed is gone, both halves of it")
    func removal() async throws {
        let token = try SoftwareTokens.token(.removal)
        let kept = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        let removed = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        try await token.remove(removed.publicKey.id, passphrases: Self.pin)
        #expect(try await token.keys().map(\.publicKey) == [kept.publicKey])
        #expect(await Self.error { _ = try await removed.sign(self.message) }?.code == .token)
        let again = await Self.error { try await token.remove(removed.publicKey.id, passphrases: Self.pin) }
        #expect(again?.code == .notFound)
    }

    @Test("a key that wants the PIN for each use gets it")
    func approval() async throws {
        let token = try SoftwareTokens.token(.approval)
        _ = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        let slot = try #require(try await token.keys().first).slot
        let module = try CryptokiModule.load(token.settings.modulePath)
        try module.withSession(slot, changes: true) { session in
            let identity = [
                CryptokiSession.Attribute(Cryptoki.Attribute.token, true),
                CryptokiSession.Attribute(Cryptoki.Attribute.id, [1, 2, 3]),
                CryptokiSession.Attribute(Cryptoki.Attribute.label, Array("somebody else's".utf8)),
            ]
            let curve: [UInt8] = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
            _ = try session.generate(
                Cryptoki.Mechanism.ecKeyPair,
                public: identity + [.init(Cryptoki.Attribute.ecParameters, curve)],
                private: identity + [
                    .init(Cryptoki.Attribute.isPrivate, true), .init(Cryptoki.Attribute.sign, true),
                    .init(Cryptoki.Attribute.alwaysAuthenticate, true),
                ]
            )
        }
        let entry = try #require(try await token.keys().first { $0.role.text.isEmpty })
        let asked = Asked(SoftwareTokens.pin)
        let key = try await token.key(entry.publicKey.id, passphrases: asked)
        for _ in 0..<2 { #expect(key.publicKey.isValid(try await key.sign(self.message), for: self.message)) }
        #expect(asked.all.count == 1)
        #expect(
            await Self.error { _ = try await token.key(entry.publicKey.id, passphrases: PassphraseChain([])) } != nil
        )
        // A wrong one is refused, and hinders nobody who has the right one in another process.
        let refused = try await token.key(entry.publicKey.id, passphrases: Asked("4321"))
        #expect(await Self.error { _ = try await refused.sign(self.message) }?.code == .attemptsExceeded)
        let other = try SoftwareTokens.token(.approval, tries: PINTries())
        let again = try await other.key(entry.publicKey.id, passphrases: Self.pin)
        #expect(again.publicKey.isValid(try await again.sign(self.message), for: self.message))
    }

    private static let curve = CryptokiSession.Attribute(
        Cryptoki.Attribute.ecParameters,
        [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]
    )

    private static func module() throws -> CryptokiModule {
        try CryptokiModule.load(try SoftwareTokens.token(nil).settings.modulePath)
    }

    private static func halves(_ entry: HardwareToken.Key) throws -> [Int] {
        try self.module().withSession(entry.slot) { session in
            try [Cryptoki.ObjectClass.privateKey, Cryptoki.ObjectClass.publicKey].map {
                try session.objects($0, withID: entry.identifier).count
            }
        }
    }

    @Test("of two keys with one CKA_ID, which others have made, none is removed for the other")
    func sharedIdentifier() async throws {
        let token = try SoftwareTokens.token(.sharedID)
        let ours = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        let slot = try #require(try await token.keys().first).slot
        let label = try TokenKeyLabel(role: RoleName("jane"), gun: nil)
        try Self.module().withSession(slot, changes: true) { session in
            for _ in 0..<2 {
                _ = try session.generate(Cryptoki.Mechanism.ecKeyPair, [Self.curve], label: label, identifier: [1])
            }
        }
        let shared = try await token.keys().filter { $0.identifier == [1] }
        #expect(shared.count == 2)
        for key in shared {
            let error = await Self.error { try await token.remove(key.publicKey.id, passphrases: Self.pin) }
            #expect(error?.code == .token)
            #expect(try Self.halves(key) == [2, 2])
        }
        try await token.remove(ours.publicKey.id, passphrases: Self.pin)
        #expect(try await token.keys().count == 2)
    }

    @Test("another token in the slot gets no PIN and no session")
    func replaced() async throws {
        let token = try SoftwareTokens.token(.replaced)
        _ = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        let slot = try #require(try await token.keys().first).slot
        let before = CryptokiModule.Slot(
            number: slot.number,
            label: slot.label,
            manufacturer: slot.manufacturer,
            model: slot.model,
            serial: "0",
            flags: slot.flags
        )
        let module = try Self.module()
        func used() { Issue.record("the wrong token is used") }
        let error = await Self.error { _ = try module.refreshed(before) }
        #expect(error?.code == .token)
        #expect(error?.message.contains("is in its place") == true)
        for changes in [false, true] {
            let error = await Self.error { try module.withSession(before, changes: changes) { _ in used() } }
            #expect(error?.code == .token)
        }
        let asked = await Self.error { _ = try PINTries().attempt(before, in: module) { used() } }
        #expect(asked?.code == .token)
        #expect(try module.withSession(slot) { try $0.isLoggedIn })
    }

    @Test("halves that do not belong together sign nothing, no certificate either")
    func mismatch() async throws {
        let token = try SoftwareTokens.token(.mismatch)
        _ = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        let entry = try #require(try await token.keys().first)
        let stranger = P256.Signing.PrivateKey().publicKey
        try Self.module().withSession(entry.slot, changes: true) { session in
            for object in try session.objects(Cryptoki.ObjectClass.publicKey, withID: entry.identifier) {
                try session.destroy(object)
            }
            _ = try session.create([
                .init(Cryptoki.Attribute.objectClass, Cryptoki.ObjectClass.publicKey),
                .init(Cryptoki.Attribute.keyType, Cryptoki.KeyType.ec), .init(Cryptoki.Attribute.token, true),
                .init(Cryptoki.Attribute.isPrivate, false), .init(Cryptoki.Attribute.id, entry.identifier), Self.curve,
                .init(Cryptoki.Attribute.ecPoint, [0x04, 65] + Array(stranger.x963Representation)),
            ])
        }
        let id = TokenKey.Kind.p256(stranger).publicKey.id
        let key = try await token.key(id, passphrases: Self.pin)
        #expect(await Self.error { _ = try await key.sign(self.message) }?.code == .token)
        await #expect(throws: TUFError.self) { try await key.rootCertificate(for: "example.com/a", at: self.now) }
    }

    @Test("a public half that is left over does not count as a key, and can be cleared")
    func leftover() async throws {
        let token = try SoftwareTokens.token(.leftover)
        let id = try await token.generate(.p256, role: .root, passphrases: Self.pin).publicKey.id
        let entry = try #require(try await token.keys().first)
        try Self.module().withSession(entry.slot, changes: true) { session in
            for object in try session.objects(Cryptoki.ObjectClass.privateKey, withID: entry.identifier) {
                try session.destroy(object)
            }
            // What who has not logged in yet is told when the key is to sign.
            let error = #expect(throws: KeyStoreError.self) {
                try session.privateKey(entry.identifier, of: id, on: entry.slot)
            }
            #expect(error?.message.contains("hallmark key remove --token \(id)") == true)
        }
        #expect(try Self.halves(entry) == [0, 1])
        #expect(try await token.keys() == [])
        try await token.remove(id, passphrases: Self.pin)
        #expect(try Self.halves(entry) == [0, 0])
    }

    @Test("a key that cannot be used after it was made is not left behind")
    func failure() async throws {
        let token = try SoftwareTokens.token(.failure)
        _ = try await token.generate(.p256, role: .root, passphrases: Self.pin)
        let slot = try #require(try await token.keys().first).slot
        let label = try TokenKeyLabel(role: .root, gun: nil)
        let left = try Self.module().withSession(slot, changes: true) { session in
            // P-521, of which nothing is made here.
            let curve = CryptokiSession.Attribute(
                Cryptoki.Attribute.ecParameters,
                [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23]
            )
            #expect(throws: KeyStoreError(.token, "")) {
                try session.generate(Cryptoki.Mechanism.ecKeyPair, [curve], label: label, identifier: [5])
            }
            return try [Cryptoki.ObjectClass.privateKey, Cryptoki.ObjectClass.publicKey].flatMap {
                try session.objects($0, withID: [5])
            }
        }
        #expect(left.isEmpty)
    }

    @Test("a store counts its keys before those of files, and does not lose them with a file")
    func store() async throws {
        try await withTemporaryDirectory { directory in
            let token = try SoftwareTokens.token(.store)
            let store = try await KeyStore(trustDirectory: directory.path, token: token, encryption: .quick)
            let key = try await PrivateKey.generate(.p256)
            let id = key.publicKey.id
            let file = try await store.add(key, role: .root, passphrases: Self.pin)
            #expect(try await store.entry(matching: String(id.text.prefix(9))) == file)
            _ = try await token.add(key, role: .root, passphrases: Self.pin)
            #expect(try await store.list().map(\.isOnToken) == [true, false])
            #expect(try await store.key(id, passphrases: Self.pin) is TokenKey)
            #expect(try await store.keys([id], passphrases: Self.pin)[id] is TokenKey)
            try await store.remove(id)
            #expect(try await store.entry(id)?.isOnToken == true)
        }
    }

    @Test("a token that is not there has no keys, and says so only to who wants to make one")
    func absent() async throws {
        var environment = try SoftwareTokens.environment(.kinds)
        environment[TokenSettings.tokenVariable] = "pkcs11:token=nowhere"
        let token = HardwareToken(try #require(try TokenSettings(environment: environment)))
        #expect(try await token.keys() == [])
        let error = await Self.error { _ = try await token.generate(.p256, role: .root, passphrases: Self.pin) }
        #expect(error?.code == .token)
        #expect(error?.message.contains(TokenSettings.tokenVariable) == true)
    }

    @Test("of several tokens one must be named")
    func several() async throws {
        let token = try SoftwareTokens.token(nil)
        let error = await Self.error { _ = try await token.keys() }
        #expect(error?.code == .token)
        #expect(error?.message.contains("pkcs11:token=kinds;") == true)
        #expect(error?.message.contains("pkcs11:token=imports;") == true)
    }
}

@Suite("The points of a token's public keys")
struct TokenPointTests {
    @Test("a bare point is read also where it looks like an OCTET STRING")
    func bare() throws {
        // One of 256 keys has a coordinate that begins with the length of the rest.
        var key = P256.Signing.PrivateKey().publicKey
        while key.rawRepresentation.first != 63 { key = P256.Signing.PrivateKey().publicKey }
        let point = Array(key.x963Representation)
        let expected = TokenKey.Kind.p256(key).publicKey
        #expect(TokenKey.Kind(curvePoint: point)?.publicKey == expected)
        #expect(TokenKey.Kind(curvePoint: [0x04, 65] + point)?.publicKey == expected)
        let edwards: [UInt8] = [0x04, 30] + [UInt8](repeating: 7, count: 30)
        #expect(TokenKey.Kind(edwardsPoint: edwards)?.publicKey.bytes == edwards)
        #expect(TokenKey.Kind(edwardsPoint: [0x04, 32] + edwards)?.publicKey.bytes == edwards)
        let large = P384.Signing.PrivateKey().publicKey
        #expect(
            TokenKey.Kind(curvePoint: Array(large.x963Representation))?.publicKey
                == TokenKey.Kind.p384(large).publicKey
        )
    }

    @Test("what is no point is no key", arguments: [[], [0x04], [0x04, 0x01, 0x00], [UInt8](repeating: 4, count: 65)])
    func none(value: [UInt8]) {
        #expect(TokenKey.Kind(curvePoint: value)?.publicKey == nil)
        #expect(TokenKey.Kind(edwardsPoint: value)?.publicKey == nil)
    }
}

@Suite("The choice of a hardware token")
struct TokenSettingsTests {
    @Test("what is no PKCS#11 module is refused by name", arguments: ["/nonexistent/module.so", "libc.so.6"])
    func noModule(path: String) async throws {
        let settings = try #require(try TokenSettings(environment: [TokenSettings.moduleVariable: path]))
        let error = await #expect(throws: KeyStoreError.self) { try await HardwareToken(settings).keys() }
        #expect(error?.code == .token)
        #expect(error?.message.contains(path) == true)
    }

    @Test("without a module there is no token")
    func none() throws {
        #expect(try TokenSettings(environment: [:]) == nil)
        #expect(try TokenSettings(environment: [TokenSettings.moduleVariable: ""]) == nil)
        #expect(throws: KeyStoreError(.token, "")) {
            try TokenSettings(environment: [TokenSettings.tokenVariable: "mine"])
        }
    }

    private static let slot = CryptokiModule.Slot(
        number: 7,
        label: "my token",
        manufacturer: "M",
        model: "X",
        serial: "0a1b",
        flags: 0
    )

    @Test(
        "labels, serial numbers and URIs choose it",
        arguments: [
            ("my token", true), ("0a1b", true), ("my", false), ("pkcs11:token=my%20token", true), ("pkcs11:", true),
            ("pkcs11:serial=0a1b;manufacturer=M;model=X", true), ("pkcs11:slot-id=7", true),
            ("pkcs11:slot-id=8", false), ("pkcs11:token=my%20token;serial=no", false),
        ]
    )
    func chooses(name: String, isChosen: Bool) throws {
        let environment = [TokenSettings.moduleVariable: "m.so", TokenSettings.tokenVariable: name]
        #expect(try TokenSettings(environment: environment)?.selects(Self.slot) == isChosen)
    }

    @Test("a URI may name the module, and is what a token is shown as")
    func uri() throws {
        let name = "pkcs11:token=t?module-path=/usr/lib/m.so"
        let settings = try TokenSettings(environment: [TokenSettings.tokenVariable: name])
        #expect(settings?.modulePath == "/usr/lib/m.so")
        let environment = [TokenSettings.moduleVariable: "m.so", TokenSettings.tokenVariable: Self.slot.uri]
        #expect(try TokenSettings(environment: environment)?.selects(Self.slot) == true)
    }

    @Test(
        "a URI that is not understood is refused, and so is a PIN in it",
        arguments: [
            "pkcs11:token", "pkcs11:token=%zz", "pkcs11:color=red", "pkcs11:token=a;token=b",
            "pkcs11:token=a?pin-value=1234", "pkcs11:token=a?pin-source=file:/x", "pkcs11:token=a&module-path=x",
        ]
    )
    func badURI(name: String) {
        #expect(throws: KeyStoreError(.token, "")) {
            // An ampersand is a part of a label: then the token is none that is there.
            let environment = [TokenSettings.moduleVariable: "m.so", TokenSettings.tokenVariable: name]
            let settings = try TokenSettings(environment: environment)
            if settings?.selects(Self.slot) != true { throw KeyStoreError(.token, "") }
        }
    }

    @Test("a label says role and collection, and a role that it could not say is refused")
    func labels() throws {
        for (role, gun) in [(RoleName.root, nil), (.targets, "localhost:5000/a"), (RoleName("jane"), nil)] {
            let label = try TokenKeyLabel(TokenKeyLabel(role: role, gun: gun).text)
            #expect(label.role == role)
            #expect(label.gun == gun)
        }
        #expect(TokenKeyLabel("PIV AUTH key").role.text.isEmpty)
        #expect(throws: KeyStoreError(.invalidName, "")) { try TokenKeyLabel(role: RoleName("a:b"), gun: nil) }
        #expect(throws: KeyStoreError(.invalidName, "")) {
            try TokenKeyLabel(role: RoleName(String(repeating: "a", count: 600)), gun: nil)
        }
    }
}
