// SPDX-License-Identifier: Apache-2.0

import CryptoExtras
public import FoundationEssentials
import SwiftASN1
public import X509

/// The certificates of one root key: a leaf and the intermediates above it, as PEM.
struct CertificateBundle {
    /// More certificates than a bundle may have.
    private static let maximumCount = 16
    private static let maximumBytes = 1 << 17

    let certificates: [Certificate]
    /// The first certificate: the one whose key verifies.
    let first: Certificate

    /// - Throws: ``TUFError`` with code `invalidKey` when the bytes are not one or more PEM certificates.
    init(pem: [UInt8]) throws {
        guard pem.count <= Self.maximumBytes else {
            throw TUFError(.invalidKey, "a certificate bundle of more than \(Self.maximumBytes) bytes")
        }
        do {
            let documents = try PEMDocument.parseMultiple(pemString: String(decoding: pem, as: UTF8.self))
            guard documents.count <= Self.maximumCount else {
                throw TUFError(.invalidKey, "a bundle of more than \(Self.maximumCount) certificates")
            }
            self.certificates = try documents.map { try Certificate(pemDocument: $0) }
        } catch let error as TUFError {
            throw error
        } catch {
            throw TUFError(.invalidKey, "not a PEM certificate: \(error)")
        }
        guard let first = self.certificates.first else { throw TUFError(.invalidKey, "no PEM certificate") }
        self.first = first
    }

    /// The leaf of a bundle that may sign the root of a collection: the first certificate is not a CA's and all others
    /// are, its common name is the collection's, it is in force (unless no time is given), and its signature is strong.
    /// - Throws: ``TUFError`` with code `untrustedRoot` that says which of these fails.
    func rootLeaf(for gun: String, at now: Date?) throws -> Certificate {
        func refuse(_ reason: String) -> TUFError { TUFError(.untrustedRoot, role: .root, reason) }
        guard Self.isAuthority(self.first) == false,
            self.certificates.dropFirst().allSatisfy({ Self.isAuthority($0) == true })
        else {
            throw refuse("a root key must be one certificate that is not a CA's, followed by those of its CAs alone")
        }
        let name = Self.commonName(of: self.first) ?? ""
        guard Self.commonName(name, covers: gun) else {
            throw refuse("the root certificate is for \(name.prefix(255)), not for \(gun)")
        }
        if let now {
            guard self.first.notValidAfter >= now else {
                throw refuse("the root certificate for \(gun) expired on \(Expiry(self.first.notValidAfter))")
            }
            // A day of slack for clocks that disagree, as Notary gives.
            guard self.first.notValidBefore <= now.addingTimeInterval(86400) else {
                throw refuse("the root certificate for \(gun) is not valid before \(Expiry(self.first.notValidBefore))")
            }
        }
        guard self.first.signatureAlgorithm != .sha1WithRSAEncryption else {
            throw refuse("the root certificate for \(gun) is signed with SHA-1")
        }
        return self.first
    }

    /// Whether it is a CA's certificate; nil when it says so in a way that cannot be read.
    private static func isAuthority(_ certificate: Certificate) -> Bool? {
        do {
            if case .isCertificateAuthority = try certificate.extensions.basicConstraints { return true }
            return false
        } catch {
            return nil
        }
    }

    /// The common name; nil when there is none, or more than one: peers differ in which they take.
    static func commonName(of certificate: Certificate) -> String? {
        let names = certificate.subject.joined().filter { $0.type == .RDNAttributeType.commonName }
        guard names.count == 1 else { return nil }
        return names.first.flatMap { String($0.value) }
    }

    /// Exact, or a prefix when the name ends in stars.
    static func commonName(_ name: String, covers gun: String) -> Bool {
        if name.utf8.elementsEqual(gun.utf8) { return true }
        guard name.utf8.last == UInt8(ascii: "*") else { return false }
        let stars = name.utf8.reversed().prefix { $0 == UInt8(ascii: "*") }.count
        return gun.utf8.starts(with: name.utf8.dropLast(stars))
    }
}

/// What a key that is a certificate says of itself, for people to read. Nothing of it is verified.
public struct CertificateDetails: Sendable, Hashable {
    /// The common name: of a root certificate the collection's. Nil when there is none, or more than one.
    public let commonName: String?
    /// When it begins to be valid.
    public let notBefore: Date
    /// When it ends.
    public let notAfter: Date
}

