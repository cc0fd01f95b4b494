// SPDX-License-Identifier: Apache-2.0

import PercentEncoding
import Testing

struct PercentCodingTests {
    @Test(
        "Escapes are decoded once, or the text is malformed",
        arguments: [
            ("", ""), ("plain", "plain"), ("a%2Fb", "a/b"), ("%e2%82%ac", "€"), ("a+b", "a+b"), ("%2525", "%25"),
            ("%00", "\0"), ("%2e%2E", ".."), ("%", nil), ("a%4", nil), ("%4g", nil), ("%+1", nil), ("%ff", nil),
            ("%c0%af", nil), ("%ed%a0%80", nil), ("%-1", nil), ("%é", nil),
        ] as [(String, String?)]
    )
    func decode(encoded: String, expected: String?) {
        #expect(PercentCoding.decode(encoded[...]) == expected)
    }

    @Test("In a form a plus is a space, and an escaped plus a plus")
    func forms() {
        #expect(PercentCoding.decode("a+b%2Bc", plusIsSpace: true) == "a b+c")
        #expect(PercentCoding.decode("a+b", plusIsSpace: true) == "a b")
    }

    @Test("What is encoded is decoded to itself", arguments: ["", "a/b?c=d&e", "50 % +", "ä€\u{1F600}", "~._-", "\0"])
    func roundTrip(text: String) {
        let encoded = PercentCoding.encode(text)
        #expect(PercentCoding.decode(encoded[...]) == text)
        #expect(encoded.utf8.allSatisfy { $0 < 0x80 && !" /?&=+\0".utf8.contains($0) })
    }

    @Test("Named characters stay, all others but the unreserved ones are escaped in upper case")
    func keeping() {
        #expect(PercentCoding.encode("a/b:c ?ä", keeping: "/:") == "a/b:c%20%3F%C3%A4")
    }

    @Test("The items of a query keep their order, their repetition and their escapes")
    func items() {
        let items = PercentCoding.items(of: "n=1&scope=a%3Ab&flag&=x&&e=f=g", limit: 10)
        #expect(items.map { "\($0.name)|\($0.value)" } == ["n|1", "scope|a%3Ab", "flag|", "|x", "e|f=g"])
        #expect(PercentCoding.items(of: "", limit: 10).isEmpty)
        // A combining character does not hide the sign before it.
        #expect(PercentCoding.items(of: "a=\u{338}b&\u{338}c", limit: 10).map { String($0.name) } == ["a", "\u{338}c"])
        #expect(PercentCoding.items(of: "a&b&c=1&d", limit: 2).map { String($0.name) } == ["a", "b"])
    }
}
