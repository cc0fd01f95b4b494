// SPDX-License-Identifier: Apache-2.0

import CryptoExtras
import Foundation
package import TUF

extension PrivateKey {
    /// The bytes that notary-signer encrypts into its database: SEC1 for ECDSA, public key ‖ seed ‖ public key for Ed25519,
    /// PKCS#1 for RSA.
    package var signerForm: [UInt8] {
        get throws {
            switch self.material {
            case .p256, .p384, .p521: try PKCS8.encodeSEC1(self.material)
            case .ed25519(let key): PKCS8.encodeNotaryEd25519(key)
            case .rsa(let key): Array(key.derRepresentation)
            }
        }
    }

    /// Reads what ``signerForm`` wrote.
    /// - Throws: ``KeyStoreError`` with code `malformed` or `unsupported`.
    package init(signerForm bytes: [UInt8], type: KeyType) throws {
        switch type {
        case .ecdsa: self.init(try PKCS8.decodeSEC1(bytes))
        case .ed25519: self.init(try PKCS8.decodeNotaryEd25519(bytes))
        case .rsa: self.init(try PKCS8.decodePKCS1(bytes))
        default: throw KeyStoreError(.unsupported, "a private key of type \(type)")
        }
    }
}
