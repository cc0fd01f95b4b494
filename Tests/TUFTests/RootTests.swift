// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import SwiftASN1
import Testing
import X509

@testable import TUF

struct RootCertificateTests {
    @Test("is made as Notary makes it, in OpenSSL's eyes too")
    func shape() throws {
        let longName = "registry.example.com:5000/" + String(repeating: "team/", count: 20) + "app"
        let folder = try TemporaryFolder()
        let rsa = try KeyTests.rsa.get()
        for (key, algorithm) in [
            (Certificate.PrivateKey(P256.Signing.PrivateKey()), "ecdsa-with-SHA256"),
            (Certificate.PrivateKey(P384.Signing.PrivateKey()), "ecdsa-with-SHA"),
            (Certificate.PrivateKey(rsa), "sha256WithRSAEncryption"),
        ] {
            let root = try PublicKey.rootCertificate(
                for: longName,
                signedBy: key,
                at: Fixture.now.addingTimeInterval(0.75)
            )
            #expect(root.type == (algorithm.hasSuffix("RSAEncryption") ? .rsaX509 : .ecdsaX509))
            try folder.write("root.pem", root.bytes)
            let text = try folder.run("openssl", ["x509", "-in", "root.pem", "-noout", "-text", "-nameopt", "RFC2253"])
            for line in [
                "Version: 3 (0x2)", "Issuer: CN=\(longName)", "Subject: CN=\(longName)",
                "Not Before: Jan 15 08:00:00 2027 GMT",
                "Not After : Jan 12 08:00:00 2037 GMT",
                "X509v3 Key Usage: critical\n                Digital Signature, Key Encipherment\n",
                "X509v3 Extended Key Usage: \n                Code Signing\n",
                "X509v3 Basic Constraints: critical\n                CA:FALSE\n", "Signature Algorithm: \(algorithm)",
            ] { #expect(text.contains(line), "\(line) in \(text)") }
            #expect(text.matches(of: /X509v3 [A-Z]/).count == 3, "no further extension: \(text)")
            _ = try CertificateBundle(pem: root.bytes).rootLeaf(for: longName, at: Fixture.now)
        }
    }

    @Test("each certificate of a key has an id of its own, and all have the key's")
    func ids() throws {
        let key = P256.Signing.PrivateKey()
        let certificates = try (0..<2).map { _ in
            try PublicKey.rootCertificate(for: Fixture.gun, signedBy: Certificate.PrivateKey(key), at: Fixture.now)
        }
        #expect(certificates[0].id != certificates[1].id)
        let bare = TestKey(.p256(key)).publicKey.id
        for certificate in certificates { #expect(try certificate.canonicalID == bare) }
    }

    @Test("a key that Notary cannot use signs no root")
    func ed25519() {
        #expect(throws: TUFError(.invalidKey, "")) {
            try PublicKey.rootCertificate(
                for: "x",
                signedBy: Certificate.PrivateKey(Curve25519.Signing.PrivateKey()),
                at: Fixture.now
            )
        }
    }

    @Test(
        "covers a collection by its name, or by a prefix that ends in stars",
        arguments: [
            ("example.com/a", "example.com/a", true), ("example.com/a", "example.com/ab", false),
            ("example.com/ab", "example.com/a", false),
            ("example.com/*", "example.com/a", true), ("example.com/**", "example.com/a/b", true),
            ("example.com/*", "example.org/a", false), ("*", "x", true),
            ("*/a", "example.com/a", false), ("example.com/*a", "example.com/a", false), ("", "x", false),
            ("Example.com/a", "example.com/a", false),
            ("x/e\u{301}", "x/\u{e9}", false), ("x/e*", "x/e\u{301}", true),
        ]
    )
    func commonNames(_ name: String, _ gun: String, _ covers: Bool) {
        #expect(CertificateBundle.commonName(name, covers: gun) == covers)
    }

    private static func leaf(
        _ names: [String] = [Fixture.gun],
        _ constraints: BasicConstraints? = .notCertificateAuthority,
        from: TimeInterval = 0,
        to: TimeInterval = 86400
    ) throws -> String {
        let subject = DistinguishedName(
            names.map { RelativeDistinguishedName(.init(type: .RDNAttributeType.commonName, utf8String: $0)) }
        )
        return try KeyTests.certificate(
            Certificate.PrivateKey(P256.Signing.PrivateKey()),
            subject,
            constraints,
            from: Fixture.now.addingTimeInterval(from),
            to: Fixture.now.addingTimeInterval(to)
        )
    }

    @Test("is refused for another name, out of its time, or for a CA")
    func refusals() throws {
        func isFit(_ pem: String...) throws -> Bool {
            do {
                _ = try CertificateBundle(pem: Array(pem.joined(separator: "\n").utf8)).rootLeaf(
                    for: Fixture.gun,
                    at: Fixture.now
                )
                return true
            } catch let error as TUFError where error.code == .untrustedRoot {
                return false
            }
        }
        let authority = try Self.leaf(["CA"], .isCertificateAuthority(maxPathLength: nil))
        #expect(try isFit(Self.leaf()))
        #expect(try isFit(Self.leaf([Fixture.gun], nil)))
        #expect(try isFit(Self.leaf(["example.com/*"])))
        #expect(try isFit(Self.leaf(), authority))
        #expect(try isFit(Self.leaf(to: 0)))
        #expect(try isFit(Self.leaf(from: 86400, to: 90000)))
        #expect(try !isFit(Self.leaf(from: 86401, to: 90000)))
        #expect(try !isFit(Self.leaf(from: -10, to: -1)))
        #expect(try !isFit(Self.leaf(["example.com/other"])))
        #expect(try !isFit(Self.leaf([])))
        // Which of two names counts, peers do not agree on.
        #expect(try !isFit(Self.leaf(["example.com/other", Fixture.gun])))
        #expect(try !isFit(Self.leaf([Fixture.gun, "example.com/other"])))
        #expect(try !isFit(Self.leaf([Fixture.gun], .isCertificateAuthority(maxPathLength: 0))))
        #expect(try !isFit(authority, Self.leaf()))
        #expect(try !isFit(Self.leaf(), Self.leaf()))
        #expect(throws: TUFError(.invalidKey, "")) { try isFit(Array(repeating: authority, count: 17).joined()) }
        #expect(throws: TUFError(.invalidKey, "")) { try isFit("") }
        // Of one that was trusted before, the time does not matter.
        let expired = try CertificateBundle(pem: Array(try Self.leaf(from: -10, to: -1).utf8))
        _ = try expired.rootLeaf(for: Fixture.gun, at: nil)
    }
}

struct RootTrustTests {
    private func code(
        _ bytes: [UInt8],
        after trusted: Root? = nil,
        _ anchor: RootAnchor = .firstUse,
        gun: String = Fixture.gun,
        at now: Date = Fixture.now
    ) throws -> TUFError.Code? {
        do {
            let metadata = try UnverifiedMetadata(bytes, format: .notary)
            _ = try RootTrust(gun: gun, anchor: anchor).verify(metadata, after: trusted, at: now)
            return nil
        } catch let error as TUFError {
            return error.code
        }
    }

