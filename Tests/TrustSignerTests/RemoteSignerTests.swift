// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import HTTPService
import KeyStore
import NotaryAPI
import SignerAPI
import TUF
import Testing

@testable import TrustSigner

@Suite("The signer behind a socket")
struct RemoteSignerTests {
    private static let gun = "example.com/wire/one"
    private static let unknown = KeyID(String(repeating: "0", count: 64))

    @Test("makes, finds, uses and forgets a key", arguments: [KeyType.ecdsa, .ed25519])
    func lifeOfAKey(algorithm: KeyType) async throws {
        try await SignerHouse.withPair { _, client in
            let key = try await client.createKey(algorithm: algorithm, gun: Self.gun, role: .timestamp)
            #expect(key.type == algorithm)
            #expect(try await client.createKey(algorithm: algorithm, gun: Self.gun, role: .timestamp) == key)
            #expect(try await client.publicKey(key.id) == key)
            let signature = try await client.sign(Array("a message".utf8), with: key.id)
            #expect(signature.keyID == key.id)
            #expect(key.isValid(signature, for: Array("a message".utf8)))
            #expect(try await client.createKey(algorithm: algorithm, gun: Self.gun, role: .timestamp) != key)
            try await client.deleteKey(key.id)
            try await client.deleteKey(key.id)
            #expect(try await client.publicKey(key.id) == nil)
            #expect(await signerCode { _ = try await client.sign([1], with: key.id) } == .keyNotFound)
        }
    }

