// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
import Foundation
import SwiftASN1
import Testing
import TokenAuthentication
import X509

@testable import TokenService

@Suite("Keys of the token service")
struct TokenKeysTests {
    @Test("keys are made once, for their owner alone, and found again")
    func made() throws {
        let directory = try TemporaryDirectory()
        let clock = TestClock()
        let first = try TokenKeys(directory: directory.path, now: { clock.date })
        let second = try TokenKeys(directory: directory.path, now: { clock.date })
        #expect(first.signer.verificationKey == second.signer.verificationKey)
        #expect(first.refreshKey == second.refreshKey)
        for name in ["ca.key", "key.pem", "refresh.key"] {
            #expect(DurableFile.mode(of: "\(directory.path)/\(name)")?.permissions == 0o600)
        }
        #expect(first.certificatesPath == directory.path + "/certificates.pem")
        #expect(DurableFile.mode(of: first.certificatesPath)?.permissions == 0o644)
    }

    @Test("the signing key is replaced by age; what others are given of it stays the same, and so do old tokens")
    func rotated() throws {
        let directory = try TemporaryDirectory()
        let clock = TestClock()
        let keys = try TokenKeys(directory: directory.path, now: { clock.date })
        let certificates = try String(contentsOfFile: keys.certificatesPath, encoding: .utf8)
        let old = keys.signer
        let certificate = try Certificate(
            pemEncoded: LocalPEM.certificate(
                in: try String(contentsOfFile: directory.path + "/key.pem", encoding: .utf8)
            )
        )
        clock.advance(.seconds(59 * 86_400))
        #expect(try !keys.refresh())
        clock.advance(.seconds(2 * 86_400))
        #expect(try keys.refresh())
        #expect(keys.signer.verificationKey != old.verificationKey)
        #expect(try String(contentsOfFile: keys.certificatesPath, encoding: .utf8) == certificates)
        // The old certificate outlives every token that was signed with its key.
        #expect(certificate.notValidAfter > clock.date.addingTimeInterval(86_400))
        let authority = try Certificate(pemEncoded: certificates)
        #expect(authority.publicKey.isValidSignature(certificate.signature, for: certificate))
    }

    @Test("a broken key is named, not replaced")
    func broken() throws {
        let directory = try TemporaryDirectory()
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: directory.path + "/refresh.key"))
        #expect {
            try TokenKeys(directory: directory.path, now: { Date() })
        } throws: { error in
            "\(error)".contains("refresh.key")
        }
    }
}

enum LocalPEM {
    /// The first certificate of a file that has a key before it.
    static func certificate(in text: String) -> String {
        text.range(of: "-----BEGIN CERTIFICATE-----").map { String(text[$0.lowerBound...]) } ?? ""
    }
}

@Suite("Refresh tokens")
struct RefreshTokensTests {
    private let tokens = RefreshTokens(key: .init(size: .bits256), lifetime: 1_000)
    private let hash: BcryptHash

    init() throws {
        self.hash = try BcryptHash.make("password", cost: 4)
    }

    @Test("a token is its user's, until it expires", arguments: ["alice", "a.b.c", "zoë"])
    func lifetime(user: String) {
        let token = self.tokens.token(for: user, hash: self.hash, now: 5_000)
        #expect(self.tokens.user(of: token, now: 5_000) { $0 == user ? self.hash : nil } == user)
        #expect(self.tokens.user(of: token, now: 5_999) { _ in self.hash } == user)
        #expect(self.tokens.user(of: token, now: 6_000) { _ in self.hash } == nil)
        // Made in a future that this clock does not know.
        #expect(self.tokens.user(of: token, now: 4_900) { _ in self.hash } == nil)
    }

    @Test("it ends when the password is set again, to the same one too, and when the user goes")
    func revoked() throws {
        let token = self.tokens.token(for: "alice", hash: self.hash, now: 5_000)
        let again = try BcryptHash.make("password", cost: 4)
        #expect(self.tokens.user(of: token, now: 5_001) { _ in again } == nil)
        #expect(self.tokens.user(of: token, now: 5_001) { _ in nil } == nil)
    }

    @Test("a token of another key, or changed in any place, is none")
    func forged() {
        let token = self.tokens.token(for: "alice", hash: self.hash, now: 5_000)
        let other = RefreshTokens(key: .init(size: .bits256), lifetime: 1_000)
        #expect(other.user(of: token, now: 5_001) { _ in self.hash } == nil)
        for index in token.indices {
            var changed = token
            changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
            #expect(self.tokens.user(of: changed, now: 5_001) { _ in self.hash } == nil, "\(changed)")
        }
        for text in [
            "", ".", "..", "hallmark1..", "hallmark1.AAAA.AAAA", token + ".x", String(repeating: "x", count: 5_000),
        ] {
            #expect(self.tokens.user(of: text, now: 5_001) { _ in self.hash } == nil)
        }
    }
}
