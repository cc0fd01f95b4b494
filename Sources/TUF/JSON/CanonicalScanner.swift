// SPDX-License-Identifier: Apache-2.0

/// Tells in one pass, without making anything, whether bytes are JSON in canonical form already: what is signed can then be
/// hashed where it lies.
///
/// It says no more than yes or no. What is not canonical goes through ``CanonicalTranscoder``, which knows why.
struct CanonicalScanner {
    /// The offset of the next byte.
    private(set) var position: Int
    /// Canonical JSON has control characters as they are in strings, where JSON must not.
    private let allowsControlCharacters: Bool

    /// Starts at an offset: of a file, or of canonical JSON that need not be a file.
    init(at position: Int, allowsControlCharacters: Bool) {
        self.position = position
        self.allowsControlCharacters = allowsControlCharacters
    }

    /// Moves past one value.
    /// - Returns: false when it is not canonical, or not valid; the position is of no meaning then.
    mutating func value(_ bytes: RawSpan, depth: Int) -> Bool {
        guard self.position < bytes.byteCount else { return false }
        switch bytes.byte(self.position) {
        case UInt8(ascii: "\""): return self.string(bytes) != nil
        case UInt8(ascii: "{"): return self.object(bytes, depth: depth)
        case UInt8(ascii: "["): return self.array(bytes, depth: depth)
        case UInt8(ascii: "t"): return self.skip("true", bytes)
        case UInt8(ascii: "f"): return self.skip("false", bytes)
        case UInt8(ascii: "n"): return self.skip("null", bytes)
        default: return self.integer(bytes) != nil
        }
    }

    private mutating func object(_ bytes: RawSpan, depth: Int) -> Bool {
        guard depth < JSONParser.maximumDepth else { return false }
        self.position += 1
        if self.skip(UInt8(ascii: "}"), bytes) { return true }
        var previous: CanonicalText?
        repeat {
            guard let name = self.name(bytes, after: previous), self.value(bytes, depth: depth + 1) else {
                return false
            }
            previous = name
        } while self.skip(UInt8(ascii: ","), bytes)
        return self.skip(UInt8(ascii: "}"), bytes)
    }

    private mutating func array(_ bytes: RawSpan, depth: Int) -> Bool {
        guard depth < JSONParser.maximumDepth else { return false }
        self.position += 1
        if self.skip(UInt8(ascii: "]"), bytes) { return true }
        repeat {
            guard self.value(bytes, depth: depth + 1) else { return false }
        } while self.skip(UInt8(ascii: ","), bytes)
        return self.skip(UInt8(ascii: "]"), bytes)
    }

    /// Moves past a member's name and the colon; nil unless the name comes after the one before it.
    @inline(__always)
    mutating func name(_ bytes: RawSpan, after previous: CanonicalText?) -> CanonicalText? {
        guard let name = self.string(bytes), self.skip(UInt8(ascii: ":"), bytes) else { return nil }
        if let previous, !previous.precedes(name, in: bytes) { return nil }
        return name
    }

    /// Moves past a string.
    @inline(__always)
    mutating func string(_ bytes: RawSpan) -> CanonicalText? {
        guard self.skip(UInt8(ascii: "\""), bytes) else { return nil }
        let start = self.position
        let end = bytes.endOfPlainText(from: start)
        guard end < bytes.byteCount, bytes.byte(end) == UInt8(ascii: "\"") else {
            return self.string(bytes, from: start, continuingAt: end)
        }
        self.position = end &+ 1
        return CanonicalText(range: Range(uncheckedBounds: (start, end)), isEscaped: false)
    }

    /// A string with something in it that does not stand for itself.
    private mutating func string(_ bytes: RawSpan, from start: Int, continuingAt special: Int) -> CanonicalText? {
        var index = special
        var isEscaped = false
        while index < bytes.byteCount {
            switch bytes.byte(index) {
            case UInt8(ascii: "\""):
                self.position = index + 1
                return CanonicalText(range: start..<index, isEscaped: isEscaped)
            case UInt8(ascii: "\\"):
                guard index + 1 < bytes.byteCount else { return nil }
                let escaped = bytes.byte(index + 1)
                guard escaped == UInt8(ascii: "\"") || escaped == UInt8(ascii: "\\") else { return nil }
                isEscaped = true
                index += 2
            case 0x80...:
                guard let length = bytes.multibyteLength(at: index) else { return nil }
                index += length
            case ..<0x20:
                guard self.allowsControlCharacters else { return nil }
                index += 1
            default: index += 1
            }
            index = bytes.endOfPlainText(from: index)
        }
        return nil
    }

    /// Moves past an integer within ±2^53.
    @inline(__always)
    mutating func integer(_ bytes: RawSpan) -> Int64? {
        let isNegative = self.skip(UInt8(ascii: "-"), bytes)
        let start = self.position
        var value: Int64 = 0
        while self.position < bytes.byteCount {
            let digit = bytes.byte(self.position) &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            // Checked at each digit, so that the next product is far from overflow.
            value = value &* 10 &+ Int64(digit)
            guard value <= JSONValue.integerLimit else { return nil }
            self.position &+= 1
        }
        guard self.position > start else { return nil }
        if bytes.byte(start) == UInt8(ascii: "0"), self.position > start + 1 || isNegative { return nil }
        return isNegative ? -value : value
    }

    /// Moves past a byte if it is this one.
    @inline(__always)
    mutating func skip(_ byte: UInt8, _ bytes: RawSpan) -> Bool {
        guard self.position < bytes.byteCount, bytes.byte(self.position) == byte else { return false }
        self.position &+= 1
        return true
    }

    /// Moves past these bytes if they are all there.
    @inline(__always)
    mutating func skip(_ text: StaticString, _ bytes: RawSpan) -> Bool {
        let count = text.utf8CodeUnitCount
        guard count <= bytes.byteCount &- self.position else { return false }
        let isEqual = text.withUTF8Buffer { text in
            var index = 0
            while index < count {
                guard text[index] == bytes.byte(self.position &+ index) else { return false }
                index &+= 1
            }
            return true
        }
        guard isEqual else { return false }
        self.position &+= count
        return true
    }

    /// Goes back, or on, to an offset.
    mutating func move(to position: Int) { self.position = position }
}
