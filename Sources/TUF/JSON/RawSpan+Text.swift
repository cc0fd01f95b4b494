// SPDX-License-Identifier: Apache-2.0

extension RawSpan {
    /// One byte.
    @inline(__always)
    func byte(_ offset: Int) -> UInt8 {
        self.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// Eight bytes, the first of which is the least significant.
    @inline(__always)
    func word(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The first offset from here on that may not stand for itself in a string: a quote, a backslash, a control
    /// character, or a byte of no ASCII character. The end when there is none.
    @inline(__always)
    func endOfPlainText(from offset: Int) -> Int {
        var offset = offset
        while offset &+ 8 <= self.byteCount {
            let special = Self.special(self.word(offset))
            guard special == 0 else { return offset &+ special.trailingZeroBitCount >> 3 }
            offset &+= 8
        }
        while offset < self.byteCount {
            switch self.byte(offset) {
            case ..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x80...: return offset
            default: offset &+= 1
            }
        }
        return offset
    }

    /// The highest bit of each byte that may not stand for itself; only the lowest of these bits is to be relied on.
    @inline(__always)
    private static func special(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let zero = (quote &- ones) & ~quote | (backslash &- ones) & ~backslash
        let control = (word &- ones &* 0x20) & ~word
        return (zero | control | word) & (ones &* 0x80)
    }

    /// The length of the character of two to four bytes that begins here; nil when it is not valid UTF-8 (Unicode table
    /// 3-7: no overlong form, no surrogate, nothing beyond U+10FFFF).
    func multibyteLength(at offset: Int) -> Int? {
        let first = self.byte(offset)
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: length = 3
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: length = 4
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard length <= self.byteCount - offset, second.contains(self.byte(offset + 1)) else { return nil }
        for index in 2..<max(2, length) where self.byte(offset + index) & 0xC0 != 0x80 { return nil }
        return length
    }

    /// Text of these bytes, which are UTF-8.
    func text(_ range: Range<Int>) -> String {
        self.withUnsafeBytes { bytes in
            String(decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
        }
    }

    /// A copy of these bytes.
    func copy(_ range: Range<Int>) -> [UInt8] {
        self.withUnsafeBytes { Array($0[range]) }
    }
}

extension [UInt8] {
    /// Appends bytes of a file.
    mutating func append(_ range: Range<Int>, of bytes: RawSpan) {
        bytes.withUnsafeBytes { self.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }
}
