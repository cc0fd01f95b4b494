// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import X509

extension PublicKey {
    /// The key of a certificate, as Notary lists it: the whole PEM, the certificates of its authorities included.
    /// - Parameters:
    ///   - pem: the certificate, then those of its authorities, if any.
    ///   - now: when the first must be in force, with a day of slack at its beginning.
    /// - Throws: ``TUFError`` with code `invalidKey` for anything else, an expired one, or a key that is too weak.
    public init(certificates pem: [UInt8], at now: Date) throws {
        let certificate = try CertificateBundle(pem: pem).first
        guard certificate.notValidAfter >= now else {
            throw TUFError(.invalidKey, "the certificate expired on \(Expiry(certificate.notValidAfter))")
        }
        guard certificate.notValidBefore <= now.addingTimeInterval(86400) else {
            throw TUFError(.invalidKey, "the certificate is not valid before \(Expiry(certificate.notValidBefore))")
        }
        guard certificate.signatureAlgorithm != .sha1WithRSAEncryption else {
            throw TUFError(.invalidKey, "the certificate is signed with SHA-1")
        }
        let key = try VerificationKey(certificate.publicKey)
        self.init(type: key.isRSA ? .rsaX509 : .ecdsaX509, bytes: pem)
        // Refuses a key that is too weak.
        _ = try self.canonicalID
    }

    /// Checks that this is a certificate that may sign the root of a collection.
    /// - Throws: ``TUFError`` with code `untrustedRoot` that says why it may not, or `invalidKey`.
    public func requireRootCertificate(for gun: String, at now: Date) throws {
        guard self.type.isCertificate else {
            throw TUFError(.untrustedRoot, role: .root, "key \(self.id) is not an X.509 certificate")
        }
        _ = try CertificateBundle(pem: self.bytes).rootLeaf(for: gun, at: now)
    }

    /// Whether this is one certificate that its own key has issued, such as Notary makes: the key alone can make another.
    package var isSelfSigned: Bool {
        guard self.type.isCertificate, let bundle = try? CertificateBundle(pem: self.bytes) else { return false }
        return bundle.certificates.count == 1 && bundle.first.issuer == bundle.first.subject
    }
}
