// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import KeyStore
import NotaryAPI
import TUF
import Testing

@testable import TrustSigner

@Suite("A new passphrase")
struct ReencryptionTests {
    private static func signer(_ house: SignerHouse, _ passphrases: any SignerPassphrases) async throws -> LocalSigner {
        var configuration = LocalSigner.Configuration()
        configuration.iterations = 1000
        configuration.cachedKeys = 1
        return try await LocalSigner(
            database: house.database,
            passphrases: passphrases,
            configuration: configuration
        )
    }

    private static func aliases(_ house: SignerHouse) async throws -> Set<String> {
        try await house.database.read { connection in
            Set(try connection.query("SELECT DISTINCT passphrase_alias FROM private_keys").map { try $0.text(0) })
        }
    }

    @Test("all keys are stored under it while a signer uses them and makes new ones")
    func whileServing() async throws {
        try await SignerHouse.with { house in
            let path = house.directory + "/signer/passphrase"
            let file = SignerPassphraseFile(path: path)
            let serving = try await Self.signer(house, file)
            var keys: [PublicKey] = []
            for index in 0..<8 {
                keys.append(try await serving.createKey(algorithm: .ed25519, gun: "g/\(index)", role: .timestamp))
            }
            try await serving.deleteKey(keys.removeLast().id)
            let before = keys
            let made = try await withThrowingTaskGroup(of: PublicKey?.self) { group in
                group.addTask {
                    let other = try await Self.signer(house, file)
                    let alias = try await file.renew()
                    #expect(alias == "file-2")
                    let result = try await other.reencrypt(to: alias)
                    #expect(result.failures.isEmpty)
                    #expect(result.count >= 8)
                    return nil
                }
                for round in 0..<4 {
                    for key in before {
                        group.addTask {
                            let signature = try await serving.sign([UInt8(round)], with: key.id)
                            #expect(key.isValid(signature, for: [UInt8(round)]))
                            return nil
                        }
                    }
                    group.addTask {
                        try await serving.createKey(algorithm: .ecdsa, gun: "new/\(round)", role: .snapshot)
                    }
                }
                return try await group.reduce(into: [PublicKey]()) { keys, key in key.map { keys.append($0) } }
            }
            _ = try await Self.signer(house, file).reencrypt(to: "file-2")
            #expect(try await Self.aliases(house) == ["file-2"])
            // The old one is needed no more.
            try FileManager.default.removeItem(atPath: path)
            let restarted = try await Self.signer(house, SignerPassphraseFile(path: path))
            for key in before + made {
                #expect(key.isValid(try await restarted.sign([9], with: key.id), for: [9]))
            }
        }
    }

    @Test("a key that cannot be read stays as it is, and is named; the others go on")
    func failures() async throws {
        try await SignerHouse.with { house in
            var passphrases = SignerHouse.Passphrases()
            passphrases.values["new"] = "another passphrase"
            let signer = try await Self.signer(house, passphrases)
            let good = try await signer.createKey(algorithm: .ecdsa, gun: "good", role: .timestamp)
            let bad = try await signer.createKey(algorithm: .ecdsa, gun: "bad", role: .timestamp)
            try await house.database.write {
                try $0.execute("UPDATE private_keys SET passphrase_alias = 'lost' WHERE key_id = ?", .text(bad.id.text))
            }
            let result = try await signer.reencrypt(to: "new")
            #expect(result.count == 1)
            #expect(Array(result.failures.keys) == [bad.id])
            #expect(try await Self.aliases(house) == ["new", "lost"])
            #expect(good.isValid(try await signer.sign([1], with: good.id), for: [1]))
            #expect(await signerCode { _ = try await signer.reencrypt(to: "nobody's") } == .passphrase)
        }
    }

    @Test("variables for new keys, the file for those that it has stored")
    func sources() async throws {
        try await SignerHouse.with { house in
            let file = SignerPassphraseFile(path: house.directory + "/signer/passphrase")
            let key = try await Self.signer(house, file).createKey(algorithm: .ecdsa, gun: "g", role: .timestamp)
            let variables = try EnvironmentSignerPassphrases(
                environment: ["NOTARY_SIGNER_DEFAULT_ALIAS": "mine", "NOTARY_SIGNER_MINE": "a passphrase of mine"]
            )
            let signer = try await Self.signer(house, SignerPassphraseSources(variables: variables, file: file))
            #expect(key.isValid(try await signer.sign([1], with: key.id), for: [1]))
            #expect(try await signer.reencrypt(to: signer.passphrases.defaultAlias).count == 1)
            let notary = try await Self.signer(house, variables)
            #expect(key.isValid(try await notary.sign([2], with: key.id), for: [2]))
        }
    }
}
