// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import FoundationEssentials
import SwiftASN1
import Testing
import X509

@testable import TokenAuthentication

/// Certificates for token services that are made up.
struct TestAuthority {
    let key: P256.Signing.PrivateKey
    let certificate: Certificate

    init(_ name: String = "Test CA") throws {
        self.key = P256.Signing.PrivateKey()
        self.certificate = try Self.certificate(
            for: Certificate.PublicKey(self.key.publicKey),
            subject: name,
            issuer: name,
            isAuthority: true,
            signedBy: Certificate.PrivateKey(self.key)
        )
    }

    /// The certificate of somebody's key, with this authority above it.
    func certificate(
        for publicKey: P256.Signing.PublicKey,
        named name: String = "Token service",
        isAuthority: Bool = false,
        notAfter: Date = TestTime.date.addingTimeInterval(86400)
    ) throws -> Certificate {
        try Self.certificate(
            for: Certificate.PublicKey(publicKey),
            subject: name,
            issuer: "Test CA",
            isAuthority: isAuthority,
            notAfter: notAfter,
            signedBy: Certificate.PrivateKey(self.key)
        )
    }

    static func certificate(
        for publicKey: Certificate.PublicKey,
        subject: String,
        issuer: String,
        isAuthority: Bool,
        notBefore: Date = TestTime.date.addingTimeInterval(-86400),
        notAfter: Date = TestTime.date.addingTimeInterval(86400),
        signedBy key: Certificate.PrivateKey
    ) throws -> Certificate {
        try Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: publicKey,
            notValidBefore: notBefore,
            notValidAfter: notAfter,
            issuer: DistinguishedName { CommonName(issuer) },
            subject: DistinguishedName { CommonName(subject) },
            extensions: try Certificate.Extensions {
                Critical(
                    isAuthority
                        ? BasicConstraints.isCertificateAuthority(maxPathLength: nil)
                        : BasicConstraints.notCertificateAuthority
                )
            },
            issuerPrivateKey: key
        )
    }

    /// A key that vouches for itself.
    static func selfSigned(
        _ pem: String,
        notAfter: Date = TestTime.date.addingTimeInterval(86400)
    ) throws -> Certificate {
        let key = try Certificate.PrivateKey(pemEncoded: pem)
        return try Self.certificate(
            for: key.publicKey,
            subject: "Token service",
            issuer: "Token service",
            isAuthority: false,
            notAfter: notAfter,
            signedBy: key
        )
    }
}

/// The time that tests have.
enum TestTime {
    static let seconds: Int64 = 1_800_000_000
    static var date: Date { Date(timeIntervalSince1970: Double(Self.seconds)) }
}

extension JSONWebToken.Claims {
    /// Claims as the verifiers of the tests want them.
    static func test(
        issuer: String = "test issuer",
        subject: String = "alice",
        audience: [String] = ["test service"],
        from start: Int64 = 0,
        to end: Int64 = 300,
        access: [AccessEntry] = []
    ) -> JSONWebToken.Claims {
        JSONWebToken.Claims(
            issuer: issuer,
            subject: subject,
            audience: audience,
            issuedAt: TestTime.seconds + start,
            expires: TestTime.seconds + end,
            id: "1",
            access: access
        )
    }
}