extension PublicKey {
    /// What the first certificate says; nil for a key that is no certificate, or none that can be read.
    public var certificate: CertificateDetails? {
        guard self.type.isCertificate, let certificate = try? CertificateBundle(pem: self.bytes).first else {
            return nil
        }
        return CertificateDetails(
            commonName: CertificateBundle.commonName(of: certificate),
            notBefore: certificate.notValidBefore,
            notAfter: certificate.notValidAfter
        )
    }

    /// A new self-signed certificate for the root of a collection, as Notary makes it: subject and issuer are the
    /// collection's name, code signing its only use.
    ///
    /// - Parameters:
    ///   - gun: the collection's globally unique name.
    ///   - privateKey: the root key. Each certificate of it has a ``id`` of its own.
    ///   - now: the start of its validity.
    ///   - lifetime: how long it is valid, in seconds; ten years by default.
    /// - Throws: ``TUFError`` with code `invalidKey` for a key that cannot sign certificates of root.
    public static func rootCertificate(
        for gun: String,
        signedBy privateKey: Certificate.PrivateKey,
        at now: Date,
        lifetime: TimeInterval = 3650 * 86400
    ) throws -> PublicKey {
        let fields = try RootCertificateFields(gun: gun, key: privateKey.publicKey, start: now, lifetime: lifetime)
        return try fields.listed(
            Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: privateKey.publicKey,
                notValidBefore: fields.start,
                notValidAfter: fields.end,
                issuer: fields.name,
                subject: fields.name,
                signatureAlgorithm: fields.signatureAlgorithm,
                extensions: fields.extensions,
                issuerPrivateKey: privateKey
            )
        )
    }

    /// A new self-signed certificate for the root of a collection by a key that takes its time to sign, such as one on a token.
    ///
    /// - Parameters:
    ///   - gun: the collection's globally unique name.
    ///   - privateKey: the root key. Each certificate of it has a ``id`` of its own.
    ///   - now: the start of its validity.
    ///   - lifetime: how long it is valid, in seconds; ten years by default.
    /// - Throws: ``TUFError`` with code `invalidKey` for a key that cannot sign certificates of root; whatever the key throws.
    public static func rootCertificate(
        for gun: String,
        signedAsynchronouslyBy privateKey: Certificate.PrivateKey,
        at now: Date,
        lifetime: TimeInterval = 3650 * 86400
    ) async throws -> PublicKey {
        let fields = try RootCertificateFields(gun: gun, key: privateKey.publicKey, start: now, lifetime: lifetime)
        return try fields.listed(
            await Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: privateKey.publicKey,
                notValidBefore: fields.start,
                notValidAfter: fields.end,
                issuer: fields.name,
                subject: fields.name,
                signatureAlgorithm: fields.signatureAlgorithm,
                extensions: fields.extensions,
                issuerAsyncPrivateKey: privateKey
            )
        )
    }
}

/// What a root certificate says, as Notary's do.
private struct RootCertificateFields {
    let name: DistinguishedName
    let start: Date
    let end: Date
    let isRSA: Bool
    let extensions: Certificate.Extensions

    init(gun: String, key: Certificate.PublicKey, start now: Date, lifetime: TimeInterval) throws {
        self.name = try DistinguishedName { CommonName(gun) }
        self.start = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        self.end = self.start.addingTimeInterval(lifetime)
        self.isRSA = try VerificationKey(key).isRSA
        self.extensions = try Certificate.Extensions {
            Critical(KeyUsage(digitalSignature: true, keyEncipherment: true))
            try ExtendedKeyUsage([.codeSigning])
            Critical(BasicConstraints.notCertificateAuthority)
        }
    }

    var signatureAlgorithm: Certificate.SignatureAlgorithm {
        self.isRSA ? .sha256WithRSAEncryption : .ecdsaWithSHA256
    }

    /// The certificate as metadata lists it.
    /// - Throws: ``TUFError`` with code `invalidKey` when the key that signed it is not the one in it.
    func listed(_ certificate: Certificate) throws -> PublicKey {
        guard certificate.publicKey.isValidSignature(certificate.signature, for: certificate) else {
            throw TUFError(.invalidKey, role: .root, "the root certificate is not signed by its own key")
        }
        let pem = try certificate.serializeAsPEM().pemString
        return PublicKey(type: self.isRSA ? .rsaX509 : .ecdsaX509, bytes: Array((pem + "\n").utf8))
    }
}
