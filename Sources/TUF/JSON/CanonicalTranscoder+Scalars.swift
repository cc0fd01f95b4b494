// SPDX-License-Identifier: Apache-2.0

extension CanonicalTranscoder {
    // MARK: Strings

    /// Reads a string.
    /// - Returns: where it was written to.
    mutating func string(_ bytes: RawSpan) throws -> CanonicalText {
        self.write(UInt8(ascii: "\""))
        self.advance()
        let start = self.output.count
        var isEscaped = false
        while true {
            let end = bytes.endOfPlainText(from: self.position)
            self.write(self.position..<end, of: bytes)
            self.move(to: end)
            guard let byte = self.current(bytes) else { throw self.error("the JSON ends within a string") }
            switch byte {
            case UInt8(ascii: "\""):
                let text = CanonicalText(range: start..<self.output.count, isEscaped: isEscaped)
                self.write(UInt8(ascii: "\""))
                self.advance()
                return text
            case UInt8(ascii: "\\"):
                self.advance()
                isEscaped = try self.escape(bytes) || isEscaped
            case ..<0x20: throw self.error("a control character must be escaped in a string")
            default:
                guard let length = bytes.multibyteLength(at: end) else { throw self.error("a string is not UTF-8") }
                self.write(end..<(end + length), of: bytes)
                self.advance(by: length)
            }
        }
    }

    /// Reads what follows a backslash.
    /// - Returns: whether it needs one in canonical form too.
    private mutating func escape(_ bytes: RawSpan) throws -> Bool {
        guard let byte = self.current(bytes) else { throw self.error("the JSON ends within a string") }
        self.advance()
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return self.write(Unicode.Scalar(byte))
        case UInt8(ascii: "/"): return self.write("/")
        case UInt8(ascii: "b"): return self.write("\u{8}")
        case UInt8(ascii: "f"): return self.write("\u{c}")
        case UInt8(ascii: "n"): return self.write("\n")
        case UInt8(ascii: "r"): return self.write("\r")
        case UInt8(ascii: "t"): return self.write("\t")
        case UInt8(ascii: "u"): return self.write(try self.escapedScalar(bytes))
        default: throw self.error("an unknown escape in a string")
        }
    }

    private mutating func write(_ scalar: Unicode.Scalar) -> Bool {
        let needsEscape = scalar == "\"" || scalar == "\\"
        if needsEscape { self.write(UInt8(ascii: "\\")) }
        self.write(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        return needsEscape
    }

    private mutating func escapedScalar(_ bytes: RawSpan) throws -> Unicode.Scalar {
        let unit = try self.escapedUnit(bytes)
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard UTF16.isLeadSurrogate(unit), self.skip(UInt8(ascii: "\\"), bytes), self.skip(UInt8(ascii: "u"), bytes)
        else { throw self.error("half of a surrogate pair in a string") }
        let second = try self.escapedUnit(bytes)
        guard UTF16.isTrailSurrogate(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw self.error("half of a surrogate pair in a string") }
        return scalar
    }

    private mutating func escapedUnit(_ bytes: RawSpan) throws -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = self.current(bytes), let digit = Hexadecimal.value(of: byte) else {
                throw self.error("four hexadecimal digits must follow \\u")
            }
            unit = unit << 4 | UInt16(digit)
            self.advance()
        }
        return unit
    }

    // MARK: Numbers

    /// Reads integers, and the decimal forms of integers that Go's encoder accepts (`1.0`, `1e2`), to the grammar of
    /// RFC 8259 section 6. All in integers: a double would round what is no integer, or too large, to one that is neither.
    mutating func number(_ bytes: RawSpan) throws {
        var scanner = CanonicalScanner(at: self.position, allowsControlCharacters: false)
        if scanner.integer(bytes) != nil, !self.isPartOfNumber(at: scanner.position, bytes) {
            self.write(self.position..<scanner.position, of: bytes)
            self.move(to: scanner.position)
        } else {
            self.write(String(try self.decimal(bytes)).utf8)
        }
    }

    private func isPartOfNumber(at position: Int, _ bytes: RawSpan) -> Bool {
        guard position < bytes.byteCount else { return false }
        switch bytes.byte(position) {
        case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "0")...UInt8(ascii: "9"): return true
        default: return false
        }
    }

    private mutating func decimal(_ bytes: RawSpan) throws -> Int64 {
        let start = self.position
        let isNegative = self.skip(UInt8(ascii: "-"), bytes)
        var digits: [UInt8] = []
        try self.digits(into: &digits, bytes)
        guard digits.count == 1 || digits.first != 0 else { throw self.error("a number that starts with 0") }
        var exponent = 0
        if self.skip(UInt8(ascii: "."), bytes) {
            let whole = digits.count
            try self.digits(into: &digits, bytes)
            exponent = whole - digits.count
        }
        if self.skip(UInt8(ascii: "e"), bytes) || self.skip(UInt8(ascii: "E"), bytes) {
            let isBelowOne = self.skip(UInt8(ascii: "-"), bytes)
            if !isBelowOne { _ = self.skip(UInt8(ascii: "+"), bytes) }
            var power: [UInt8] = []
            try self.digits(into: &power, bytes)
            // With at most 32 characters of number, a larger exponent cannot be made up for.
            let magnitude = power.reduce(0) { min($0 * 10 + Int($1), 1000) }
            exponent += isBelowOne ? -magnitude : magnitude
        }
        guard self.position - start <= Self.maximumNumberLength else {
            throw self.error("a number of more than \(Self.maximumNumberLength) characters")
        }
        guard let magnitude = Self.integer(digits, exponent: exponent) else {
            throw self.error("a number that is not an integer within 2^53")
        }
        return isNegative ? -magnitude : magnitude
    }

    private static let maximumNumberLength = 32

    private mutating func digits(into digits: inout [UInt8], _ bytes: RawSpan) throws {
        let count = digits.count
        while let byte = self.current(bytes), byte &- UInt8(ascii: "0") < 10 {
            digits.append(byte - UInt8(ascii: "0"))
            self.advance()
            guard digits.count <= Self.maximumNumberLength else {
                throw self.error("a number of more than \(Self.maximumNumberLength) characters")
            }
        }
        guard digits.count > count else { throw self.error("not a JSON number") }
    }

    /// The value of digits times a power of ten; nil when that is not an integer, or beyond ±2^53.
    private static func integer(_ digits: [UInt8], exponent: Int) -> Int64? {
        let significant = digits.reversed().drop { $0 == 0 }.reversed()
        guard !significant.isEmpty else { return 0 }
        let zeros = exponent + digits.count - significant.count
        guard zeros >= 0 else { return nil }
        var value: Int64 = 0
        for digit in significant.map(Int64.init) + repeatElement(0, count: min(zeros, 32)) {
            value = value * 10 + digit
            guard value <= JSONValue.integerLimit else { return nil }
        }
        return value
    }
}
