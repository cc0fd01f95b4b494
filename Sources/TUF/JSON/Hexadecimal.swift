// SPDX-License-Identifier: Apache-2.0

/// Lower-case hexadecimal text of bytes.
public enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    /// Two digits for each byte.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.underestimatedCount * 2)
        for byte in bytes {
            text.append(self.digits[Int(byte >> 4)])
            text.append(self.digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes, or nil when the text is not pairs of hexadecimal digits.
    public static func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { text in
            guard text.count.isMultiple(of: 2) else { return nil }
            var isValid = true
            let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 2) { bytes, count in
                for index in 0..<(text.count / 2) {
                    guard let high = self.value(of: text[2 * index]), let low = self.value(of: text[2 * index + 1])
                    else {
                        isValid = false
                        return
                    }
                    bytes.initializeElement(at: index, to: high << 4 | low)
                    count = index + 1
                }
            }
            return isValid ? bytes : nil
        }
    }

    static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
