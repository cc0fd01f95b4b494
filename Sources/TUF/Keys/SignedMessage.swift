// SPDX-License-Identifier: Apache-2.0

import Crypto
import Synchronization

/// The bytes that are signed, hashed once however many signatures are checked on them, and not at all for those that need no
/// such hash.
final class SignedMessage: Sendable {
    let bytes: ArraySlice<UInt8>
    private let hash = Mutex<SHA256Digest?>(nil)

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    /// Whether the same bytes are signed.
    func isSame(as other: SignedMessage) -> Bool {
        let (own, others) = (self.bytes, other.bytes)
        return own.span.bytes.isEqual(to: others.span.bytes)
    }

    /// The SHA-256.
    var digest: SHA256Digest {
        self.hash.withLock { hash in
            let digest = hash ?? SHA256.hash(data: self.bytes)
            hash = digest
            return digest
        }
    }
}