    @Test("takes the first root by its own signature and certificate, as far as the anchor lets it")
    func firstRoot() async throws {
        let publisher = try Publisher()
        let root = try await publisher.root()
        let id = publisher.rootKeys[0].publicKey.id
        #expect(try self.code(root) == nil)
        #expect(try self.code(root, .keyIDs([id])) == nil)
        #expect(try self.code(root, .keyIDs([id, KeyID("x")])) == nil)
        #expect(try self.code(root, .keyIDs([KeyID("x")])) == .untrustedRoot)
        #expect(try self.code(root, .keyIDs([])) == .untrustedRoot)
        #expect(try self.code(root, .knownOnly) == .untrustedRoot)
        #expect(try self.code(root, gun: "example.com/other") == .untrustedRoot)
        #expect(try self.code(root, at: Fixture.now.addingTimeInterval(3651 * 86400)) == .untrustedRoot)
        // The root's own expiry is for the workflow to judge.
        #expect(try self.code(root, at: Fixture.now.addingTimeInterval(3 * 86400)) == nil)
        let other = try TestKey.root()
        #expect(
            try self.code(try await publisher.rootPayload.signed(by: [other], format: .notary).bytes)
                == .thresholdNotMet
        )
    }

    @Test("root keys must be certificates")
    func bareKeys() async throws {
        var publisher = try Publisher()
        publisher.rootKeys = [TestKey()]
        #expect(try self.code(try await publisher.root()) == .untrustedRoot)
    }

