// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Data

/// Standard padded base64 (RFC 4648 section 4).
public enum Base64 {
    /// The text of bytes.
    public static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
    }

    /// The bytes, or nil when the text is not padded standard base64.
    public static func decode(_ text: String) -> [UInt8]? {
        Data(base64Encoded: text).map { Array($0) }
    }
}
