// SPDX-License-Identifier: Apache-2.0

import NIOCore
import TUF

/// One version of a role's metadata, exactly as it was uploaded or made.
struct StoredFile: Sendable {
    let role: RoleName
    let version: Int64
    /// Lower-case hexadecimal.
    let sha256: String
    /// Milliseconds since 1970.
    let storedAt: Int64
    let content: ByteBuffer

    var bytes: [UInt8] { Array(self.content.readableBytesView) }
}

/// Which timestamp a collection is at: its state, as far as the database is concerned.
struct TimestampPointer: Sendable, Hashable {
    let version: Int64
    let sha256: String
}
