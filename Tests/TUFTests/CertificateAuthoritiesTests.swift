// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import SwiftASN1
import TUF
import Testing
import X509

@Suite("Authorities of root certificates")
struct CertificateAuthoritiesTests {
    /// A CA, or a leaf, and its key.
    private struct Issued {
        let key = P256.Signing.PrivateKey()
        let certificate: Certificate
        var pem: String { get throws { try self.certificate.serializeAsPEM().pemString + "\n" } }

        init(
            _ name: String,
            by issuer: Issued? = nil,
            isAuthority: Bool = false,
            usages: [ExtendedKeyUsage.Usage]? = nil,
            keyUsage: KeyUsage? = nil,
            from: TimeInterval = -10,
            to: TimeInterval = 86400
        ) throws {
            let subject = try DistinguishedName { CommonName(name) }
            let own = Certificate.PrivateKey(self.key)
            self.certificate = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: own.publicKey,
                notValidBefore: Fixture.now.addingTimeInterval(from),
                notValidAfter: Fixture.now.addingTimeInterval(to),
                issuer: issuer?.certificate.subject ?? subject,
                subject: subject,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(
                        isAuthority
                            ? BasicConstraints.isCertificateAuthority(maxPathLength: nil)
                            : BasicConstraints.notCertificateAuthority
                    )
                    if let usages { try ExtendedKeyUsage(usages) }
                    if let keyUsage { Critical(keyUsage) }
                },
                issuerPrivateKey: issuer.map { Certificate.PrivateKey($0.key) } ?? own
            )
        }
    }

    private func vouches(_ authorities: [Issued], for chain: Issued..., at now: Date = Fixture.now) async throws -> Bool
    {
        let pem = try authorities.map { try $0.pem }.joined()
        let key = PublicKey(type: .ecdsaX509, bytes: Array(try chain.map { try $0.pem }.joined().utf8))
        return await (try CertificateAuthorities(pem: Array(pem.utf8))).vouch(for: key, at: now)
    }

    @Test("vouch for leaves that lead to them, through the intermediates of the bundle and no others")
    func chains() async throws {
        let root = try Issued("Root CA", isAuthority: true)
        let middle = try Issued("Middle CA", by: root, isAuthority: true)
        let leaf = try Issued(Fixture.gun, by: middle)
        #expect(try await self.vouches([root], for: leaf, middle))
        #expect(try await self.vouches([middle], for: leaf))
        #expect(try await !self.vouches([root], for: leaf))
        let other = try Issued("Root CA", isAuthority: true)
        #expect(try await !self.vouches([other], for: leaf, middle))
        #expect(try await self.vouches([other, root], for: leaf, middle))
        #expect(try await !self.vouches([root], for: Issued(Fixture.gun)))
    }

    @Test("several intermediates of one name are not tried in every order")
    func namesakes() async throws {
        let root = try Issued("Root CA", isAuthority: true)
        let middle = try Issued("Middle CA", by: root, isAuthority: true)
        let other = try Issued("Middle CA", by: root, isAuthority: true)
        let leaf = try Issued(Fixture.gun, by: middle)
        #expect(try await !self.vouches([root], for: leaf, middle, other))
        #expect(try await self.vouches([root], for: leaf, middle, Issued("Another CA", by: root, isAuthority: true)))
    }

    @Test("an issuer whose key is for something else is none", arguments: [true, false])
    func keyUsage(signsCertificates: Bool) async throws {
        let root = try Issued("Root CA", isAuthority: true)
        let use = KeyUsage(digitalSignature: true, keyCertSign: signsCertificates)
        let middle = try Issued("Middle CA", by: root, isAuthority: true, keyUsage: use)
        let leaf = try Issued(Fixture.gun, by: middle, keyUsage: KeyUsage(digitalSignature: true))
        #expect(try await self.vouches([root], for: leaf, middle) == signsCertificates)
    }

    @Test("a leaf that issues another is no authority")
    func leafAsAuthority() async throws {
        let root = try Issued("Root CA", isAuthority: true)
        let stolen = try Issued("example.com/other", by: root)
        let forged = try Issued(Fixture.gun, by: stolen)
        #expect(try await !self.vouches([root], for: forged, stolen))
    }

    @Test("those that are out of force count for nothing")
    func validity() async throws {
        let root = try Issued("Root CA", isAuthority: true)
        let leaf = try Issued(Fixture.gun, by: root, to: 100)
        #expect(try await self.vouches([root], for: leaf))
        #expect(try await !self.vouches([root], for: leaf, at: Fixture.now.addingTimeInterval(101)))
        let expired = try Issued("Root CA", isAuthority: true, from: -10, to: -1)
        #expect(try await !self.vouches([expired], for: Issued(Fixture.gun, by: expired)))
    }

    @Test(
        "signing code and TLS servers are the purposes that count, and the chain must share one",
        arguments: [
            (nil, nil, true), ([.codeSigning], nil, true), ([.serverAuth], nil, true), ([.any], nil, true),
            ([.clientAuth], nil, false), ([.emailProtection, .serverAuth], nil, true),
            ([.codeSigning], [.serverAuth], false), ([.codeSigning], [.codeSigning], true), (nil, [.clientAuth], false),
        ] as [([ExtendedKeyUsage.Usage]?, [ExtendedKeyUsage.Usage]?, Bool)]
    )
    func purposes(leaf: [ExtendedKeyUsage.Usage]?, middle: [ExtendedKeyUsage.Usage]?, isTaken: Bool) async throws {
        let root = try Issued("Root CA", isAuthority: true)
        let authority = try Issued("Middle CA", by: root, isAuthority: true, usages: middle)
        let certificate = try Issued(Fixture.gun, by: authority, usages: leaf)
        #expect(try await self.vouches([root], for: certificate, authority) == isTaken)
    }

    @Test(
        "a file without certificates is refused",
        arguments: ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    func malformed(text: String) {
        #expect(throws: TUFError(.invalidKey, "")) { try CertificateAuthorities(pem: Array(text.utf8)) }
    }
}
