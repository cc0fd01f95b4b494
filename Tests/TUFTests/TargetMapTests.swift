// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TUF

struct TargetMapTests {
    private static let formats: [WireFormat] = [.notary, .tuf]

    /// What a role signs, read as from a file.
    private static func read(_ targets: Targets, _ format: WireFormat) throws -> Targets {
        try Targets(
            try #require(SignedObject(canonical: CanonicalJSON.encode(targets.json(format: format)), format: format)),
            format: format
        )
    }

    private static func file(_ random: inout RandomJSON) -> TargetFile {
        var hashes: [(key: String, value: [UInt8])] = []
        for (name, count) in [("md5", 16), ("sha256", 32), ("sha512", 64)] where random.random(3) > 0 {
            hashes.append((name, (0..<count).map { _ in UInt8(random.random(256)) }))
        }
        if hashes.isEmpty { hashes.append(("sha256", [1])) }
        var file = TargetFile(
            length: Int64(random.random(1 << 40)),
            hashes: Hashes(ByteOrderedMap(uniqueKeys: hashes) ?? [:])
        )
        if random.random(3) == 0 {
            let custom = random.value(depth: 2)
            file.custom = custom == .null ? nil : custom
        }
        if random.random(5) == 0 { file.additionalMembers["x\(random.text())"] = random.value(depth: 1) }
        return file
    }

