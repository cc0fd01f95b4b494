// SPDX-License-Identifier: Apache-2.0

/// Parses JSON (RFC 8259) from bytes that may be hostile.
///
/// Stricter than most: it refuses duplicate names (two readers could see two documents), invalid UTF-8 and lone
/// surrogates, numbers that are not integers within ±2^53, nesting beyond ``maximumDepth``, and bytes after the value. Time
/// and memory are linear in the input.
public struct JSONParser {
    /// The deepest nesting that is read.
    public static let maximumDepth = 64

    private let bytes: [UInt8]
    private var position = 0
    /// Whether all that was read since this was last set is in canonical form already.
    private var isCanonical = true
    private var signed: Envelope.Signed?

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Parses one value that takes up all of the bytes, white space around it aside.
    /// - Throws: ``TUFError`` with code `malformed`, naming the offset in bytes.
    public static func parse(_ bytes: some Sequence<UInt8>) throws -> JSONValue {
        var parser = JSONParser(Array(bytes))
        return try parser.document()
    }

    /// The outer object of a metadata file.
    struct Envelope {
        /// Where the value of the member `signed` lies in the file, and whether it lies there in canonical form.
        struct Signed {
            let range: Range<Int>
            let isCanonical: Bool
        }

        let value: JSONValue
        let signed: Signed?
    }

    /// Parses a metadata file, and finds the bytes that are signed.
    /// - Throws: as ``parse(_:)``.
    static func parseEnvelope(_ bytes: [UInt8]) throws -> Envelope {
        var parser = JSONParser(bytes)
        return Envelope(value: try parser.document(), signed: parser.signed)
    }

    private mutating func document() throws -> JSONValue {
        let value = try self.value(depth: 0)
        self.skipWhiteSpace()
        guard self.position == self.bytes.count else { throw self.error("bytes after the end of the JSON value") }
        return value
    }

    private func error(_ message: String) -> TUFError {
        TUFError(.malformed, "\(message), at byte \(self.position)")
    }

    private var current: UInt8? {
        self.position < self.bytes.count ? self.bytes[self.position] : nil
    }

    private mutating func skipWhiteSpace() {
        while let byte = self.current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            self.position += 1
            self.isCanonical = false
        }
    }

    private mutating func value(depth: Int) throws -> JSONValue {
        self.skipWhiteSpace()
        switch self.current {
        case UInt8(ascii: "{"): return try self.object(depth: depth)
        case UInt8(ascii: "["): return try self.array(depth: depth)
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "t"): return try self.literal("true", .bool(true))
        case UInt8(ascii: "f"): return try self.literal("false", .bool(false))
        case UInt8(ascii: "n"): return try self.literal("null", .null)
        case .some(let byte) where byte == UInt8(ascii: "-") || Self.isDigit(byte): return try self.number()
        case .some: throw self.error("not a JSON value")
        case .none: throw self.error("the JSON ends too early")
        }
    }

    private mutating func literal(_ text: String, _ value: JSONValue) throws -> JSONValue {
        guard self.bytes[self.position...].starts(with: text.utf8) else { throw self.error("not a JSON value") }
        self.position += text.utf8.count
        return value
    }

    private mutating func object(depth: Int) throws -> JSONValue {
        try self.enter(depth: depth)
        var members: [(key: String, value: JSONValue)] = []
        self.skipWhiteSpace()
        if self.current == UInt8(ascii: "}") {
            self.position += 1
            return .object(ByteOrderedMap())
        }
        while true {
            self.skipWhiteSpace()
            guard self.current == UInt8(ascii: "\"") else { throw self.error("a member's name must be a string") }
            let name = try self.string()
            self.skipWhiteSpace()
            guard self.current == UInt8(ascii: ":") else { throw self.error("a colon must follow a member's name") }
            self.position += 1
            if depth == 0, name.utf8.elementsEqual("signed".utf8) {
                members.append((name, try self.signedValue()))
            } else {
                members.append((name, try self.value(depth: depth + 1)))
            }
            if try self.isAtEnd(of: UInt8(ascii: "}")) { break }
        }
        guard let (map, wasSorted) = ByteOrderedMap.sorting(uniqueKeys: members) else {
            throw self.error("an object has two members of one name")
        }
        if !wasSorted { self.isCanonical = false }
        return .object(map)
    }

    private mutating func signedValue() throws -> JSONValue {
        self.skipWhiteSpace()
        self.isCanonical = true
        let start = self.position
        let value = try self.value(depth: 1)
        self.signed = Envelope.Signed(range: start..<self.position, isCanonical: self.isCanonical)
        return value
    }

    private mutating func enter(depth: Int) throws {
        guard depth < Self.maximumDepth else { throw self.error("JSON nested deeper than \(Self.maximumDepth)") }
        self.position += 1
    }

    private mutating func array(depth: Int) throws -> JSONValue {
        try self.enter(depth: depth)
        var elements: [JSONValue] = []
        self.skipWhiteSpace()
        if self.current == UInt8(ascii: "]") {
            self.position += 1
            return .array([])
        }
        while true {
            elements.append(try self.value(depth: depth + 1))
            if try self.isAtEnd(of: UInt8(ascii: "]")) { break }
        }
        return .array(elements)
    }

    private mutating func isAtEnd(of closing: UInt8) throws -> Bool {
        self.skipWhiteSpace()
        guard let byte = self.current, byte == closing || byte == UInt8(ascii: ",") else {
            throw self.error("a comma or the closing bracket must follow")
        }
        self.position += 1
        return byte == closing
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}

