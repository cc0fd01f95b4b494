// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Data

/// Standard padded base64 (RFC 4648 section 4).
public enum Base64 {
    /// The text of bytes.
    public static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
    }

    /// The bytes, or nil when the text is not what ``encode(_:)`` would write of them.
    ///
    /// Foundation's decoder takes `AA=A`, and ignores the bits that padding leaves over: one value would have several
    /// texts.
    public static func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { text in
            guard text.count.isMultiple(of: 4) else { return nil }
            let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
            var bytes: [UInt8] = []
            bytes.reserveCapacity(text.count / 4 * 3)
            var pending: UInt32 = 0
            var pendingBits = 0
            for character in text.dropLast(padding) {
                guard let value = self.value(of: character) else { return nil }
                pending = pending << 6 | UInt32(value)
                pendingBits += 6
                guard pendingBits >= 8 else { continue }
                pendingBits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> pendingBits))
                pending &= 1 << pendingBits - 1
            }
            return pending == 0 ? bytes : nil
        }
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