    @Test("a pinned key must sign; that another root key did is not enough")
    func pinnedSigner() async throws {
        var publisher = try Publisher()
        let pinned = try TestKey.root()
        let attacker = publisher.rootKeys[0]
        publisher.rootKeys.append(pinned)
        let byAttacker = try await publisher.rootPayload.signed(by: [attacker], format: .notary).bytes
        #expect(try self.code(byAttacker, .keyIDs([pinned.publicKey.id])) == .thresholdNotMet)
        #expect(try self.code(try await publisher.root(), .keyIDs([pinned.publicKey.id])) == nil)
    }

    @Test("the threshold of root counts keys, not certificates")
    func certificatesOfOneKey() async throws {
        var publisher = try Publisher()
        let key = P256.Signing.PrivateKey()
        publisher.rootKeys = try (0..<2).map { _ in
            TestKey(
                .p256(key),
                publicKey: try .rootCertificate(
                    for: Fixture.gun,
                    signedBy: Certificate.PrivateKey(key),
                    at: Fixture.now
                )
            )
        }
        publisher.threshold[.root] = 2
        #expect(try self.code(try await publisher.root()) == .thresholdNotMet)
        publisher.rootKeys.append(try .root())
        #expect(try self.code(try await publisher.root()) == nil)
    }

    @Test("a successor is signed by the old keys and by its own")
    func rotation() async throws {
        var publisher = try Publisher()
        let old = publisher.rootPayload
        let oldKey = publisher.rootKeys[0]
        publisher.rootKeys = [try .root()]
        publisher.rootVersion = 2
        #expect(try self.code(try await publisher.root(alsoBy: [oldKey]), after: old) == nil)
        #expect(try self.code(try await publisher.root(), after: old) == .rootRotation)
        let byOldOnly = try await publisher.rootPayload.signed(by: [oldKey], format: .notary).bytes
        #expect(try self.code(byOldOnly, after: old) == .thresholdNotMet)
        // With a trusted root the anchor is not asked, and neither is the time of the old certificates.
        #expect(try self.code(try await publisher.root(alsoBy: [oldKey]), after: old, .knownOnly) == nil)
        let later = Fixture.now.addingTimeInterval(3651 * 86400)
        publisher.rootKeys = [try .root(at: later)]
        #expect(try self.code(try await publisher.root(alsoBy: [oldKey]), after: old, at: later) == nil)
        publisher.rootVersion = 0x7FFF_FFFF
        #expect(try self.code(try await publisher.root(alsoBy: [oldKey]), after: old, at: later) == nil)
        publisher.rootVersion = 1
        var newer = old
        newer.version = 2
        #expect(try self.code(try await publisher.root(alsoBy: [oldKey]), after: newer, at: later) == .rollback)
    }

    @Test("the old threshold binds the successor")
    func oldThreshold() async throws {
        var publisher = try Publisher()
        publisher.rootKeys.append(try .root())
        publisher.threshold[.root] = 2
        let old = publisher.rootPayload
        let oldKeys = publisher.rootKeys
        publisher.rootKeys = [try .root()]
        publisher.threshold[.root] = 1
        publisher.rootVersion = 2
        #expect(try self.code(try await publisher.root(alsoBy: [oldKeys[0]]), after: old) == .rootRotation)
        #expect(try self.code(try await publisher.root(alsoBy: oldKeys), after: old) == nil)
    }

    @Test("a stored root must be this collection's, and may have expired certificates")
    func stored() async throws {
        let publisher = try Publisher()
        let root = try UnverifiedMetadata(try await publisher.root(), format: .notary)
        #expect(try RootTrust(gun: Fixture.gun, anchor: .knownOnly).verifyStored(root).payload.version == 1)
        #expect(throws: TUFError(.untrustedRoot, "")) { try RootTrust(gun: "example.com/other").verifyStored(root) }
        let forged = try await publisher.rootPayload.signed(by: [try TestKey.root()], format: .notary).bytes
        #expect(throws: TUFError(.thresholdNotMet, "")) {
            try RootTrust(gun: Fixture.gun).verifyStored(try UnverifiedMetadata(forged, format: .notary))
        }
    }

    @Test("follows the roots of a collection that notary made and rotated")
    func vectors() throws {
        let trust = RootTrust(gun: "example.com/hallmark/vectors")
        let now = try Expiry(parsing: "2026-11-22T00:00:00Z").date
        var trusted: Root?
        for name in ["1.root", "2.root", "3.root"] {
            trusted = try trust.verify(
                try UnverifiedMetadata(try Fixture.vector(name), format: .notary),
                after: trusted,
                at: now
            ).payload
        }
        #expect(trusted?.version == 3)
    }
}
