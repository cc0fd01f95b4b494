// SPDX-License-Identifier: Apache-2.0

package import TUF

/// Who is to sign for a role.
package struct Signers: Sendable, Hashable {
    /// The public keys; of a collection's root the certificates in its name.
    package var keys: [PublicKey]
    /// How many of them must sign.
    package var threshold: Int64

    /// Takes the keys and how many of them must sign.
    package init(keys: [PublicKey], threshold: Int64 = 1) {
        self.keys = keys
        self.threshold = threshold
    }
}
