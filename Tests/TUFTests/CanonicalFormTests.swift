// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TUF

/// A JSON text of any spelling, and what it says.
struct RandomJSON {
    var generator: SeededGenerator
    /// Whether the text is to be canonical.
    var isCanonical = false

    init(seed: UInt64) { self.generator = SeededGenerator(seed: seed) }

    mutating func value(depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 4), using: &self.generator) {
        case 0: return [.null, .bool(true), .bool(false)][self.random(3)]
        case 1:
            return .integer(Int64.random(in: -JSONValue.integerLimit...JSONValue.integerLimit, using: &self.generator))
        case 2: return .integer(Int64(self.random(30)) - 15)
        case 3: return .string(self.text())
        case 4: return .array((0..<self.random(4)).map { _ in self.value(depth: depth - 1) })
        default:
            var members = ByteOrderedMap<JSONValue>()
            for _ in 0..<self.random(6) { members[self.text()] = self.value(depth: depth - 1) }
            return .object(members)
        }
    }

    mutating func text() -> String {
        let alphabet: [Unicode.Scalar] = [
            "a", "b", "\"", "\\", "/", "\n", "\0", "\u{1f}", "é", "\u{301}", "\u{2028}", "😀",
        ]
        var text = String.UnicodeScalarView()
        for _ in 0..<self.random(12) {
            // Many of the same, so that names have beginnings in common.
            text.append(self.random(3) == 0 ? alphabet[self.random(alphabet.count)] : "a")
        }
        return String(text)
    }

    /// A spelling of a value.
    mutating func spelling(of value: JSONValue) -> String {
        switch value {
        case .array(let elements):
            let parts = elements.map { self.space() + self.spelling(of: $0) + self.space() }
            return "[\(parts.isEmpty ? self.space() : parts.joined(separator: ","))]"
        case .object(let members):
            var parts = members.map { name, value in
                self.space() + self.spelling(of: .string(name)) + self.space() + ":" + self.space()
                    + self.spelling(of: value) + self.space()
            }
            if !self.isCanonical { parts.shuffle(using: &self.generator) }
            return "{\(parts.isEmpty ? self.space() : parts.joined(separator: ","))}"
        case .string(let text): return "\"\(text.unicodeScalars.map { self.spelling(of: $0) }.joined())\""
        case .integer(let number):
            guard !self.isCanonical, self.random(4) == 0, abs(number) < 1 << 40 else { return String(number) }
            return ["\(number).0", "\(number)e0", "\(number * 100)E-2", "\(number).00e+0"][self.random(4)]
        default: return String(decoding: CanonicalJSON.encode(value), as: UTF8.self)
        }
    }

    private mutating func spelling(of scalar: Unicode.Scalar) -> String {
        let mustEscape = scalar == "\"" || scalar == "\\"
        guard scalar.value < 0x20 || (!self.isCanonical && self.random(4) == 0) else {
            return mustEscape ? "\\\(scalar)" : String(scalar)
        }
        return String(scalar).utf16.map { unit in
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.utf8.count)
                + (Bool.random(using: &self.generator) ? digits : digits.uppercased())
        }.joined()
    }

    private mutating func space() -> String {
        self.isCanonical || self.random(6) > 0 ? "" : [" ", "\n", "\t", "\r "][self.random(4)]
    }

    mutating func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self.generator) }
}

struct CanonicalFormTests {
    private static func isCanonical(_ bytes: [UInt8], allowsControlCharacters: Bool = false) -> Bool {
        var scanner = CanonicalScanner(at: 0, allowsControlCharacters: allowsControlCharacters)
        return scanner.value(bytes.span.bytes, depth: 0) && scanner.position == bytes.count
    }

