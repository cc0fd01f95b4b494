// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import NIOCore
import NIOFoundationCompat

/// Reads small JSON documents that nobody vouches for.
package enum BoundedJSON {
    /// Decodes a document; nil for what is none of that kind.
    package static func decode<Value: Decodable>(_ type: Value.Type, from body: ByteBuffer) -> Value? {
        // Deep nesting overflows the stack of a recursive decoder; what servers truly send never has it.
        var depth = 0
        for byte in body.readableBytesView where byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") { depth += 1 }
        guard depth < 256 else { return nil }
        return try? JSONDecoder().decode(type, from: Data(buffer: body))
    }
}