    @Test("is a dictionary that is in order, however it was read and edited", arguments: formats, 0..<3)
    func property(_ format: WireFormat, _ seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed) + 50)
        var targets = Fixture.targets()
        var model: ByteOrderedMap<TargetFile> = [:]
        for round in 0..<12 {
            for _ in 0..<40 {
                let path = random.text()
                let file = random.random(3) == 0 ? nil : Self.file(&random)
                targets.targets[path] = file
                model[path] = file
                #expect(targets.targets[path] == file)
            }
            #expect(targets.targets.count == model.count)
            #expect(targets.targets.keys.map { Array($0.utf8) } == model.keys.map { Array($0.utf8) })
            #expect(targets.targets.values == model.values)
            for (path, file) in model { #expect(targets.targets[path] == file) }
            #expect(targets.targets["not there"] == nil)
            #expect(targets.targets == TargetMap(model))
            #expect(targets.targets.hashValue == TargetMap(model).hashValue)
            // Written by copying what was read, the same as if all of it had been values.
            let bytes = targets.canonical(format: format)
            #expect(bytes == CanonicalJSON.encode(targets.json(format: format)))
            let copy = try Self.read(targets, format)
            #expect(copy.targets == targets.targets)
            if round % 3 == 2 { targets = copy }
        }
        targets.targets[model.keys[0]]?.length += 1
        #expect(targets.targets != TargetMap(model))
        for path in model.keys { targets.targets[path] = nil }
        #expect(targets.targets.isEmpty)
        #expect(!targets.targets.contains { _ in true })
        #expect(targets.targets == [:])
        #expect(targets.canonical(format: format) == CanonicalJSON.encode(targets.json(format: format)))
    }

    @Test("what was read in one format can be written in the other")
    func otherFormat() throws {
        var targets = try Self.read(Fixture.targets(1, ["a", "b", "c"]), .notary)
        targets.targets["b"] = nil
        targets.targets["d"] = Fixture.target("d")
        #expect(try Self.read(targets, .tuf).targets == targets.targets)
    }

    @Test("paths that Unicode calls equivalent are two targets")
    func equivalence() throws {
        var targets = Fixture.targets(1, ["\u{e9}"])
        targets.targets["e\u{301}"] = Fixture.target("other")
        let read = try Self.read(targets, .tuf)
        #expect(read.targets.count == 2)
        #expect(read.targets["e\u{301}"] == Fixture.target("other"))
        #expect(read.targets["\u{e9}"] == Fixture.target("\u{e9}"))
    }

    static let base64 = Base64.encode([UInt8](repeating: 0xFF, count: 32))
    static let long = Base64.encode([UInt8](repeating: 0xFF, count: 64))
    static let hexadecimal = String(repeating: "0f", count: 32)

    static let members: [(format: WireFormat, text: String, isTarget: Bool)] = [
        (.notary, #"{"hashes":{"sha256":"\#(base64)"},"length":0}"#, true),
        (.notary, #"{"hashes":{"sha256":"\#(base64)","sha512":"\#(long)"},"length":9007199254740992}"#, true),
        (.notary, #"{"custom":null,"hashes":{"sha512":"\#(long)"},"length":1}"#, true),
        (.notary, #"{"custom":{"a":[1]},"hashes":{"sha256":"\#(base64)"},"length":1,"x":1}"#, true),
        (.notary, #"{"hashes":{"sha256":"AA=="},"length":0}"#, true), (.notary, #"{"length":0}"#, true),
        (.notary, #"{"hashes":{"sha256":"\#(base64)"},"length":-1}"#, false),
        (.notary, #"{"hashes":{"sha256":"\#(base64)"}}"#, false),
        (.notary, #"{"hashes":{"sha256":"\#(base64.replacing("8=", with: "9="))"},"length":0}"#, false),
        (.notary, #"{"hashes":{"sha512":"\#(long.replacing("w==", with: "x=="))"},"length":0}"#, false),
        (.notary, #"{"hashes":{"sha256":"\#(base64.replacing("=", with: "A"))"},"length":0}"#, true),
        (.notary, #"{"hashes":{"sha256":"\#(base64.replacing("///", with: "/-/"))"},"length":0}"#, false),
        (.notary, #"{"hashes":{"sha256":"\#(hexadecimal)"},"length":0}"#, true),
        (.notary, "1", false), (.notary, "null", false), (.notary, "[]", false), (.notary, "{}", false),
        (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal)"},"length":0}"#, true),
        (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal.uppercased())"},"length":0}"#, true),
        (.tuf, #"{"hashes":{"md5":"00","sha256":"\#(hexadecimal)"},"length":0,"z":"\"\\"}"#, true),
        (.tuf, #"{"custom":{},"hashes":{"sha512":"\#(hexadecimal)\#(hexadecimal)"},"length":7}"#, true),
        (.tuf, #"{"hashes":{"sha256":"\#(base64)"},"length":0}"#, false),
        (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal.dropLast())g"},"length":0}"#, false),
        (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal)0"},"length":0}"#, false),
        (.tuf, #"{"hashes":{"sha256":""},"length":0}"#, false), (.tuf, #"{"hashes":{},"length":0}"#, false),
        (.tuf, #"{"length":0}"#, false), (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal)"},"length":-0}"#, true),
        (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal)"},"length":-7}"#, false),
        (.tuf, #"{"hashes":{"sha256":"\#(hexadecimal)"},"length":"1"}"#, false),
    ]

    @Test(
        "a file with a member that is no target is refused, and one with any other spelling is not",
        arguments: members
    )
    func refusesOthers(_ format: WireFormat, _ text: String, _ isTarget: Bool) throws {
        let header =
            format == .notary
            ? #""_type":"Targets","expires":"2036-11-18T06:42:09Z""#
            : #""_type":"targets","expires":"2036-11-18T06:42:09Z","spec_version":"1.0.34""#
        let good = format == .notary ? Self.members[0].text : Self.members[17].text
        for targets in [#""a":\#(text)"#, #""a":\#(good),"b":\#(text),"c":\#(good)"#] {
            let signed = #"{\#(header),"targets":{\#(targets)},"version":1}"#
            let file = Array(#"{"signatures":[{"keyid":"","method":"","sig":"00"}],"signed":\#(signed)}"#.utf8)
            // A file that holds what must not be is told when its content is read, not before its signatures are.
            let metadata = try UnverifiedMetadata(
                format == .notary
                    ? Array(String(decoding: file, as: UTF8.self).replacing(#""00""#, with: #""AA==""#).utf8) : file,
                format: format
            )
            let value = try JSONParser.parse(Array(signed.utf8))
            let asValue = try? Targets(value, format: format)
            let read: Targets? = try? metadata.payload()
            #expect((read != nil) == isTarget)
            #expect(read == asValue)
            if let read, let index = read.targets.index {
                #expect(
                    read.targets.allSatisfy { (try? TargetFile($0.value.json(format: format), format: format)) != nil }
                )
                #expect(index.count == read.targets.count)
            }
        }
    }

    @Test("whatever passes for a target at first sight is one when it is read", arguments: formats, 0..<2)
    func shape(_ format: WireFormat, _ seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed) + 70)
        let good = Self.members.filter { $0.format == format && $0.isTarget }.map { Array($0.text.utf8) }
        var passed = 0
        for _ in 0..<3000 {
            var bytes = good[random.random(good.count)]
            for _ in 0..<random.random(3) {
                bytes[random.random(bytes.count)] = Array("\"\\,:{}-0aAfFgG=/+5\u{7f}".utf8)[random.random(19)]
            }
            var scanner = CanonicalScanner(at: 0, allowsControlCharacters: true)
            guard TargetShape(format).skip(&scanner, bytes.span.bytes, depth: 3) else { continue }
            let value = try JSONParser.parse(bytes[..<scanner.position])
            #expect(throws: Never.self) { try TargetFile(value, format: format) }
            passed += 1
        }
        #expect(passed > 100)
    }

    @Test("one more target is written by copying what was read, in whatever spelling it came")
    func copies() throws {
        // Upper case, which our own encoder would not write.
        let text =
            ##"{"_type":"targets","expires":"2036-11-18T06:42:09Z","spec_version":"1.0","targets":{"b":{"hashes":{"sha256":"AB"},"length":1}},"version":1}"##
        var targets = try Targets(try #require(SignedObject(canonical: Array(text.utf8), format: .tuf)), format: .tuf)
        #expect(String(decoding: targets.canonical(format: .tuf), as: UTF8.self) == text)
        targets.targets["a"] = TargetFile(length: 2, hashes: Hashes(sha256: [1]))
        let expected = text.replacing(#""b":"#, with: #""a":{"hashes":{"sha256":"01"},"length":2},"b":"#)
        #expect(String(decoding: targets.canonical(format: .tuf), as: UTF8.self) == expected)
    }
}
