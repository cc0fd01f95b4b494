// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Data

/// Standard padded base64 (RFC 4648 section 4).
public enum Base64 {
    /// The text of bytes.
    public static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
    }

    /// The bytes, or nil when the text is not what ``encode(_:)`` would write of them.
    public static func decode(_ text: String) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 4), self.hasZeroPadding(text.utf8.suffix(4)) else { return nil }
        return Data(base64Encoded: text).map { Array($0) }
    }

    /// Whether the bits that padding leaves over are zero; decoders ignore them, so one value would have several texts.
    private static func hasZeroPadding(_ group: Substring.UTF8View) -> Bool {
        let characters = group.prefix { $0 != UInt8(ascii: "=") }
        guard let last = characters.last else { return group.isEmpty }
        switch characters.count {
        case 2: return "AQgw".utf8.contains(last)
        case 3: return "AEIMQUYcgkosw048".utf8.contains(last)
        default: return characters.count == 4
        }
    }
}
