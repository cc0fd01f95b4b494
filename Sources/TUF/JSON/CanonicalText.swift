// SPDX-License-Identifier: Apache-2.0

/// Where a string lies in canonical JSON, without its quotes.
struct CanonicalText {
    /// The bytes between the quotes.
    let range: Range<Int>
    /// Whether there are escapes among them: a quote or a backslash, after a backslash.
    let isEscaped: Bool

    /// The text.
    func string(in bytes: RawSpan) -> String {
        guard self.isEscaped else { return bytes.text(self.range) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(self.range.count)
        var decoder = Decoder(self)
        while let byte = decoder.next(in: bytes) { decoded.append(byte) }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// Whether this text comes before another in the order of their bytes; false when they are equal.
    @inline(__always)
    func precedes(_ other: CanonicalText, in bytes: RawSpan) -> Bool {
        guard !self.isEscaped, !other.isEscaped else { return self.precedesEscaped(other, in: bytes) }
        var left = self.range.lowerBound
        var right = other.range.lowerBound
        let end = left &+ min(self.range.count, other.range.count)
        // Neighbours in a sorted list mostly have long beginnings in common.
        while left &+ 8 <= end {
            let words = (bytes.word(left), bytes.word(right))
            guard words.0 == words.1 else { return words.0.byteSwapped < words.1.byteSwapped }
            left &+= 8
            right &+= 8
        }
        while left < end {
            let pair = (bytes.byte(left), bytes.byte(right))
            guard pair.0 == pair.1 else { return pair.0 < pair.1 }
            left &+= 1
            right &+= 1
        }
        return self.range.count < other.range.count
    }

    private func precedesEscaped(_ other: CanonicalText, in bytes: RawSpan) -> Bool {
        var left = Decoder(self)
        var right = Decoder(other)
        while true {
            switch (left.next(in: bytes), right.next(in: bytes)) {
            case (.some(let first), .some(let second)) where first == second: continue
            case (.some(let first), .some(let second)): return first < second
            case (.none, .some): return true
            case (_, .none): return false
            }
        }
    }

    /// How other text, given as its bytes, compares with this: below zero when this comes first, zero when they are equal.
    func compare(with other: UnsafeBufferPointer<UInt8>, in bytes: RawSpan) -> Int {
        var decoder = Decoder(self)
        for second in other {
            guard let first = decoder.next(in: bytes) else { return -1 }
            guard first == second else { return first < second ? -1 : 1 }
        }
        return decoder.next(in: bytes) == nil ? 0 : 1
    }

    /// The bytes that the text stands for, one by one.
    private struct Decoder {
        private var position: Int
        private let end: Int

        init(_ text: CanonicalText) {
            self.position = text.range.lowerBound
            self.end = text.range.upperBound
        }

        mutating func next(in bytes: RawSpan) -> UInt8? {
            guard self.position < self.end else { return nil }
            var byte = bytes.byte(self.position)
            if byte == UInt8(ascii: "\\"), self.position + 1 < self.end {
                self.position += 1
                byte = bytes.byte(self.position)
            }
            self.position += 1
            return byte
        }
    }
}
