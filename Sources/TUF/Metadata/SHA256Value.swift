// SPDX-License-Identifier: Apache-2.0

/// The 32 bytes of a SHA-256, held in place: an array would be memory of its own for each of many thousand files.
struct SHA256Value: Sendable, Hashable {
    // Eight bytes each, the first of which is the least significant.
    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64

    /// Takes bytes; nil when they are not 32.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        let span = bytes.span.bytes
        self.first = span.word(0)
        self.second = span.word(8)
        self.third = span.word(16)
        self.fourth = span.word(24)
    }

    /// Reads 64 lower-case hexadecimal digits; nil when there are fewer or others.
    init?(hexadecimalAt start: Int, in bytes: RawSpan) {
        guard bytes.byteCount - start >= 64, TargetShape.areAll(bytes, start, 64, TargetShape.areHexadecimal) else {
            return nil
        }
        func word(_ index: Int) -> UInt64 {
            let digits = start &+ 16 &* index
            return Self.value(bytes.word(digits)) | Self.value(bytes.word(digits &+ 8)) << 32
        }
        self.first = word(0)
        self.second = word(1)
        self.third = word(2)
        self.fourth = word(3)
    }

    /// The four bytes that eight digits stand for, in the low half.
    private static func value(_ digits: UInt64) -> UInt64 {
        // The low four bits of a digit are its value, and of a letter nine less.
        let nibbles = (digits & 0x0F0F_0F0F_0F0F_0F0F) &+ 9 &* ((digits >> 6) & 0x0101_0101_0101_0101)
        // Of each pair the first is the higher half; then the bytes move together.
        let pairs = ((nibbles << 4) | (nibbles >> 8)) & 0x00FF_00FF_00FF_00FF
        let quads = (pairs | (pairs >> 8)) & 0x0000_FFFF_0000_FFFF
        return (quads | (quads >> 16)) & 0xFFFF_FFFF
    }

    /// The bytes.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for word in [self.first, self.second, self.third, self.fourth] {
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}
