// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
package import TUF
package import X509

/// A private key that is ready to sign, wherever it is: in memory, or on a token that never lets go of it.
package protocol UnlockedKey: SigningKey {
    /// The key as the X.509 library takes it, to sign a certificate with. It may sign asynchronously only.
    /// - Throws: ``KeyStoreError`` with code `unsupported` for a key that is in no certificate.
    var certificateKey: Certificate.PrivateKey { get throws }
}

extension UnlockedKey {
    /// A new self-signed certificate of this key for the root of a collection, as Notary makes it.
    /// - Parameters:
    ///   - gun: the collection's globally unique name.
    ///   - now: the start of its validity.
    /// - Throws: ``KeyStoreError`` when the key cannot sign; `TUFError` with code `invalidKey` for one of a kind that may not.
    package func rootCertificate(for gun: String, at now: Date) async throws -> PublicKey {
        try await PublicKey.rootCertificate(for: gun, signedAsynchronouslyBy: self.certificateKey, at: now)
    }
}
