// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Base 64 with the alphabet for URLs and without padding (RFC 7515, section 2).
package enum Base64URL {
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text = Data(bytes).base64EncodedString()
        text.replace("+", with: "-")
        text.replace("/", with: "_")
        return String(text.prefix { $0 != "=" })
    }

    /// - Returns: nil for anything but the one encoding of some bytes.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var standard: [UInt8] = []
        standard.reserveCapacity(text.utf8.count + 3)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "-"): standard.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): standard.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: standard.append(byte)
            }
        }
        while standard.count % 4 != 0 { standard.append(UInt8(ascii: "=")) }
        // The bits that are left over in the last character must be zero.
        guard let bytes = Data(base64Encoded: Data(standard)).map(Array.init), self.encode(bytes) == text else {
            return nil
        }
        return bytes
    }
}
