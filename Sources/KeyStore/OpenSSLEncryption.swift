// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import TUF

/// The encryption of old OpenSSL PEM files (`Proc-Type: 4,ENCRYPTED`, `DEK-Info: AES-256-CBC,<iv>`), read only.
enum OpenSSLEncryption {
    /// True when the headers say that the block is encrypted in this way.
    static func isUsed(by block: PEMBlock) -> Bool {
        block.headers["DEK-Info"] != nil || block.headers["Proc-Type"]?.hasSuffix("ENCRYPTED") == true
    }

    /// Decrypts the block's content.
    /// - Throws: ``KeyStoreError`` with code `malformed`, `unsupported` (DES, 3DES: no library of ours has them) or
    ///   `wrongPassphrase`.
    static func decrypt(_ block: PEMBlock, passphrase: Passphrase) throws -> [UInt8] {
        let parts = (block.headers["DEK-Info"] ?? "").split(separator: ",").map { $0.filter { $0 != " " } }
        guard parts.count == 2, let vector = Hexadecimal.decode(parts[1]) else {
            throw KeyStoreError(.malformed, "the key is encrypted, but its DEK-Info header does not say how")
        }
        let keySize: Int
        switch parts[0].uppercased() {
        case "AES-128-CBC": keySize = 16
        case "AES-192-CBC": keySize = 24
        case "AES-256-CBC": keySize = 32
        default:
            throw KeyStoreError(
                .unsupported,
                "the key is encrypted with \(parts[0].prefix(32)), not with AES-CBC; convert it with openssl pkcs8 -topk8"
            )
        }
        guard vector.count == 16, !block.content.isEmpty, block.content.count.isMultiple(of: 16) else {
            throw KeyStoreError(.malformed, "the encrypted key is cut off")
        }
        do {
            return Array(
                try AES._CBC.decrypt(
                    block.content,
                    using: self.key(passphrase, salt: vector.prefix(8), size: keySize),
                    iv: AES._CBC.IV(ivBytes: vector)
                )
            )
        } catch {
            throw KeyStoreError(.wrongPassphrase, "the passphrase does not open the key")
        }
    }

    /// OpenSSL's EVP_BytesToKey with MD5 and one iteration, salted with the first half of the vector.
    private static func key(_ passphrase: Passphrase, salt: ArraySlice<UInt8>, size: Int) -> SymmetricKey {
        var key: [UInt8] = []
        var digest: [UInt8] = []
        while key.count < size {
            digest = Array(Insecure.MD5.hash(data: digest + passphrase.bytes + salt))
            key += digest
        }
        return SymmetricKey(data: key.prefix(size))
    }
}
