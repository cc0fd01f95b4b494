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
        self.first(from: offset) { Self.equal($0, 0x22) | Self.equal($0, 0x5C) | Self.below($0, 0x20) | $0 }
    }

    /// The first control character from here on. The end when there is none.
    func endOfText(from offset: Int) -> Int {
        self.first(from: offset) { Self.below($0, 0x20) }
    }

    /// The first offset from here on of what Go's encoder may escape, besides quotes and backslashes. The end when there
    /// is none.
    func endOfGoText(from offset: Int) -> Int {
        // Twice 0x3C and 0x3E, but for the second bit.
        self.first(from: offset) {
            Self.below($0, 0x20) | Self.equal($0 | Self.ones &* 2, 0x3E) | Self.equal($0, 0x26) | $0
        }
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101

    /// The highest bit of each byte that is this one. Of all that these functions find in a word, only what comes first is
    /// to be relied on.
    @inline(__always)
    private static func equal(_ word: UInt64, _ byte: UInt64) -> UInt64 {
        let difference = word ^ (self.ones &* byte)
        return (difference &- self.ones) & ~difference
    }

    /// The highest bit of each byte below this one.
    @inline(__always)
    private static func below(_ word: UInt64, _ byte: UInt64) -> UInt64 {
        (word &- self.ones &* byte) & ~word
    }

    /// The first offset from here on of a byte that is found by its highest bit, in words of eight.
    @inline(__always)
    private func first(from offset: Int, where find: (UInt64) -> UInt64) -> Int {
        var offset = offset
        while offset &+ 8 <= self.byteCount {
            let found = find(self.word(offset)) & (Self.ones &* 0x80)
            guard found == 0 else { return offset &+ found.trailingZeroBitCount >> 3 }
            offset &+= 8
        }
        while offset < self.byteCount {
            guard find(UInt64(self.byte(offset)) | 0x6161_6161_6161_6100) & 0x80 == 0 else { return offset }
            offset &+= 1
        }
        return offset
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