    @Test("every spelling of a document is read as the same, and has one canonical form", arguments: 0..<4)
    func spellings(_ seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed))
        var canonical = 0
        for round in 0..<400 {
            random.isCanonical = round.isMultiple(of: 2)
            let value = random.value(depth: 5)
            let text = Array(random.spelling(of: value).utf8)
            let encoded = CanonicalJSON.encode(value)
            #expect(try JSONParser.parse(text) == value)
            #expect(try CanonicalTranscoder.canonical(text.span.bytes) == encoded)
            // What holds control characters has no canonical form that is JSON.
            #expect(Self.isCanonical(text) == (text == encoded))
            #expect(Self.isCanonical(encoded, allowsControlCharacters: true))
            #expect(CanonicalReader.value(at: 0, in: encoded.span.bytes) == value)
            canonical += text == encoded ? 1 : 0
        }
        #expect(canonical > 100 && canonical < 399)
    }

    @Test("one changed byte is never canonical in one place and something else in another", arguments: 0..<4)
    func mutations(_ seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed) + 100)
        random.isCanonical = true
        var accepted = 0
        for _ in 0..<1500 {
            var bytes = Array(random.spelling(of: random.value(depth: 4)).utf8)
            let byte = [0x22, 0x5C, 0x2C, 0x30, 0x2D, 0x80, 0xED, 0x0A, 0x61][random.random(9)] as UInt8
            bytes[random.random(bytes.count)] = byte
            let canonical = try? CanonicalTranscoder.canonical(bytes.span.bytes)
            #expect(Self.isCanonical(bytes) == (canonical == bytes))
            #expect((try? JSONParser.parse(bytes)).map { CanonicalJSON.encode($0) } == canonical)
            accepted += canonical == nil ? 0 : 1
        }
        #expect(accepted > 50)
    }

    @Test("the wire form of canonical bytes is that of their value")
    func wire() throws {
        var random = RandomJSON(seed: 7)
        for _ in 0..<200 {
            let value = random.value(depth: 4)
            let wire = CanonicalJSON.encodeForWire(value)
            #expect(try JSONParser.parse(wire) == value)
            #expect(wire.allSatisfy { $0 >= 0x20 })
        }
    }

    @Test("names are ordered and told apart by what they stand for, not by how they are escaped")
    func escapedNames() throws {
        // A quote is before `#`, and its backslash after it.
        let names = [#"a""#, "a#", "a[", #"a\"#, "a]", #"a\""#]
        let members = ByteOrderedMap(uniqueKeys: names.map { ($0, JSONValue.integer(1)) })
        let bytes = CanonicalJSON.encode(.object(try #require(members)))
        #expect(Self.isCanonical(bytes))
        #expect(!Self.isCanonical(Array(##"{"a#":1,"a\"":1}"##.utf8)))
        #expect(throws: TUFError(.malformed, "")) {
            try JSONParser.parse(Array(##"{"a\"":1,"b":1,"a\u0022":1}"##.utf8))
        }
    }

    @Test("out of order at every depth is put into order")
    func disorder() throws {
        let depth = JSONParser.maximumDepth
        let inner = (0..<1000).reversed().map { "\"\($0)\":0" }.joined(separator: ",")
        let text =
            String(repeating: #"{"z":"#, count: depth - 1) + "{\(inner)}"
            + String(repeating: #","a":1}"#, count: depth - 1)
        let value = try JSONParser.parse(Array(text.utf8))
        #expect(value["a"] == 1)
        #expect(try JSONParser.parse(CanonicalJSON.encode(value)) == value)
    }

    @Test(
        "a hostile file becomes no more than a bounded multiple of its size",
        arguments: [
            ("[]", ",", "[", "]"), ("[0]", ",", "[", "]"), ("{}", ",", "[", "]"), ("0", ",", "[", "]"),
            ("\"\"", ",", "[", "]"),
            (#"{"":0}"#, ",", "[", "]"), ("[[[[[[[[0]]]]]]]]", ",", "[", "]"),
            (#"{"":{"":{"":{"":{}}}}}"#, ",", "[", "]"),
            (#""\u0000\ud83d\ude00""#, ",", "[", "]"), ("1e2", ",", "[", "]"),
        ]
    )
    func size(_ unit: String, _ separator: String, _ opening: String, _ closing: String) throws {
        let count = 100_000 / (unit.utf8.count + 1)
        let text = opening + Array(repeating: unit, count: count).joined(separator: separator) + closing
        let value = try JSONParser.parse(Array(text.utf8))
        #expect(Self.size(value) < 64 * text.utf8.count)
        #expect(try CanonicalTranscoder.canonical(Array(text.utf8).span.bytes).count <= 2 * text.utf8.count)
    }

    /// What a value takes, in bytes: its own, those it points to, what each allocation adds, and what lists keep to grow.
    private static func size(_ value: JSONValue) -> Int {
        func text(_ text: String) -> Int { text.utf8.count > 15 ? text.utf8.count + 48 : 0 }
        switch value {
        case .null, .bool, .integer: return MemoryLayout<JSONValue>.stride
        case .string(let string): return MemoryLayout<JSONValue>.stride + text(string)
        case .array(let elements):
            return MemoryLayout<JSONValue>.stride + (elements.isEmpty ? 0 : 48)
                + elements.reduce(0) { $0 + self.size($1) + MemoryLayout<JSONValue>.stride }
        case .object(let members):
            return MemoryLayout<JSONValue>.stride + (members.isEmpty ? 0 : 48)
                + members.reduce(0) { $0 + self.size($1.value) + MemoryLayout<JSONValue>.stride + 32 + text($1.key) }
        }
    }
}
