// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import TUF
import Testing

@Suite("Files of public keys and certificates")
struct PublicKeyFileTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    @Test("a public key is listed bare, a certificate whole; text around them does not matter")
    func listed() async throws {
        let key = try await PrivateKey.generate(.p256)
        let text = try PublicKeyFile.text(key.publicKey)
        let bare = try PublicKeyFile.listedKey(Array("Subject: jane\r\n\(text)".utf8), at: self.now)
        #expect(bare == key.publicKey)
        let certificate = try PublicKey.rootCertificate(for: "jane", signedBy: key.certificateKey, at: self.now)
        let listed = try PublicKeyFile.listedKey(certificate.bytes, at: self.now)
        #expect(listed == certificate)
        #expect(try listed.canonicalID == key.publicKey.id)
    }

    @Test("a certificate that is not in force is refused", arguments: [-2 * 86400, 400 * 86400])
    func notInForce(offset: TimeInterval) async throws {
        let key = try await PrivateKey.generate(.p256)
        let certificate = try PublicKey.rootCertificate(
            for: "jane",
            signedBy: key.certificateKey,
            at: self.now,
            lifetime: 365 * 86400
        )
        #expect(throws: TUFError(.invalidKey, "")) {
            try PublicKeyFile.listedKey(certificate.bytes, at: self.now.addingTimeInterval(offset))
        }
    }

    @Test("a root's certificate must be for the collection")
    func rootCertificate() async throws {
        let key = try await PrivateKey.generate(.p256)
        let certificate = try PublicKey.rootCertificate(for: "a/b", signedBy: key.certificateKey, at: self.now)
        #expect(try PublicKeyFile.rootCertificate(certificate.bytes, for: "a/b", at: self.now) == certificate)
        #expect(throws: TUFError(.untrustedRoot, "")) {
            try PublicKeyFile.rootCertificate(certificate.bytes, for: "a/c", at: self.now)
        }
        #expect(throws: KeyStoreError(.malformed, "")) {
            try PublicKeyFile.rootCertificate(Array(PublicKeyFile.text(key.publicKey).utf8), for: "a/b", at: self.now)
        }
    }

    @Test(
        "what is neither is refused",
        arguments: [
            "", "text", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ]
    )
    func others(text: String) {
        #expect(throws: (any Error).self) { try PublicKeyFile.listedKey(Array(text.utf8), at: self.now) }
        #expect(throws: (any Error).self) { try PublicKeyFile.key(Array(text.utf8)) }
    }
}
