// SPDX-License-Identifier: Apache-2.0

/// Percent-encoding of paths, queries and forms (RFC 3986, section 2.1).
package enum PercentCoding {
    /// Undoes percent-encoding once.
    /// - Parameters:
    ///   - encoded: a segment of a path, or a name or value of a query.
    ///   - plusIsSpace: as in queries that come from forms; else `+` stays what it is.
    /// - Returns: nil when an escape is cut off or not hexadecimal, or the result is not UTF-8.
    package static func decode(_ encoded: Substring, plusIsSpace: Bool = false) -> String? {
        guard encoded.utf8.contains(where: { $0 == self.percent || (plusIsSpace && $0 == self.plus) }) else {
            return String(encoded)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encoded.utf8.count)
        var iterator = encoded.utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case self.percent:
                guard let high = iterator.next().flatMap(self.value(ofDigit:)),
                    let low = iterator.next().flatMap(self.value(ofDigit:))
                else { return nil }
                bytes.append(high << 4 | low)
            case self.plus where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Escapes everything but unreserved characters (RFC 3986, section 2.3) and those that are named.
    package static func encode(_ text: String, keeping others: StaticString = "") -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        let kept = others.withUTF8Buffer { Array($0) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            case _ where kept.contains(byte):
                bytes.append(byte)
            default:
                bytes += [self.percent, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The `name=value` items of a query, still encoded; an item without `=` has an empty value.
    /// - Parameters:
    ///   - query: what comes after the question mark.
    ///   - limit: the most items that are looked at; the rest is ignored.
    package static func items(of query: String, limit: Int) -> [(name: Substring, value: Substring)] {
        query.utf8.split(separator: UInt8(ascii: "&"), maxSplits: limit).prefix(limit).map { item in
            let end = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            return (Substring(item[..<end]), Substring(item[end...].dropFirst()))
        }
    }

    private static let percent = UInt8(ascii: "%")
    private static let plus = UInt8(ascii: "+")

    private static func value(ofDigit digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
