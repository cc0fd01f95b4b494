// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Checks JSON that comes from outside before a general decoder sees it, so that every reader sees the same document.
///
/// Decoders differ in which of two members of the same name they take, and some (Go's) ignore the case of names:
/// a document that says two things can pass a check as one thing and be used as another. So duplicates are refused
/// everywhere, and where the caller names members, other spellings of these. Nesting is bounded, since recursive
/// decoders overflow their stack.
struct StrictJSON {
    /// The deepest nesting accepted.
    static let maximumDepth = 64

    /// Which names matter in an object, by where it is.
    struct Names: Sendable {
        /// Members of the top object.
        var top: Set<String>
        /// Members of objects that are the values, directly or in an array, of the top members in ``nestedIn``.
        var nested: Set<String>
        /// Top members that hold such objects.
        var nestedIn: Set<String>

        static let none = Names(top: [], nested: [], nestedIn: [])
    }

    private enum Place {
        case top
        case nested
        case elsewhere
    }

    private let bytes: [UInt8]
    private let names: Names
    private let foldedTop: Set<String>
    private let foldedNested: Set<String>
    private var position = 0

    private init(_ bytes: [UInt8], names: Names) {
        self.bytes = bytes
        self.names = names
        self.foldedTop = Set(names.top.map(Self.folded))
        self.foldedNested = Set(names.nested.map(Self.folded))
    }

    /// One spelling for all that Go takes for the same name: it folds the long s, too, which has no upper case of its own.
    private static func folded(_ name: String) -> String {
        String(name.lowercased().map { $0 == "\u{17F}" ? "s" : $0 })
    }

    /// Decodes a document whose top is an object.
    /// - Throws: ``OCIError`` with the code given, or what the decoding itself throws if that is an ``OCIError``.
    static func decode<Value: Decodable>(
        _ type: Value.Type,
        from bytes: [UInt8],
        names: Names = .none,
        failure code: OCIError.Code,
        what: String
    ) throws -> Value {
        var scanner = StrictJSON(bytes, names: names)
        do {
            try scanner.scanDocument()
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as Malformed {
            throw OCIError(code, "\(what): \(error.message) at byte \(scanner.position)")
        } catch let error as DecodingError {
            throw OCIError(code, "\(what): \(Self.describe(error))")
        }
    }

    private struct Malformed: Error {
        let message: String

        init(_ message: String) {
            self.message = message
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            return keys.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "member \(path(context, key)) is missing"
        case .typeMismatch(let type, let context): return "member \(path(context)) is not of type \(type)"
        case .valueNotFound(_, let context): return "member \(path(context)) is null"
        case .dataCorrupted(let context): return "member \(path(context)): \(context.debugDescription)"
        @unknown default: return "the JSON cannot be decoded"
        }
    }
}

extension StrictJSON {
    private mutating func scanDocument() throws {
        guard String(validating: self.bytes, as: UTF8.self) != nil else { throw Malformed("invalid UTF-8") }
        self.skipSpace()
        guard self.peek() == UInt8(ascii: "{") else { throw Malformed("expected a JSON object") }
        try self.scanObject(.top, depth: 1)
        self.skipSpace()
        guard self.position == self.bytes.count else { throw Malformed("more bytes after the JSON object") }
    }

    private mutating func scanValue(_ place: Place, depth: Int) throws {
        guard depth <= Self.maximumDepth else { throw Malformed("nested deeper than \(Self.maximumDepth)") }
        switch self.peek() {
        case UInt8(ascii: "{"): try self.scanObject(place, depth: depth)
        case UInt8(ascii: "["): try self.scanArray(place, depth: depth)
        case UInt8(ascii: "\""): _ = try self.scanString()
        case UInt8(ascii: "t"): try self.scanLiteral("true")
        case UInt8(ascii: "f"): try self.scanLiteral("false")
        case UInt8(ascii: "n"): try self.scanLiteral("null")
        default: try self.scanNumber()
        }
    }