extension JSONParser {
    private mutating func string() throws -> String {
        self.position += 1
        let start = self.position
        while let byte = self.current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
            self.position += 1
        }
        if self.current == UInt8(ascii: "\"") {
            let text = try self.text(self.bytes[start..<self.position])
            self.position += 1
            return text
        }
        var decoded = Array(self.bytes[start..<self.position])
        while true {
            guard let byte = self.current else { throw self.error("the JSON ends within a string") }
            self.position += 1
            switch byte {
            case UInt8(ascii: "\""): return try self.text(decoded[...])
            case UInt8(ascii: "\\"): decoded.append(contentsOf: try self.escape())
            case ..<0x20: throw self.error("a control character must be escaped in a string")
            default: decoded.append(byte)
            }
        }
    }

    private func text(_ bytes: ArraySlice<UInt8>) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw self.error("a string is not UTF-8") }
        return text
    }

    private mutating func escape() throws -> String.UTF8View {
        guard let byte = self.current else { throw self.error("the JSON ends within a string") }
        self.position += 1
        if byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { self.isCanonical = false }
        switch byte {
        case UInt8(ascii: "\""): return "\"".utf8
        case UInt8(ascii: "\\"): return "\\".utf8
        case UInt8(ascii: "/"): return "/".utf8
        case UInt8(ascii: "b"): return "\u{8}".utf8
        case UInt8(ascii: "f"): return "\u{c}".utf8
        case UInt8(ascii: "n"): return "\n".utf8
        case UInt8(ascii: "r"): return "\r".utf8
        case UInt8(ascii: "t"): return "\t".utf8
        case UInt8(ascii: "u"): return String(Character(try self.escapedScalar())).utf8
        default: throw self.error("an unknown escape in a string")
        }
    }

    private mutating func escapedScalar() throws -> Unicode.Scalar {
        let unit = try self.escapedUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard UTF16.isLeadSurrogate(unit), self.current == UInt8(ascii: "\\") else {
            throw self.error("half of a surrogate pair in a string")
        }
        self.position += 1
        guard self.current == UInt8(ascii: "u") else { throw self.error("half of a surrogate pair in a string") }
        self.position += 1
        let second = try self.escapedUnit()
        guard UTF16.isTrailSurrogate(second) else { throw self.error("half of a surrogate pair in a string") }
        guard let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(second) - 0xDC00)) else {
            throw self.error("half of a surrogate pair in a string")
        }
        return scalar
    }

    private mutating func escapedUnit() throws -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = self.current, let digit = Hexadecimal.value(of: byte) else {
                throw self.error("four hexadecimal digits must follow \\u")
            }
            unit = unit << 4 | UInt16(digit)
            self.position += 1
        }
        return unit
    }

    /// Integers, and the decimal forms of integers that Go's encoder accepts (`1.0`, `1e2`), to the grammar of RFC 8259
    /// section 6. All in integers: a double would round what is no integer, or too large, to one that is neither.
    private mutating func number() throws -> JSONValue {
        let start = self.position
        let isNegative = self.skip(UInt8(ascii: "-"))
        var digits: [UInt8] = []
        try self.digits(into: &digits)
        guard digits.count == 1 || digits.first != 0 else { throw self.error("a number that starts with 0") }
        let isPlain = !(isNegative && digits == [0])
        var exponent = 0
        if self.skip(UInt8(ascii: ".")) {
            let whole = digits.count
            try self.digits(into: &digits)
            exponent = whole - digits.count
        }
        if self.skip(UInt8(ascii: "e")) || self.skip(UInt8(ascii: "E")) {
            let isBelowOne = self.skip(UInt8(ascii: "-"))
            if !isBelowOne { _ = self.skip(UInt8(ascii: "+")) }
            var power: [UInt8] = []
            try self.digits(into: &power)
            // With at most 32 characters of number, a larger exponent cannot be made up for.
            let magnitude = power.reduce(0) { min($0 * 10 + Int($1), 1000) }
            exponent += isBelowOne ? -magnitude : magnitude
        }
        guard self.position - start <= Self.maximumNumberLength else {
            throw self.error("a number of more than \(Self.maximumNumberLength) characters")
        }
        if !isPlain || self.position - start != digits.count + (isNegative ? 1 : 0) { self.isCanonical = false }
        guard let magnitude = Self.integer(digits, exponent: exponent) else {
            throw self.error("a number that is not an integer within 2^53")
        }
        return .integer(isNegative ? -magnitude : magnitude)
    }

    private static let maximumNumberLength = 32

    private mutating func skip(_ byte: UInt8) -> Bool {
        guard self.current == byte else { return false }
        self.position += 1
        return true
    }

    private mutating func digits(into digits: inout [UInt8]) throws {
        let count = digits.count
        while let byte = self.current, Self.isDigit(byte) {
            digits.append(byte - UInt8(ascii: "0"))
            self.position += 1
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
            // Checked at each digit, so that the next product is far from overflow.
            guard value <= JSONValue.integerLimit else { return nil }
        }
        return value
    }
}
