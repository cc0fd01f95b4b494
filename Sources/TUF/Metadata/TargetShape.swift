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
        guard scanner.skip("},\"length\":", bytes), !scanner.skip(UInt8(ascii: "-"), bytes), scanner.integer(bytes)
        else { return false }
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

    private typealias Block = SIMD16<UInt8>
    private typealias Mask = SIMDMask<SIMD16<Int8>>

    /// Whether bytes, 16 or more that are all there, are of a kind. The last 16 may overlap those before.
    @inline(__always)
    private static func areAll(
        _ bytes: RawSpan,
        _ start: Int,
        _ count: Int,
        _ areOfKind: (Block) -> Mask
    ) -> Bool {
        var mask = areOfKind(bytes.unsafeLoadUnaligned(fromByteOffset: start + count - 16, as: Block.self))
        for block in 0..<(count / 16) {
            let block = bytes.unsafeLoadUnaligned(fromByteOffset: start + block * 16, as: Block.self)
            mask.formAnd(areOfKind(block))
        }
        return all(mask)
    }

    @inline(__always)
    private static func areHexadecimal(_ block: Block) -> Mask {
        (block &- UInt8(ascii: "0")) .< 10 .| (block &- UInt8(ascii: "a")) .< 6
    }

    @inline(__always)
    private static func areBase64(_ block: Block) -> Mask {
        ((block | 0x20) &- UInt8(ascii: "a")) .< 26 .| (block &- UInt8(ascii: "0")) .< 10
            .| block .== UInt8(ascii: "+") .| block .== UInt8(ascii: "/")
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

extension SIMDMask {
    /// Both.
    fileprivate mutating func formAnd(_ other: Self) { self .&= other }
}