    private mutating func scanObject(_ place: Place, depth: Int) throws {
        self.position += 1
        self.skipSpace()
        if self.take(UInt8(ascii: "}")) { return }
        var seen: Set<String> = []
        while true {
            self.skipSpace()
            guard self.peek() == UInt8(ascii: "\"") else { throw Malformed("expected a member name") }
            let name = try self.scanString()
            guard seen.insert(name).inserted else {
                throw Malformed("duplicate member \"\(name.prefix(64))\", which readers would resolve differently,")
            }
            try self.checkSpelling(name, place)
            self.skipSpace()
            guard self.take(UInt8(ascii: ":")) else { throw Malformed("expected ':'") }
            self.skipSpace()
            let isNested = place == .top && self.names.nestedIn.contains(name)
            try self.scanValue(isNested ? .nested : .elsewhere, depth: depth + 1)
            self.skipSpace()
            if self.take(UInt8(ascii: "}")) { return }
            guard self.take(UInt8(ascii: ",")) else { throw Malformed("expected ',' or '}'") }
        }
    }

    private func checkSpelling(_ name: String, _ place: Place) throws {
        let isOtherSpelling =
            switch place {
            case .top: !self.names.top.contains(name) && self.foldedTop.contains(Self.folded(name))
            case .nested: !self.names.nested.contains(name) && self.foldedNested.contains(Self.folded(name))
            case .elsewhere: false
            }
        guard !isOtherSpelling else {
            throw Malformed(
                "member \"\(name)\" has a known name in other case, which some readers take for the known one,"
            )
        }
    }

    private mutating func scanArray(_ place: Place, depth: Int) throws {
        self.position += 1
        self.skipSpace()
        if self.take(UInt8(ascii: "]")) { return }
        while true {
            self.skipSpace()
            try self.scanValue(place, depth: depth + 1)
            self.skipSpace()
            if self.take(UInt8(ascii: "]")) { return }
            guard self.take(UInt8(ascii: ",")) else { throw Malformed("expected ',' or ']'") }
        }
    }

    private mutating func scanLiteral(_ literal: StaticString) throws {
        for index in 0..<literal.utf8CodeUnitCount {
            guard self.take(literal.utf8Start[index]) else { throw Malformed("expected \(literal)") }
        }
    }

    private mutating func scanDigits() -> Bool {
        let start = self.position
        while let byte = self.peek(), (48...57).contains(byte) { self.position += 1 }
        return self.position > start
    }

    private mutating func scanNumber() throws {
        _ = self.take(UInt8(ascii: "-"))
        if !self.take(UInt8(ascii: "0")) {
            guard self.scanDigits() else { throw Malformed("expected a JSON value") }
        }
        if self.take(UInt8(ascii: ".")) {
            guard self.scanDigits() else { throw Malformed("expected digits after '.'") }
        }
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            if !self.take(UInt8(ascii: "+")) { _ = self.take(UInt8(ascii: "-")) }
            guard self.scanDigits() else { throw Malformed("expected digits in the exponent") }
        }
    }

    /// The string at the position, with its escapes resolved.
    private mutating func scanString() throws -> String {
        self.position += 1
        let start = self.position
        var hasEscapes = false
        while let byte = self.peek() {
            switch byte {
            case UInt8(ascii: "\""):
                let raw = self.bytes[start..<self.position]
                self.position += 1
                return hasEscapes ? try Self.unescape(raw) : String(decoding: raw, as: UTF8.self)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                self.position += 2
            case 0..<0x20:
                throw Malformed("unescaped control character in a string")
            default:
                self.position += 1
            }
        }
        self.position = self.bytes.count
        throw Malformed("the string does not end")
    }

    private static func unescape(_ raw: ArraySlice<UInt8>) throws -> String {
        var units: [UInt16] = []
        var rest = raw
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                // Runs between escapes are whole characters, since a backslash is never inside one.
                let end = rest.firstIndex(of: UInt8(ascii: "\\")) ?? rest.endIndex
                units.append(contentsOf: String(decoding: [byte] + rest[..<end], as: UTF8.self).utf16)
                rest = rest[end...]
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\""): units.append(0x22)
            case UInt8(ascii: "\\"): units.append(0x5C)
            case UInt8(ascii: "/"): units.append(0x2F)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"):
                let digits = rest.prefix(4)
                guard digits.count == 4, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                    let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
                else { throw Malformed("bad \\u escape") }
                units.append(unit)
                rest = rest.dropFirst(4)
            default: throw Malformed("bad escape in a string")
            }
        }
        guard let text = String(validating: units, as: UTF16.self) else {
            throw Malformed("unpaired surrogate in a string")
        }
        return text
    }

    private func peek() -> UInt8? {
        self.position < self.bytes.count ? self.bytes[self.position] : nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek() == byte else { return false }
        self.position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = self.peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { self.position += 1 }
    }
}
