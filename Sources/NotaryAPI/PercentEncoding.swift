// SPDX-License-Identifier: Apache-2.0

import TUF

/// Percent-encoding of URL paths and queries (RFC 3986), as Go's `net/url` does it.
enum PercentEncoding {
    /// The text of a part of a path; nil when an escape is cut off or not hexadecimal, or the result is not UTF-8.
    static func decode(_ encoded: some Sequence<UInt8>, plusIsSpace: Bool = false) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encoded.underestimatedCount)
        var iterator = encoded.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = iterator.next(), let low = iterator.next(),
                    let decoded = Hexadecimal.decode(String(decoding: [high, low], as: UTF8.self))?.first
                else { return nil }
                bytes.append(decoded)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// A path with everything escaped that Go's client escapes; slashes stay.
    static func encodePath(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            if self.standsInPath(byte) {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                encoded += "%" + Hexadecimal.encode([byte]).uppercased()
            }
        }
        return encoded
    }

    private static func standsInPath(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_.~$&+,/:;=@".utf8.contains(byte)
        }
    }
}
