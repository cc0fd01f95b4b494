// SPDX-License-Identifier: Apache-2.0

import CryptoExtras
package import FoundationEssentials
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

/// Authorities that vouch for the root certificates of collections (Notary's `trust_pinning.ca`).
package struct CertificateAuthorities: Sendable, Hashable {
    /// The most certificates of one file.
    private static let maximumCount = 64
    private static let maximumBytes = 1 << 20

    /// The certificates, as they were given.
    package let pem: [UInt8]
    private let certificates: [Certificate]

    /// Reads one or more PEM certificates.
    /// - Throws: ``TUFError`` with code `invalidKey` when there is none that can be read.
    package init(pem: [UInt8]) throws {
        guard pem.count <= Self.maximumBytes else {
            throw TUFError(.invalidKey, "a file of CA certificates of more than \(Self.maximumBytes) bytes")
        }
        do {
            let documents = try PEMDocument.parseMultiple(pemString: String(decoding: pem, as: UTF8.self))
            guard documents.count <= Self.maximumCount else {
                throw TUFError(.invalidKey, "a file of more than \(Self.maximumCount) CA certificates")
            }
            self.certificates = try documents.map { try Certificate(pemDocument: $0) }
        } catch let error as TUFError {
            throw error
        } catch {
            throw TUFError(.invalidKey, "no PEM certificate of a CA: \(error)")
        }
        guard !self.certificates.isEmpty else { throw TUFError(.invalidKey, "no PEM certificate of a CA") }
        self.pem = pem
    }

    /// Whether the leaf of a root key leads to one of these authorities through the intermediates listed beside it.
    ///
    /// As Go does for Notary, an extended key usage has to leave something in common from the leaf to the CA; besides TLS servers,
    /// which Notary takes, signing code is enough: it says more nearly what a root certificate is for.
    package func vouch(for key: PublicKey, at now: Date) async -> Bool {
        guard key.type.isCertificate, let bundle = try? CertificateBundle(pem: key.bytes) else { return false }
        // Intermediates of one name would be tried in every order, and there are more of these than anybody can wait for.
        let intermediates = bundle.certificates.dropFirst()
        guard Set(intermediates.map(\.subject)).count == intermediates.count else { return false }
        var roots: [Certificate] = []
        for authority in self.certificates where Self.isFit(authority, at: now) { roots.append(authority) }
        guard !roots.isEmpty else { return false }
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            RFC5280Policy(fixedExpiryValidationTime: now)
            RootKeyUsagePolicy()
        }
        let result = await verifier.validate(
            leaf: bundle.first,
            intermediates: CertificateStore(intermediates)
        )
        if case .validCertificate = result { return true }
        return false
    }

    /// As Notary has it: in force, not signed with SHA-1, no RSA key below 2048 bits.
    private static func isFit(_ authority: Certificate, at now: Date) -> Bool {
        guard authority.notValidBefore <= now, authority.notValidAfter >= now,
            authority.signatureAlgorithm != .sha1WithRSAEncryption
        else { return false }
        guard let rsa = _RSA.Signing.PublicKey(authority.publicKey) else { return true }
        return rsa.keySizeInBits >= 2048
    }
}

/// Refuses chains whose certificates have no purpose in common that suits a root, that are signed with SHA-1, or issued by keys that
/// are for something else.
private struct RootKeyUsagePolicy: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [.X509ExtensionID.extendedKeyUsage]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) async -> PolicyEvaluationResult {
        var isForServers = true
        var isForCode = true
        for (depth, certificate) in chain.enumerated() {
            guard certificate.signatureAlgorithm != .sha1WithRSAEncryption else {
                return .failsToMeetPolicy(reason: "a certificate is signed with SHA-1")
            }
            let usage: ExtendedKeyUsage?
            do {
                usage = try certificate.extensions.extendedKeyUsage
                if depth > 0, let keyUsage = try certificate.extensions.keyUsage, !keyUsage.keyCertSign {
                    return .failsToMeetPolicy(reason: "an issuer's key is not for signing certificates")
                }
            } catch {
                return .failsToMeetPolicy(reason: "a key usage cannot be read")
            }
            guard let usage, !usage.contains(.any) else { continue }
            isForServers = isForServers && usage.contains(.serverAuth)
            isForCode = isForCode && usage.contains(.codeSigning)
        }
        return isForServers || isForCode
            ? .meetsPolicy : .failsToMeetPolicy(reason: "the extended key usages exclude signing code and TLS servers")
    }
}

extension UnverifiedMetadata {
    /// The keys that a root names for itself, before anybody has vouched for it: only to find out which of them are pinned.
    /// - Throws: ``TUFError``.
    package func claimedRootKeys() throws -> [PublicKey] {
        let root: Root = try self.payload()
        return try root.keys(of: .root).keys
    }
}
