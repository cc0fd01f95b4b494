// SPDX-License-Identifier: Apache-2.0

import Crypto
import DurableFiles
package import Foundation
import SwiftASN1
import X509

/// A certificate authority of this installation alone, and the certificates that it keeps fresh.
///
/// Under its directory: `ca.crt`, which clients are given; `ca.key`; and `server.pem`, the server's key and certificate
/// in one file so that they always belong together; likewise `signer.pem` and `signer-client.pem` for the two ends of the
/// signer's mutual TLS. Keys have mode 0600. All ECDSA P-256.
package struct LocalCertificateAuthority: Sendable {
    /// A key and its certificate chain, both PEM; the server's certificate comes first.
    package struct Identity: Sendable, Equatable {
        package let keyPEM: String
        package let chainPEM: String
        package let notValidAfter: Date
    }

    /// Who shows a certificate: one that is for one use is refused for another.
    package enum Use: Sendable {
        /// The servers that clients connect to.
        case server
        /// The signer, to the trust server.
        case signer
        /// The trust server, to the signer.
        case signerClient
        /// A token service, in its tokens: no connection shows it.
        case tokenSigner

        fileprivate var fileName: String {
            switch self {
            case .server: "server.pem"
            case .signer: "signer.pem"
            case .signerClient: "signer-client.pem"
            case .tokenSigner: "key.pem"
            }
        }

        fileprivate var commonName: String {
            switch self {
            case .server: "Hallmark server"
            case .signer: "Hallmark signer"
            case .signerClient: "Hallmark trust server"
            case .tokenSigner: "Hallmark token service"
            }
        }

        /// The names of this machine are those of its servers.
        fileprivate var hasNames: Bool { self == .server || self == .signer }

        fileprivate var extendedKeyUsage: ExtendedKeyUsage.Usage? {
            switch self {
            case .server, .signer: .serverAuth
            case .signerClient: .clientAuth
            case .tokenSigner: nil
            }
        }
    }

    private static let day: TimeInterval = 86_400

    /// Where the files are.
    package let directory: String
    /// The names and addresses that the server certificate is for.
    package let names: [String]
    /// How long a server certificate lives; it is renewed when two thirds have passed.
    package var serverLifetime: TimeInterval = 90 * Self.day
    /// How long the authority lives.
    package var authorityLifetime: TimeInterval = 3_652 * Self.day
    private let certificateName: String
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - directory: Made, with mode 0700, when it is not there.
    ///   - certificateName: The authority's certificate in it.
    ///   - names: Further host names or IP addresses, beside localhost, the loopback addresses and the host's name.
    ///   - hostName: What this machine calls itself.
    ///   - now: The time.
    package init(
        directory: String,
        certificateName: String = "ca.crt",
        names: [String] = [],
        hostName: String = ProcessInfo.processInfo.hostName,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.directory = directory
        var unique: [String] = []
        for name in ["localhost", "127.0.0.1", "::1", hostName] + names
        where !name.isEmpty && !unique.contains(name.lowercased()) {
            unique.append(name.lowercased())
        }
        self.names = unique
        self.certificateName = certificateName
        self.now = now
    }

    /// The certificate that clients must trust.
    package var certificatePath: String { self.directory + "/" + self.certificateName }
    private var keyPath: String { self.directory + "/ca.key" }

    /// Where key and certificate for a use are, in one file.
    package func path(for use: Use) -> String { self.directory + "/" + use.fileName }

    /// The identity for a use; makes the authority and the certificate that are missing, and a new certificate when the
    /// old one is near its end, is for other names or of another authority. Blocks while it writes files.
    /// - Throws: ``TLSIdentityError`` when the files contradict each other, `FileSystemError` when they can't be written.
    package func identity(for use: Use = .server) throws -> Identity {
        try DurableFile.makeDirectory(self.directory)
        return try DurableFile.withLockedDirectory(self.directory) {
            let authority = try self.authority()
            if let current = self.storedIdentity(for: use, of: authority.certificate) { return current }
            return try self.issue(for: use, by: authority)
        }
    }

    // MARK: The authority

    private struct Authority {
        let key: Certificate.PrivateKey
        let certificate: Certificate
    }

    private func authority() throws -> Authority {
        let hasKey = FileManager.default.fileExists(atPath: self.keyPath)
        let hasCertificate = FileManager.default.fileExists(atPath: self.certificatePath)
        guard hasKey || !hasCertificate else {
            throw TLSIdentityError(
                .inconsistent,
                "\(self.certificatePath) has no key beside it: put \(self.keyPath) back, "
                    + "or remove the certificate to have a new authority made, which all clients must then be given"
            )
        }
        // The key comes first: a crash between the two leaves a key whose certificate is made at the next start.
        let key = hasKey ? try self.readKey() : try self.makeKey()
        if hasCertificate {
            let certificate = try self.readCertificate()
            guard certificate.publicKey == key.publicKey else {
                throw TLSIdentityError(.inconsistent, "\(self.keyPath) is not the key of \(self.certificatePath)")
            }
            guard certificate.notValidAfter > self.now() else {
                throw TLSIdentityError(
                    .expired,
                    "\(self.certificatePath) expired at \(certificate.notValidAfter): remove it and \(self.keyPath) "
                        + "to have a new authority made, and give its certificate to all clients"
                )
            }
            return Authority(key: key, certificate: certificate)
        }
        let certificate = try self.makeCertificate(for: key)
        return Authority(key: key, certificate: certificate)
    }

    private func readKey() throws -> Certificate.PrivateKey {
        do {
            return try Certificate.PrivateKey(pemEncoded: try String(contentsOfFile: self.keyPath, encoding: .utf8))
        } catch {
            throw TLSIdentityError(.unreadable, "\(self.keyPath) is not a readable private key: \(error)")
        }
    }

    private func makeKey() throws -> Certificate.PrivateKey {
        let key = P256.Signing.PrivateKey()
        try DurableFile.replace(self.keyPath, with: Array((key.pemRepresentation + "\n").utf8))
        return Certificate.PrivateKey(key)
    }

    private func readCertificate() throws -> Certificate {
        do {
            return try Certificate(pemEncoded: try String(contentsOfFile: self.certificatePath, encoding: .utf8))
        } catch {
            throw TLSIdentityError(.unreadable, "\(self.certificatePath) is not a readable certificate: \(error)")
        }
    }

    private func makeCertificate(for key: Certificate.PrivateKey) throws -> Certificate {
        let keyIdentifier = Self.keyIdentifier(of: key.publicKey)
        // Each authority has a name of its own: verifiers look issuers up by name.
        let tag = keyIdentifier.prefix(4).map { String($0, radix: 16) }.joined()
        let name = try DistinguishedName {
            OrganizationName("Hallmark")
            CommonName("Hallmark local CA \(tag)")
        }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: key.publicKey,
            notValidBefore: self.now().addingTimeInterval(-Self.day),
            notValidAfter: self.now().addingTimeInterval(self.authorityLifetime),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(keyIdentifier: keyIdentifier)
            },
            issuerPrivateKey: key
        )
        let pem = try certificate.serializeAsPEM().pemString + "\n"
        try DurableFile.replace(self.certificatePath, with: Array(pem.utf8), permissions: 0o644)
        return certificate
    }

    // MARK: The certificates it issues

    /// What is stored, if it can still be used.
    private func storedIdentity(for use: Use, of authority: Certificate) -> Identity? {
        guard
            let text = try? String(contentsOfFile: self.path(for: use), encoding: .utf8),
            let documents = try? PEMDocument.parseMultiple(pemString: text),
            let keyDocument = documents.first(where: { $0.discriminator.hasSuffix("PRIVATE KEY") }),
            let leafDocument = documents.first(where: { $0.discriminator == "CERTIFICATE" }),
            let key = try? Certificate.PrivateKey(pemDocument: keyDocument),
            let leaf = try? Certificate(pemDocument: leafDocument),
            leaf.publicKey == key.publicKey,
            authority.publicKey.isValidSignature(leaf.signature, for: leaf),
            leaf.issuer == authority.subject,
            let names = try? leaf.extensions.subjectAlternativeNames.map(Array.init) ?? [],
            names == self.subjectAlternativeNames(for: use),
            self.now() >= leaf.notValidBefore,
            self.now() < leaf.notValidAfter.addingTimeInterval(-self.serverLifetime / 3)
        else { return nil }
        return Identity(
            keyPEM: keyDocument.pemString,
            chainPEM: leafDocument.pemString,
            notValidAfter: leaf.notValidAfter
        )
    }

    private func issue(for use: Use, by authority: Authority) throws -> Identity {
        let key = P256.Signing.PrivateKey()
        let publicKey = Certificate.PublicKey(key.publicKey)
        let names = self.subjectAlternativeNames(for: use)
        let notValidAfter = min(self.now().addingTimeInterval(self.serverLifetime), authority.certificate.notValidAfter)
        let leaf = try Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: publicKey,
            notValidBefore: self.now().addingTimeInterval(-Self.day),
            notValidAfter: notValidAfter,
            issuer: authority.certificate.subject,
            subject: try DistinguishedName {
                OrganizationName("Hallmark")
                CommonName(use.commonName)
            },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                if let usage = use.extendedKeyUsage { try ExtendedKeyUsage([usage]) }
                SubjectKeyIdentifier(keyIdentifier: Self.keyIdentifier(of: publicKey))
                AuthorityKeyIdentifier(keyIdentifier: Self.keyIdentifier(of: authority.key.publicKey))
                if !names.isEmpty { SubjectAlternativeNames(names) }
            },
            issuerPrivateKey: authority.key
        )
        let keyPEM = key.pemRepresentation
        let chainPEM = try leaf.serializeAsPEM().pemString
        try DurableFile.replace(self.path(for: use), with: Array("\(keyPEM)\n\(chainPEM)\n".utf8))
        return Identity(keyPEM: keyPEM, chainPEM: chainPEM, notValidAfter: leaf.notValidAfter)
    }

    /// Others are known by the authority alone.
    private func subjectAlternativeNames(for use: Use) -> [GeneralName] {
        guard use.hasNames else { return [] }
        return self.names.map { name in
            if let address = Self.addressBytes(name, family: AF_INET, count: 4)
                ?? Self.addressBytes(name, family: AF_INET6, count: 16)
            {
                .ipAddress(ASN1OctetString(contentBytes: address[...]))
            } else {
                .dnsName(name)
            }
        }
    }

    /// The address that `text` stands for, in network order; nil when it is a name.
    private static func addressBytes(_ text: String, family: CInt, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }

    /// RFC 5280, section 4.2.1.2, method 1 in spirit: a hash of the public key.
    private static func keyIdentifier(of key: Certificate.PublicKey) -> ArraySlice<UInt8> {
        ArraySlice(SHA256.hash(data: key.subjectPublicKeyInfoBytes).prefix(20))
    }
}
