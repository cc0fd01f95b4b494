// SPDX-License-Identifier: Apache-2.0

/// Reads the path of a request target (RFC 3986, section 3.3).
package enum HTTPPath {
    /// The decoded segments of an absolute path: `/a/b%20c` has `a` and `b c`; `/` has one that is empty.
    ///
    /// A `%2F` becomes a slash inside its segment; whoever joins segments again must refuse that.
    /// - Returns: nil when the path does not begin with `/` or a segment is malformed.
    package static func segments(of path: String) -> [String]? {
        let bytes = path.utf8
        guard bytes.first == UInt8(ascii: "/") else { return nil }
        var segments: [String] = []
        for part in bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let segment = HTTPPercentCoding.decode(part, plusIsSpace: false) else { return nil }
            segments.append(segment)
        }
        return segments
    }

    /// The text that `encoded` stands for.
    /// - Returns: nil when an escape is cut off or not hexadecimal, or when the result is not UTF-8 or holds a NUL.
    package static func decode(_ encoded: some StringProtocol) -> String? {
        HTTPPercentCoding.decode(encoded.utf8, plusIsSpace: false)
    }

    /// `text` as one segment of a path: all but RFC 3986's unreserved characters escaped.
    package static func encode(_ text: String) -> String {
        HTTPPercentCoding.encode(text)
    }
}

/// Percent-encoding (RFC 3986, section 2.1).
enum HTTPPercentCoding {
    static func decode<Bytes: Collection<UInt8>>(_ bytes: Bytes, plusIsSpace: Bool) -> String? {
        let hasEscapes = bytes.contains { $0 == UInt8(ascii: "%") || (plusIsSpace && $0 == UInt8(ascii: "+")) }
        guard hasEscapes else {
            return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
        }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard
                    let high = iterator.next().flatMap(Self.value(ofHexDigit:)),
                    let low = iterator.next().flatMap(Self.value(ofHexDigit:))
                else { return nil }
                decoded.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace:
                decoded.append(UInt8(ascii: " "))
            default:
                decoded.append(byte)
            }
        }
        return decoded.contains(0) ? nil : String(validating: decoded, as: UTF8.self)
    }

    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded.append(UInt8(ascii: "%"))
                encoded.append(digits[Int(byte >> 4)])
                encoded.append(digits[Int(byte & 15)])
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func value(ofHexDigit byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
