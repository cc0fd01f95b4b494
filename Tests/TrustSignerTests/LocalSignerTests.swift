// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import KeyStore
import NotaryAPI
import Synchronization
import TUF
import Testing

@testable import TrustSigner

@Suite("The signer", .onEveryDatabase)
struct LocalSignerTests {
    private static let gun = "example.com/wire/one"

    private struct Passphrases: SignerPassphrases {
        var defaultAlias = "timestamp_1"
        var values = ["timestamp_1": "a passphrase"]

        func passphrase(forAlias alias: String, keysExist: Bool) throws -> Passphrase {
            guard let value = self.values[alias] else { throw SignerError(.passphrase, "none for \(alias)") }
            return Passphrase(value)
        }
    }

    private final class Clock: Sendable {
        private let seconds = Mutex<TimeInterval>(1_800_000_000)
        var now: Date { Date(timeIntervalSince1970: self.seconds.withLock { $0 }) }
        func advance(_ interval: TimeInterval) { self.seconds.withLock { $0 += interval } }
    }

    /// Makes a directory with a database in it.
    private func withDatabase(_ body: (any SQLDatabase, URL) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            guard DatabaseDriver.current.isEmbedded else {
                return try await DatabaseDriver.current.withDatabase { try await body($0, directory) }
            }
            let database = try await SQLiteDatabase(path: directory.appending(path: "signer.db").path)
            do {
                try await body(database, directory)
            } catch {
                try await database.close()
                throw error
            }
            try await database.close()
        }
    }

    private static func signer(
        _ database: any SQLDatabase,
        _ passphrases: Passphrases = Passphrases(),
        clock: Clock = Clock(),
        cachedKeys: Int = 100
    ) async throws -> LocalSigner {
        var configuration = LocalSigner.Configuration()
        configuration.iterations = 1000
        configuration.cachedKeys = cachedKeys
        return try await LocalSigner(
            database: database,
            passphrases: passphrases,
            configuration: configuration,
            now: { clock.now }
        )
    }

    private static func code(_ body: () async throws -> Void) async -> SignerError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? SignerError)?.code
        }
    }

    @Test("a key signs what its public key verifies", arguments: [KeyType.ecdsa, .ed25519])
    func signing(algorithm: KeyType) async throws {
        try await self.withDatabase { database, _ in
            let signer = try await Self.signer(database)
            let key = try await signer.createKey(algorithm: algorithm, gun: Self.gun, role: .timestamp)
            #expect(key.type == algorithm)
            let signature = try await signer.sign(Array("a message".utf8), with: key.id)
            #expect(signature.keyID == key.id)
            #expect(key.isValid(signature, for: Array("a message".utf8)))
            #expect(try await signer.publicKey(key.id) == key)
            #expect(try await signer.keyInfo(key.id)?.role == .timestamp)
        }
    }

    @Test("other algorithms are refused with Notary's words")
    func unsupportedAlgorithm() async throws {
        try await self.withDatabase { database, _ in
            let signer = try await Self.signer(database)
            await #expect {
                try await signer.createKey(algorithm: .rsa, gun: Self.gun, role: .timestamp)
            } throws: { error in
                let error = error as? SignerError
                return error?.code == .unsupportedAlgorithm
                    && error?.message == "algorithm rsa not supported for create key"
            }
        }
    }

    @Test("a key is handed out again until it has signed, for the same role, collection and algorithm only")
    func pendingKeys() async throws {
        try await self.withDatabase { database, _ in
            let signer = try await Self.signer(database)
            let first = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            #expect(try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp) == first)
            #expect(try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .snapshot) != first)
            #expect(try await signer.createKey(algorithm: .ecdsa, gun: "another", role: .timestamp) != first)
            #expect(try await signer.createKey(algorithm: .ed25519, gun: Self.gun, role: .timestamp) != first)
            let restarted = try await Self.signer(database)
            #expect(try await restarted.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp) == first)
            _ = try await restarted.sign([1], with: first.id)
            let second = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            #expect(second != first)
            // The old one goes on signing.
            #expect(first.isValid(try await signer.sign([2], with: first.id), for: [2]))
        }
    }

    @Test("many who ask for the same role's key at once get the same one")
    func concurrentCreation() async throws {
        try await self.withDatabase { database, _ in
            let signers = [try await Self.signer(database), try await Self.signer(database)]
            let keys = try await withThrowingTaskGroup(of: PublicKey.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        try await signers[number % 2].createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(keys.count == 1)
            let rows = try await database.read { try $0.query("SELECT count(*) FROM private_keys").first?.integer(0) }
            #expect(rows == 1)
        }
    }

    @Test("keys are there after a restart, more than fit into the cache")
    func restart() async throws {
        try await self.withDatabase { database, _ in
            var keys: [PublicKey] = []
            let first = try await Self.signer(database, cachedKeys: 4)
            for number in 0..<20 {
                let algorithm: KeyType = number.isMultiple(of: 2) ? .ecdsa : .ed25519
                keys.append(try await first.createKey(algorithm: algorithm, gun: "gun\(number)", role: .timestamp))
            }
            for signer in [first, try await Self.signer(database, cachedKeys: 4)] {
                for key in keys + keys.reversed() {
                    #expect(key.isValid(try await signer.sign([7], with: key.id), for: [7]))
                }
            }
        }
    }

    @Test("a signature writes to the database the first time, then once a day")
    func lastUsed() async throws {
        try await self.withDatabase { database, _ in
            let clock = Clock()
            let signer = try await Self.signer(database, clock: clock)
            let key = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            func lastUsed() async throws -> Int64? {
                let rows = try await database.read { try $0.query("SELECT last_used FROM private_keys") }
                return try rows.first?.optionalInteger(0)
            }
            #expect(try await lastUsed() == nil)
            _ = try await signer.sign([1], with: key.id)
            #expect(try await lastUsed() == 1_800_000_000_000)
            let commits = (database as? SQLiteDatabase)?.commits
            clock.advance(3600)
            for _ in 0..<100 { _ = try await signer.sign([1], with: key.id) }
            #expect((database as? SQLiteDatabase)?.commits == commits)
            clock.advance(24 * 3600)
            for _ in 0..<100 { _ = try await signer.sign([1], with: key.id) }
            #expect((database as? SQLiteDatabase)?.commits == commits.map { $0 + 1 })
            #expect(try await lastUsed() == 1_800_000_000_000 + 25 * 3_600_000)
        }
    }

    @Test("a key that is not there is told as Notary does; a deleted one is not there")
    func missingKeys() async throws {
        try await self.withDatabase { database, _ in
            let signer = try await Self.signer(database)
            let unknown = KeyID("0000")
            #expect(try await signer.publicKey(unknown) == nil)
            await #expect {
                try await signer.sign([1], with: unknown)
            } throws: {
                let error = $0 as? SignerError
                return error?.code == .keyNotFound && error?.message == "signing key not found: 0000"
            }
            try await signer.deleteKey(unknown)

            let key = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            let other = try await Self.signer(database)
            #expect(try await other.publicKey(key.id) == key)
            try await signer.deleteKey(key.id)
            for signer in [signer, other] {
                #expect(try await signer.publicKey(key.id) == nil)
                #expect(await Self.code { _ = try await signer.sign([1], with: key.id) } == .keyNotFound)
            }
            #expect(try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp) != key)
            let rows = try await database.read { try $0.query("SELECT count(*) FROM private_keys").first?.integer(0) }
            #expect(rows == 2)
        }
    }

    @Test("a wrong or missing passphrase is told at the start, and does not damage anything")
    func wrongPassphrase() async throws {
        try await self.withDatabase { database, _ in
            let key = try await Self.signer(database)
                .createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            for values in [["timestamp_1": "wrong"], [:]] {
                let code = await Self.code { _ = try await Self.signer(database, Passphrases(values: values)) }
                #expect(code == .passphrase)
            }
            // Another default alias: the old keys need theirs, the new ones do not.
            let passphrases = Passphrases(defaultAlias: "new", values: ["new": "passphrase", "timestamp_1": "wrong"])
            let signer = try await Self.signer(database, passphrases)
            #expect(await Self.code { _ = try await signer.sign([1], with: key.id) } == .passphrase)
            let created = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .snapshot)
            #expect(created.isValid(try await signer.sign([1], with: created.id), for: [1]))
            let right = try await Self.signer(database)
            #expect(key.isValid(try await right.sign([1], with: key.id), for: [1]))
        }
    }

    @Test("a row that Go's signer wrote is signed with")
    func notaryRow() async throws {
        try await self.withDatabase { database, _ in
            let passphrases = Passphrases(values: [NotarySignerRow.alias: NotarySignerRow.passphrase])
            _ = try await Self.signer(database, passphrases)
            let publicKey = try #require(Data(base64Encoded: NotarySignerRow.publicKey))
            try await database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO private_keys (created_at, updated_at, key_id, encryption_alg, keywrap_alg, algorithm,
                    passphrase_alias, public, private, gun, role, last_used)
                    VALUES (1, 1, ?, 'A256GCM', 'PBES2-HS256+A128KW', 'ecdsa', ?, ?, ?, ?, 'timestamp', 1)
                    """,
                    .text(NotarySignerRow.keyID.text),
                    .text(NotarySignerRow.alias),
                    .blob(publicKey),
                    .blob(Data(NotarySignerRow.jwe.utf8)),
                    .text(Self.gun)
                )
            }
            let signer = try await Self.signer(database, passphrases)
            let key = try #require(try await signer.publicKey(NotarySignerRow.keyID))
            #expect(key.isValid(try await signer.sign([5], with: NotarySignerRow.keyID), for: [5]))
        }
    }

    @Test("a row with the private key of another is not signed with")
    func swappedRows() async throws {
        try await self.withDatabase { database, _ in
            let signer = try await Self.signer(database)
            let first = try await signer.createKey(algorithm: .ecdsa, gun: "a", role: .timestamp)
            _ = try await signer.createKey(algorithm: .ecdsa, gun: "b", role: .timestamp)
            try await database.write { connection in
                try connection.execute(
                    "UPDATE private_keys SET private = (SELECT private FROM private_keys WHERE gun = 'b') WHERE gun = 'a'"
                )
            }
            let restarted = try await Self.signer(database)
            #expect(await Self.code { _ = try await restarted.sign([1], with: first.id) } == .unavailable)
        }
    }

    @Test("no private byte is in the database's files in clear")
    func noClearText() async throws {
        try await self.withDatabase { database, directory in
            let signer = try await Self.signer(database)
            let key = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            _ = try await signer.sign([1], with: key.id)
            let stored = try #require(
                try await database.read { try $0.query("SELECT private FROM private_keys") }.first
            ).blob(0)
            let plaintext = try KeyEncryption(iterations: 1)
                .decrypt(String(decoding: stored, as: UTF8.self), passphrase: Passphrase("a passphrase"))
            // Bytes 7 to 39 of the SEC1 form are the private number.
            let secret = Data(plaintext[7..<39])
            #expect(try PrivateKey(signerForm: plaintext, type: .ecdsa).publicKey == key)
            var searched = 0
            for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
                let content = try Data(contentsOf: directory.appending(path: name))
                searched += content.range(of: Data(key.id.text.utf8)) == nil ? 0 : 1
                for secret in [secret, Data(secret.base64EncodedString().utf8), Data("a passphrase".utf8)] {
                    #expect(content.range(of: secret) == nil)
                }
                for offset in stride(from: 0, to: 32, by: 8) {
                    #expect(content.range(of: secret.dropFirst(offset).prefix(8)) == nil)
                }
            }
            // PostgreSQL's files are elsewhere; what is sent to it is what is stored here.
            #expect(searched > 0 || !DatabaseDriver.current.isEmbedded)
        }
    }

    // MARK: - Passphrases

    @Test("variables are named as notary-signer names them")
    func environment() async throws {
        let environment = [
            "NOTARY_SIGNER_DEFAULT_ALIAS": "timestamp.1", "NOTARY_SIGNER_TIMESTAMP_1": "secret",
        ]
        let passphrases = try EnvironmentSignerPassphrases(environment: environment)
        #expect(passphrases.defaultAlias == "timestamp.1")
        #expect(try passphrases.passphrase(forAlias: "timestamp.1", keysExist: true) == Passphrase("secret"))
        #expect(await Self.code { _ = try passphrases.passphrase(forAlias: "other", keysExist: true) } == .passphrase)
        #expect(await Self.code { _ = try EnvironmentSignerPassphrases(environment: [:]) } == .passphrase)
    }

    @Test("the passphrase file is made once, for the owner only, and never replaced when it is lost")
    func passphraseFile() async throws {
        try await self.withDatabase { database, directory in
            let path = directory.appending(path: "signer/passphrase").path
            let file = SignerPassphraseFile(path: path)
            var configuration = LocalSigner.Configuration()
            configuration.iterations = 1000
            let signer = try await LocalSigner(database: database, passphrases: file, configuration: configuration)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count > 40)
            let key = try await signer.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
            let again = try await LocalSigner(database: database, passphrases: file, configuration: configuration)
            #expect(key.isValid(try await again.sign([1], with: key.id), for: [1]))

            try FileManager.default.removeItem(atPath: path)
            let code = await Self.code {
                _ = try await LocalSigner(database: database, passphrases: file, configuration: configuration)
            }
            #expect(code == .passphrase)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }
}