    @Test("signs with an RSA key that somebody put into its database, and makes none")
    func rsa() async throws {
        try await SignerHouse.withPair { house, client in
            let key = try await PrivateKey.generate(.rsa(bits: 2048))
            let encrypted = try KeyEncryption(iterations: 1000)
                .encrypt(key.signerForm, passphrase: Passphrase("a passphrase"))
            let row = StoredKey(
                id: key.publicKey.id,
                algorithm: .rsa,
                alias: "timestamp_1",
                publicBytes: key.publicKey.bytes,
                encrypted: encrypted,
                role: .snapshot,
                lastUsed: nil
            )
            try await house.database.write { try row.insert(on: $0, gun: Self.gun, at: 1) }
            #expect(try await client.publicKey(key.publicKey.id) == key.publicKey)
            let signature = try await client.sign([1, 2, 3], with: key.publicKey.id)
            #expect(signature.method == .rsaPSS)
            #expect(key.publicKey.isValid(signature, for: [1, 2, 3]))
            await #expect {
                try await client.createKey(algorithm: .rsa, gun: Self.gun, role: .timestamp)
            } throws: { error in
                let error = error as? SignerError
                return error?.code == .unsupportedAlgorithm
                    && error?.message == "algorithm rsa not supported for create key"
            }
        }
    }

    @Test("signs a snapshot of megabytes")
    func largeMessage() async throws {
        try await SignerHouse.withPair { _, client in
            let key = try await client.createKey(algorithm: .ecdsa, gun: Self.gun, role: .snapshot)
            let message = [UInt8](repeating: 0x61, count: 6 << 20)
            let signature = try await client.sign(message, with: key.id)
            #expect(key.isValid(signature, for: message))
            let tooLarge = [UInt8](repeating: 0x61, count: (8 << 20) + 1)
            #expect(await signerCode { _ = try await client.sign(tooLarge, with: key.id) } == .unavailable)
        }
    }

    @Test("many calls at once get their own answers")
    func concurrency() async throws {
        try await SignerHouse.withPair { _, client in
            let keys = try await withThrowingTaskGroup(of: PublicKey.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        try await client.createKey(algorithm: .ed25519, gun: "g/\(index)", role: .timestamp)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(keys.map(\.id)).count == 8)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<400 {
                    let key = keys[index % keys.count]
                    let message = Array("message \(index)".utf8)
                    group.addTask { key.isValid(try await client.sign(message, with: key.id), for: message) }
                }
                for try await isValid in group { #expect(isValid) }
            }
        }
    }

    @Test("says that it is in order, and that it is not when its database is gone")
    func health() async throws {
        try await SignerHouse.withPair { house, client in
            try await client.check()
            try await house.database.close()
            #expect(await signerCode { try await client.check() } == .unavailable)
            // A key that cannot be looked for is not a key that is not there.
            #expect(await signerCode { _ = try await client.publicKey(Self.unknown) } == .unavailable)
        }
    }

    // MARK: - Who may connect

    @Test("a client without a certificate, or with one of another authority or for another use, is refused")
    func clientCertificates() async throws {
        try await SignerHouse.with { house in
            let (server, address) = try await house.server()
            let other = LocalCertificateAuthority(directory: house.directory + "/other")
            let own = house.authority.certificatePath
            let strangers = [
                try await house.client(address, source: .anonymous, roots: own),
                try await house.client(address, source: .authority(other, use: .signerClient), roots: own),
                try await house.client(address, source: .authority(house.authority, use: .server), roots: own),
            ]
            let client = try await house.client(address)
            try await SignerHouse.running([server, client] + strangers) {
                for stranger in strangers {
                    #expect(await signerCode { _ = try await stranger.publicKey(Self.unknown) } == .unavailable)
                }
                // And that does not disturb those who may.
                let found = try await client.publicKey(Self.unknown)
                #expect(found == nil)
            }
        }
    }

    @Test("a signer that asks for no certificate answers a client that has none")
    func anonymousClient() async throws {
        try await SignerHouse.with { house in
            let (server, address) = try await house.server(asksForCertificates: false)
            let client = try await house.client(address, source: .anonymous)
            try await SignerHouse.running([server, client]) {
                let found = try await client.publicKey(Self.unknown)
                #expect(found == nil)
            }
        }
    }

    @Test("a signer of another authority, or under another name, is not asked")
    func serverCertificates() async throws {
        try await SignerHouse.with { house in
            let (server, address) = try await house.server()
            let other = LocalCertificateAuthority(directory: house.directory + "/other")
            _ = try other.identity()
            let strict = try await house.client(address, roots: other.certificatePath)
            let misled = try await house.client(SignerAddress(host: "127.0.0.2", port: address.port))
            try await SignerHouse.running([server, strict, misled]) {
                #expect(await signerCode { _ = try await strict.publicKey(Self.unknown) } == .unavailable)
                #expect(await signerCode { _ = try await misled.publicKey(Self.unknown) } == .unavailable)
            }
        }
    }

    // MARK: - A signer that is not well

    @Test("a signer that accepts and says nothing is given up when the time is up")
    func silence() async throws {
        try await SignerHouse.with { house in
            let socket = try ListeningSocket(host: "127.0.0.1", port: 0)
            let client = try await house.client(SignerAddress(host: "127.0.0.1", port: socket.port)) {
                $0.deadline = .milliseconds(300)
            }
            try await SignerHouse.running([client]) {
                #expect(await signerCode { _ = try await client.sign([1], with: Self.unknown) } == .unavailable)
            }
        }
    }

    @Test("where one signer says nothing, or is not there, another one is asked")
    func failover() async throws {
        try await SignerHouse.with { house in
            let silent = try ListeningSocket(host: "127.0.0.1", port: 0)
            let (server, address) = try await house.server()
            let client = try await house.client(
                SignerAddress(host: "127.0.0.1", port: silent.port),
                SignerAddress(host: "127.0.0.1", port: try Self.closedPort()),
                address
            ) { $0.attemptDeadline = .seconds(3) }
            try await SignerHouse.running([server, client]) {
                let key = try await client.createKey(algorithm: .ecdsa, gun: Self.gun, role: .timestamp)
                for index in 0..<20 {
                    let signature = try await client.sign([UInt8(index)], with: key.id)
                    #expect(key.isValid(signature, for: [UInt8(index)]))
                }
            }
        }
    }

    @Test("a signer that comes back is found again")
    func restart() async throws {
        try await SignerHouse.with { house in
            let (first, address) = try await house.server()
            let client = try await house.client(address)
            try await SignerHouse.running([client]) {
                try await SignerHouse.running([first]) {
                    let found = try await client.publicKey(Self.unknown)
                    #expect(found == nil)
                }
                #expect(await signerCode { _ = try await client.publicKey(Self.unknown) } == .unavailable)
                let (second, _) = try await house.server(port: address.port)
                try await SignerHouse.running([second]) {
                    var code: SignerError.Code? = .unavailable
                    for _ in 0..<400 where code == .unavailable {
                        code = await signerCode { _ = try await client.publicKey(Self.unknown) }
                    }
                    #expect(code == nil)
                }
            }
        }
    }

    /// A port that nobody listens on.
    private static func closedPort() throws -> Int {
        try ListeningSocket(host: "127.0.0.1", port: 0).port
    }
}
