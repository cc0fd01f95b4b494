// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TUF

struct JSONParserTests {
    private static func nested(_ depth: Int) -> String {
        String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }

    static let accepted: [(text: String, canonical: String)] = [
        (" {} ", "{}"), ("[]", "[]"), ("\t\r\n null \n", "null"), ("true", "true"), ("\"\"", "\"\""),
        ("1.0", "1"), ("1e2", "100"), ("1E+2", "100"), ("100e-2", "1"), ("0.1e1", "1"), ("-0", "0"), ("-0.0e9", "0"),
        ("0e999999999999", "0"),
        ("9007199254740992", "9007199254740992"), ("-9007199254740992", "-9007199254740992"),
        ("10000000000000000000000000e-20", "100000"), ("-1500e-2", "-15"),
        (#""\u0041\ud83d\ude00\/\b\f\n""#, "\"A😀/\u{8}\u{c}\n\""), (#""\u0000""#, "\"\0\""),
        (#"{"b":1,"a":2}"#, #"{"a":2,"b":1}"#), (nested(64), nested(64)),
        // Two names that Unicode calls equivalent are two names.
        (#"{"e\u0301":1,"\u00e9":2}"#, "{\"e\u{301}\":1,\"\u{e9}\":2}"),
        ("12345678901234567890123456789e-21", ""),
    ].filter { !$0.canonical.isEmpty }

    @Test("reads JSON", arguments: accepted)
    func accepts(_ text: String, _ canonical: String) throws {
        let value = try JSONParser.parse(Array(text.utf8))
        #expect(CanonicalJSON.encode(value) == Array(canonical.utf8))
        #expect(try JSONParser.parse(CanonicalJSON.encodeForWire(value)) == value)
    }

    static let refused = [
        "", " ", "nul", "nulll", "True", "{", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,}", "{a:1}", "{1:1}",
        "{\"a\" 1}", "[1 2]", "]", "1 2", "{} x", "[]\0", "'a'", "//", "\u{FEFF}{}",
        // Names that occur twice, whatever they are spelled with.
        #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"\u0061":3}"#,
        // Strings.
        "\"", "\"a", #""\"#, #""\x""#, #""\u12""#, #""\u123g""#, "\"\n\"", "\"\u{1}\"", #""\ud800""#, #""\udc00""#,
        #""\ud800\ud800""#, #""\ud800x""#, #""\ud800\n""#, #""\ud83d\u""#,
        // Numbers: not of the grammar, not integers, or beyond 2^53.
        "-", "+1", "01", "-01", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "1_0", "NaN", "Infinity", "--1", "1-", "1e1.5",
        "1.5", "15e-1", "1e-400", "1.00000000000000000001", "9007199254740990.6", "9007199254740993",
        "-9007199254740993",
        "9007199254740992.5", "1e16", "1e400", "18446744073709551616", "123456789012345678901234567890123",
        "1e99999999999999999999999999999", "1e999999999999999999999999999999",
        nested(65), String(repeating: "{\"a\":", count: 65),
    ]

    @Test("refuses what is not one JSON value, or what two readers could read differently", arguments: refused)
    func refuses(_ text: String) {
        #expect(throws: TUFError(.malformed, "")) { try JSONParser.parse(Array(text.utf8)) }
    }

    @Test("a number of 32 characters is read, one of 33 is not")
    func numberLength() throws {
        #expect(try JSONParser.parse(Array(("0." + String(repeating: "0", count: 30)).utf8)) == 0)
        #expect(throws: TUFError.self) { try JSONParser.parse(Array(("0." + String(repeating: "0", count: 31)).utf8)) }
    }

    @Test(
        "refuses bytes that are not UTF-8",
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF4, 0x90, 0x80, 0x80], [0x80]]
            as [[UInt8]]
    )
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        #expect(throws: TUFError(.malformed, "")) { try JSONParser.parse([0x22] + bytes + [0x22]) }
        #expect(throws: TUFError(.malformed, "")) { try JSONParser.parse([0x22, 0x5C, 0x6E] + bytes + [0x22]) }
    }

    @Test("takes a megabyte of hostile input in its stride")
    func hostile() throws {
        let size = 1 << 20
        func parse(_ unit: String, prefix: String = "") throws -> JSONValue {
            try JSONParser.parse(Array((prefix + String(repeating: unit, count: size / unit.utf8.count)).utf8))
        }
        for (unit, prefix) in [
            ("[", ""), ("{\"a\":", ""), ("\"\\", ""), ("\\\"", "\""), ("\\u0041", "\""), ("a", "\""), (" ", ""),
            ("9", ""), ("9", "1."),
            ("0", "1e"), ("[],", "["), ("\"\":0,", "{"),
        ] {
            #expect(throws: TUFError(.malformed, "")) { try parse(unit, prefix: prefix) }
        }
        let members = (0..<100_000).reversed().map { "\"\($0)\":0" }.joined(separator: ",")
        #expect(try JSONParser.parse(Array("{\(members)}".utf8)).object?.count == 100_000)
    }

    @Test(
        "knows which signed objects lie in the file in canonical form",
        arguments: [
            (#"{"signed":{"a":"\"\\é","b":[-1,true]},"x":[ ]}"#, true), (#"{ "signed" : {} }"#, true),
            (#"{"signed":{"a": 1}}"#, false), (#"{"signed":{"b":1,"a":1}}"#, false),
            (#"{"signed":{"a":"\u0041"}}"#, false),
            (#"{"signed":{"a":"\/"}}"#, false), (#"{"signed":{"a":1.0}}"#, false), (#"{"signed":{"a":-0}}"#, false),
            (#"{"signed":{"a":1e0}}"#, false), (#"{"signed":{"a":[{"b":1,"a":1},{}]}}"#, false),
            (#"{"signed":{"\u0061":1}}"#, false),
        ]
    )
    func canonicalOnTheWire(_ text: String, _ isCanonical: Bool) throws {
        let bytes = Array(text.utf8)
        let envelope = try MetadataEnvelope(bytes, format: .notary)
        #expect(envelope.isCanonical == isCanonical)
        let value = envelope.signed.value
        #expect(try JSONParser.parse(bytes[envelope.signedRange]) == value)
        #expect(Array(envelope.signed.canonical) == CanonicalJSON.encode(value))
        #expect((Array(bytes[envelope.signedRange]) == CanonicalJSON.encode(value)) == isCanonical)
    }

    @Test("takes `signed` from the outermost object alone")
    func innerSigned() throws {
        for text in [#"{"a":{"signed":{}}}"#, #"[{"signed":{}}]"#, #"{"signed":[]}"#] {
            #expect(throws: TUFError(.malformed, "")) { try MetadataEnvelope(Array(text.utf8), format: .notary) }
        }
        let nested = Array(#"{"signed":{"signed":1}}"#.utf8)
        #expect(try MetadataEnvelope(nested, format: .notary).signedRange == 10..<22)
    }
}

struct CanonicalJSONTests {
    @Test("orders members by bytes and writes no white space")
    func order() throws {
        let value = try JSONParser.parse(Array(#"{"b":1,"a":2,"B":3,"é":4,"_":5,"aa":6}"#.utf8))
        #expect(CanonicalJSON.encode(value) == Array(#"{"B":3,"_":5,"a":2,"aa":6,"b":1,"é":4}"#.utf8))
    }

    @Test("orders by UTF-8, where UTF-16 would order otherwise")
    func orderBeyondTheBasicPlane() {
        let value: JSONValue = ["\u{1F600}": 1, "\u{FFFD}": 2]
        #expect(CanonicalJSON.encode(value) == Array("{\"\u{FFFD}\":2,\"\u{1F600}\":1}".utf8))
    }

    @Test("escapes nothing but quotes and backslashes in what is signed")
    func signedStrings() {
        let text: JSONValue = "a\n<>&'\"\\/\u{2028}😀é"
        let expected =
            Array("\"a".utf8) + [0x0A] + Array("<>&'\\\"\\\\/".utf8) + [0xE2, 0x80, 0xA8] + Array("😀é\"".utf8)
        #expect(CanonicalJSON.encode(text) == expected)
    }

    @Test(
        "writes files with the escapes of Go's encoder",
        arguments: [
            ("<>&\u{2028}\u{2029}", #""\u003c\u003e\u0026\u2028\u2029""#),
            ("\u{2027}\u{202A}\u{E8}¨©", "\"\u{2027}\u{202A}\u{E8}¨©\""),
            ("\0\u{1}\u{8}\u{b}\u{c}\u{1f}\n\r\t", #""\u0000\u0001\u0008\u000b\u000c\u001f\n\r\t""#),
            ("\u{7f}/'é😀", "\"\u{7f}/'é😀\""),
            ("\"\\", #""\"\\""#), ("", "\"\""), ("x<", #""x\u003c""#), ("<x", #""\u003cx""#),
        ]
    )
    func wireStrings(_ text: String, _ expected: String) throws {
        #expect(CanonicalJSON.encodeForWire(.string(text)) == Array(expected.utf8))
        #expect(try JSONParser.parse(Array(expected.utf8)) == .string(text))
    }

    @Test("what is written is read again as it was, by property")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let value = Self.value(depth: 4, &generator)
            #expect(try JSONParser.parse(CanonicalJSON.encodeForWire(value)) == value)
        }
    }

    private static func value(depth: Int, _ generator: inout SeededGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 6 : 4), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .integer(Int64.random(in: -JSONValue.integerLimit...JSONValue.integerLimit, using: &generator))
        case 3: return .string(self.text(&generator))
        case 4: return .array((0..<3).map { _ in self.value(depth: depth - 1, &generator) })
        default:
            var members = ByteOrderedMap<JSONValue>()
            for _ in 0..<3 { members[self.text(&generator)] = self.value(depth: depth - 1, &generator) }
            return .object(members)
        }
    }

    private static func text(_ generator: inout SeededGenerator) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0..<12, using: &generator) {
            let limit: UInt32 = Bool.random(using: &generator) ? 0x80 : 0x11_0000
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &generator)) { text.append(scalar) }
        }
        return String(text)
    }
}

struct TextCodingTests {
    @Test(
        "reads only the one base64 form of bytes",
        arguments: [
            "A", "AA", "AAA", "AA=", "A===", "====", "AA==AA==", "AB==", "AAB=", "AA==\n", "A A=", "AA==x", "-_==",
            "\nAAAA", "AAAAAAA\n", "Ä===",
            "AAAAA===", "AA=A", "=AAA", "AA=AAAAA", "A=AAAAAA", "AAA=AAAA", "AAAA=", "===",
        ]
    )
    func refusesBase64(_ text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test("writes and reads base64 of every length")
    func base64() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
    }

    @Test(
        "reads pairs of hexadecimal digits",
        arguments: [
            ("", []), ("00ff", [0, 255]), ("0", nil), ("0g", nil), ("0x", nil), ("٠٠", nil), ("é", nil),
        ] as [(String, [UInt8]?)]
    )
    func hexadecimal(_ text: String, _ bytes: [UInt8]?) {
        #expect(Hexadecimal.decode(text) == bytes)
        if let bytes { #expect(Hexadecimal.encode(bytes) == text) }
    }
}

struct ByteOrderedMapTests {
    @Test("keeps names apart that Unicode calls equivalent")
    func equivalence() {
        var map: ByteOrderedMap<Int> = ["\u{e9}": 1]
        map["e\u{301}"] = 2
        #expect(map.count == 2)
        #expect(map["\u{e9}"] == 1)
        #expect(JSONValue.string("\u{e9}") != .string("e\u{301}"))
        #expect(RoleName("\u{e9}") != RoleName("e\u{301}"))
        #expect(KeyID("\u{e9}") != KeyID("e\u{301}"))
        #expect(
            Fixture.delegation("targets/a", to: [], paths: ["\u{e9}"])
                != Fixture.delegation("targets/a", to: [], paths: ["e\u{301}"])
        )
        #expect(SignatureMethod("rsap\u{212A}cs1v15") != .rsaPKCS1v15)
        #expect(SignatureMethod("RSAPKCS1v15") == .rsaPKCS1v15)
    }

    @Test("sets, replaces and removes like a dictionary, in order of bytes")
    func property() {
        var generator = SeededGenerator(seed: 2)
        var map = ByteOrderedMap<Int>()
        var model: [String: Int] = [:]
        for step in 0..<2000 {
            let key = "k\(Int.random(in: 0..<60, using: &generator))"
            let value = Bool.random(using: &generator) ? step : nil
            map[key] = value
            model[key] = value
            #expect(map[key] == value)
        }
        #expect(map.keys == model.keys.sorted())
        #expect(ByteOrderedMap(uniqueKeys: model.map { ($0.key, $0.value) }) == map)
        #expect(ByteOrderedMap(uniqueKeys: [("b", 1), ("a", 1), ("b", 2)]) == nil)
    }
}
