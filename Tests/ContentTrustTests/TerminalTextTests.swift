// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import Testing

@Suite("Text from outside on a terminal")
struct TerminalTextTests {
    @Test(
        "what would move the cursor, hide or reorder text is not passed on",
        arguments: ["\u{1B}[2K", "\r", "\u{9B}2J", "\u{7}", "\u{8}", "\u{202E}", "\u{2028}", "\u{200B}", "\u{0}"]
    )
    func dangerous(_ text: String) throws {
        let line = TerminalText.line("a\(text)b")
        #expect(line.hasPrefix("a\u{FFFD}"))
        #expect(!line.unicodeScalars.contains { text.unicodeScalars.first == $0 })
        #expect(TerminalText.lines("a\n\(text)b").hasPrefix("a\n\u{FFFD}"))
        let encoded = try JSONEncoder().encode(["a": text])
        let json = TerminalText.json(String(decoding: encoded, as: UTF8.self))
        #expect(try JSONDecoder().decode([String: String].self, from: Data(json.utf8)) == ["a": text])
        #expect(TerminalText.lines(json) == json)
    }

    @Test("other text stays as it is")
    func harmless() {
        let text = "läyer-1.2 (\u{1F600}) \"日本\""
        #expect(TerminalText.line(text) == text)
        #expect(TerminalText.line("a\nb") == "a\u{FFFD}b")
        #expect(TerminalText.json("{\n  \"a\" : 1\n}") == "{\n  \"a\" : 1\n}")
    }
}
