// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import TUF

struct EnvelopeTests {
    @Test(
        "refuses what is no envelope",
        arguments: [
            "", "[]", "{}", #"{"signed":{}}"#, #"{"signed":{},"signatures":[]}"#, #"{"signed":{},"signatures":null}"#,
            #"{"signed":[],"signatures":[{}]}"#,
            #"{"signed":null,"signatures":[{}]}"#, #"{"signatures":[{"keyid":"a","method":"b","sig":""}]}"#,
            #"{"signed":{},"signatures":{}}"#,
            #"{"signed":{},"signatures":[1]}"#, #"{"signed":{},"signatures":[{"keyid":"a","method":"b"}]}"#,
            #"{"signed":{},"signatures":[{"keyid":"a","method":"b","sig":"!"}]}"#,
            #"{"signed":{},"signatures":[{"keyid":1,"method":"b","sig":""}]}"#,
            #"{"signed":{},"signatures":[{"keyid":"a","method":null,"sig":""}]}"#,
            #"{"signed":{},"signed":{},"signatures":[{"keyid":"a","method":"b","sig":""}]}"#,
        ]
    )
    func refuses(_ text: String) {
        #expect(throws: TUFError(.malformed, "")) { try UnverifiedMetadata(Array(text.utf8), format: .notary) }
    }

    @Test("takes any spelling of what was signed")
    func spelling() throws {
        let key = TestKey()
        let signature = try key.signature(of: Array(#"{"a":"A<","b":1}"#.utf8))
        for signed in [#"{"a":"A<","b":1}"#, #"{ "b" : 1.0 , "\u0061":"\u0041\u003C"}"#] {
            let text =
                #"{"signatures": [{"x":1,"sig":"\#(Base64.encode(signature.bytes))","method":"ECDSA","keyid":"\#(signature.keyID)"}], "y":2,"signed":\#(signed) }"#
            #expect(try UnverifiedMetadata(Array(text.utf8), format: .notary).isSigned(by: key.publicKey))
        }
    }

    @Test("no control character of what was read reaches a message")
    func messages() throws {
        let name = "\u{1B}[31m\n\u{202E}evil"
        let error = #expect(throws: TUFError.self) {
            try Targets(try JSONParser.parse(CanonicalJSON.encodeForWire(["_type": .string(name)])), format: .notary)
        }
        #expect(error?.message.contains("evil") == true)
        #expect(error?.message.unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{202E}" } == false)
        #expect(
            TUFError(.invalid, role: RoleName(name), "x").description.unicodeScalars.allSatisfy { $0.value >= 0x20 }
        )
        #expect(TUFError(.invalid, String(repeating: "x", count: 1 << 20)).message.utf8.count < 1 << 16)
    }

    /// Valid files of each role, and the keys that signed them.
    private static func corpus() throws -> [(
        bytes: [UInt8], keys: RoleKeys, read: @Sendable (JSONValue) throws -> Void
    )] {
        let root: Root = try UnverifiedMetadata(try Fixture.vector("2.root"), format: .notary).payload()
        let targets: Targets = try UnverifiedMetadata(try Fixture.vector("3.targets"), format: .notary).payload()
        return [
            (try Fixture.vector("2.root"), try root.keys(of: .root), { _ = try Root($0, format: .notary) }),
            (
                try Fixture.vector("4.timestamp"), try root.keys(of: .timestamp),
                { _ = try Timestamp($0, format: .notary) }
            ),
            (try Fixture.vector("5.snapshot"), try root.keys(of: .snapshot), { _ = try Snapshot($0, format: .notary) }),
            (try Fixture.vector("3.targets"), try root.keys(of: .targets), { _ = try Targets($0, format: .notary) }),
            (
                try Fixture.vector("1.targets-releases"),
                try targets.delegations.keys(of: RoleName("targets/releases")),
                { _ = try Targets($0, format: .notary) }
            ),
        ]
    }

    @Test("mutated files never trap, and verify only if what is signed is unchanged", arguments: 0..<5)
    func mutation(_ index: Int) throws {
        let (bytes, keys, read) = try Self.corpus()[index]
        let original = try UnverifiedMetadata(bytes, format: .notary)
        try keys.verify(original)
        var generator = SeededGenerator(seed: UInt64(index) + 10)
        var verified = 0
        for _ in 0..<1500 {
            let mutant = Self.mutate(bytes, &generator)
            // What a payload's reader makes of an unsigned file is of no interest, but that it comes back is.
            if let value = try? JSONParser.parse(mutant) { try? read(value["signed"] ?? .null) }
            guard let metadata = try? UnverifiedMetadata(mutant, format: .notary), (try? keys.verify(metadata)) != nil
            else { continue }
            #expect(metadata.message.bytes == original.message.bytes)
            verified += 1
        }
        // Some only touch white space, an unknown member or a spare signature: were it none, the test would prove nothing.
        #expect(verified > 0)
    }

    private static func mutate(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var mutant = bytes
        let spares = [
            " ", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "9", "-", "e5", "null", "\\u0041", "\u{FFFD}",
            "\"x\":1,", ".0", "\n",
        ]
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            let position = Int.random(in: 0..<mutant.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: mutant[position] = UInt8.random(in: 0...255, using: &generator)
            case 1: mutant[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2: mutant.remove(at: position)
            case 3:
                mutant.insert(
                    contentsOf: spares[Int.random(in: 0..<spares.count, using: &generator)].utf8,
                    at: position
                )
            case 4:
                let end = min(mutant.count, position + Int.random(in: 1..<40, using: &generator))
                mutant.insert(
                    contentsOf: mutant[position..<end],
                    at: Int.random(in: 0..<mutant.count, using: &generator)
                )
            default:
                if Bool.random(using: &generator) { mutant.removeSubrange(position...) } else { mutant.append(0x20) }
            }
            if mutant.isEmpty { break }
        }
        return mutant
    }
}
