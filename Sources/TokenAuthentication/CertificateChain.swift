// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftASN1
@_spi(FixedExpiryValidationTime) import X509

/// The certificates that a token carries.
enum CertificateChain {
    /// The key of the first certificate, if that leads to a root at this time.
    /// - Parameter certificates: DER, the first that of the key.
    /// - Throws: ``TokenError`` with code `malformed`, `unknownKey` or `key`.
    static func key(
        of certificates: [[UInt8]],
        roots: [Certificate],
        at now: Date
    ) async throws -> TokenVerificationKey {
        let chain: [Certificate]
        do {
            chain = try certificates.map { try Certificate(derEncoded: $0) }
        } catch {
            throw TokenError(.malformed, "a certificate of the token cannot be read")
        }
        guard let leaf = chain.first else { throw TokenError(.malformed, "the token's list of certificates is empty") }
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            RFC5280Policy(fixedExpiryValidationTime: now)
            UsesAndNamesPolicy()
        }
        guard
            case .validCertificate = await verifier.validate(
                leaf: leaf,
                intermediates: CertificateStore(Set(chain.dropFirst()))
            )
        else { throw TokenError(.unknownKey, "the token's certificate leads to none of the trusted roots") }
        return try TokenVerificationKey(leaf)
    }
}

/// A token service's certificate may be for any use and any name, as docker-registry has it.
private struct UsesAndNamesPolicy: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [
        .X509ExtensionID.extendedKeyUsage, .X509ExtensionID.subjectAlternativeName,
    ]

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) async -> PolicyEvaluationResult {
        .meetsPolicy
    }
}
