// SPDX-License-Identifier: Apache-2.0

/// The spelling that nearly all targets have, which can be told to be right without making a value of it: a length, hashes
/// by SHA-256, SHA-512 or both, and perhaps something custom. Whatever else there may be has to be read to be checked.
struct TargetShape {
    private let isBase64: Bool

    init(_ format: WireFormat) {
        self.isBase64 = format == .notary
    }

    /// Moves past a target of this shape.
    /// - Returns: false when it is of another: the scanner may be anywhere then.
    @inline(__always)
    func skip(_ scanner: inout CanonicalScanner, _ bytes: RawSpan, depth: Int) -> Bool {
        guard scanner.skip("{\"", bytes) else { return false }
        if scanner.skip("custom\":", bytes) {
            guard scanner.value(bytes, depth: depth + 1), scanner.skip(",\"", bytes) else { return false }
        }
        guard scanner.skip("hashes\":{\"sha", bytes) else { return false }
        if scanner.skip("256\":\"", bytes) {
            guard self.skipDigest(&scanner, bytes, count: 32) else { return false }
            if scanner.skip(",\"sha512\":\"", bytes) {
                guard self.skipDigest(&scanner, bytes, count: 64) else { return false }
            }
        } else {
            guard scanner.skip("512\":\"", bytes), self.skipDigest(&scanner, bytes, count: 64) else { return false }
        }
        guard scanner.skip("},\"length\":", bytes), let length = scanner.integer(bytes), length >= 0 else {
            return false
        }
        return scanner.skip(UInt8(ascii: "}"), bytes)
    }

    /// Moves past the text of a digest of 32 or 64 bytes, and the quote after it.
    @inline(__always)
    private func skipDigest(_ scanner: inout CanonicalScanner, _ bytes: RawSpan, count: Int) -> Bool {
        let start = scanner.position
        if self.isBase64 {
            // Of the last digit, the bits that are past the end must be zero.
            let digits = (count * 8 + 5) / 6
            let padding = count == 32 ? 1 : 2
            guard bytes.byteCount - start > digits + padding,
                Self.areAll(bytes, start, digits, Self.areBase64),
                Self.isLastDigit(bytes.byte(start + digits - 1), count: count)
            else { return false }
            scanner.move(to: start + digits)
            return count == 32 ? scanner.skip("=\"", bytes) : scanner.skip("==\"", bytes)
        }
        guard bytes.byteCount - start > count * 2, Self.areAll(bytes, start, count * 2, Self.areHexadecimal) else {
            return false
        }
        scanner.move(to: start + count * 2)
        return scanner.skip(UInt8(ascii: "\""), bytes)
    }

    /// Whether bytes, 8 or more that are all there, are of a kind. The last 8 may overlap those before.
    @inline(__always)
    static func areAll(
        _ bytes: RawSpan,
        _ start: Int,
        _ count: Int,
        _ areOfKind: (UInt64) -> UInt64
    ) -> Bool {
        let last = bytes.word(start &+ count &- 8)
        var foreign = last
        var kind = areOfKind(last)
        var offset = start
        let end = start &+ count &- 8
        while offset < end {
            let word = bytes.word(offset)
            foreign |= word
            kind &= areOfKind(word)
            offset &+= 8
        }
        // Ranges of bytes are told only of ASCII.
        return (foreign & Self.highBits) == 0 && (kind & Self.highBits) == Self.highBits
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// The highest bit of each byte that is in a range, of eight that are ASCII.
    @inline(__always)
    private static func isIn(_ range: ClosedRange<UInt8>, _ word: UInt64) -> UInt64 {
        let isAtLeast = word &+ self.ones &* UInt64(0x80 - range.lowerBound)
        let isMore = word &+ self.ones &* UInt64(0x7F - range.upperBound)
        return isAtLeast & ~isMore
    }

    @inline(__always)
    static func areHexadecimal(_ word: UInt64) -> UInt64 {
        self.isIn(0x30...0x39, word) | self.isIn(0x61...0x66, word)
    }

    @inline(__always)
    private static func areBase64(_ word: UInt64) -> UInt64 {
        let letters = self.isIn(0x61...0x7A, word | (self.ones &* 0x20))
        return letters | self.isIn(0x30...0x39, word) | self.isIn(0x2B...0x2B, word) | self.isIn(0x2F...0x2F, word)
    }

    private static func isLastDigit(_ byte: UInt8, count: Int) -> Bool {
        // Two bits are past the end of 32 bytes, four past that of 64.
        switch byte {
        case UInt8(ascii: "A"), UInt8(ascii: "Q"), UInt8(ascii: "g"), UInt8(ascii: "w"): true
        case UInt8(ascii: "E"), UInt8(ascii: "I"), UInt8(ascii: "M"), UInt8(ascii: "U"), UInt8(ascii: "Y"),
            UInt8(ascii: "c"), UInt8(ascii: "k"), UInt8(ascii: "o"), UInt8(ascii: "s"), UInt8(ascii: "0"),
            UInt8(ascii: "4"), UInt8(ascii: "8"):
            count == 32
        default: false
        }
    }
}
