// SPDX-License-Identifier: Apache-2.0

/// The end of content that is written into a Dockerfile: `RUN <<EOF`, lines, `EOF`.
struct HereDocument: Sendable, Hashable {
    let name: [UInt8]
    /// `<<-`: whether tabs before a line do not count.
    let dropsTabs: Bool

    /// Whether a line ends the content.
    func isEnd(_ line: [UInt8]) -> Bool {
        var text = line[...]
        while text.last == UInt8(ascii: "\r") { text = text.dropLast() }
        return (self.dropsTabs ? text.drop { $0 == UInt8(ascii: "\t") } : text).elementsEqual(self.name)
    }

    /// The contents that an instruction is followed by: `RUN`, `COPY` and `ADD` may have some.
    /// - Throws: ``DockerFrontError`` with code `build` for what builders do not all read alike.
    static func terminators(in instruction: [UInt8], line: Int) throws -> [HereDocument] {
        var words = DockerfileWords(instruction).words[...]
        if words.first.map({ $0.is("ONBUILD") }) == true { words = words.dropFirst() }
        guard let first = words.first, ["RUN", "COPY", "ADD"].contains(where: first.is) else { return [] }
        return try Self.marks(in: instruction, line: line)
    }

    private static let less = UInt8(ascii: "<")

    /// Finds the words that are `<<NAME`, `<<-NAME` or `<<"NAME"`, with a file descriptor's digits before or without. In doubt it refuses:
    /// whether what follows is content or instructions decides what is built on.
    private static func marks(in bytes: [UInt8], line: Int) throws -> [HereDocument] {
        guard zip(bytes, bytes.dropFirst()).contains(where: { $0 == self.less && $1 == self.less }) else { return [] }
        let doubt = DockerFrontError.dockerfile(
            line,
            "builders differ about where this here-document ends: write <<NAME, and no escapes, ${NAME:-...} or letters beyond ASCII "
                + "in this instruction"
        )
        let escapes = [UInt8(ascii: "\\"), UInt8(ascii: "`")]
        guard bytes.allSatisfy({ $0 < 0x80 && !escapes.contains($0) }), self.hasPlainVariables(bytes) else {
            throw doubt
        }
        guard let words = self.words(bytes) else { throw doubt }
        return try words.compactMap { word in
            // Newer builders take a blank behind it for a part of the word.
            guard !word.suffix(2).elementsEqual([self.less, self.less]) else { throw doubt }
            var rest = word.drop(while: Dockerfile.isDigit)
            guard rest.starts(with: [self.less, self.less]) else { return nil }
            rest = rest.dropFirst(2)
            // `<<<` is none for any reader.
            if rest.first == self.less { return nil }
            let dropsTabs = rest.first == UInt8(ascii: "-")
            if dropsTabs { rest = rest.dropFirst() }
            if let open = rest.first, self.quotes.contains(open), rest.count > 2, rest.last == open {
                rest = rest.dropFirst().dropLast()
            }
            guard self.isName(rest) else { throw doubt }
            return HereDocument(name: Array(rest), dropsTabs: dropsTabs)
        }
    }

    private static let quotes = [UInt8(ascii: "\""), UInt8(ascii: "'")]

    /// Words with their quotes, which without escapes open and close for every reader at the same places; nil for one that stays open.
    private static func words(_ bytes: [UInt8]) -> [[UInt8]]? {
        var (words, word, quote): ([[UInt8]], [UInt8], UInt8?) = ([], [], nil)
        for byte in bytes {
            if quote == nil, Dockerfile.isBlank(byte) {
                words.append(word)
                word = []
                continue
            }
            if byte == quote {
                quote = nil
            } else if quote == nil, self.quotes.contains(byte) {
                quote = byte
            }
            word.append(byte)
        }
        return quote == nil ? words + [word] : nil
    }

    /// Whether every `${` is that of `${NAME}`.
    private static func hasPlainVariables(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
            rest = rest[(dollar + 1)...]
            guard rest.first == UInt8(ascii: "{") else { continue }
            guard let end = rest.firstIndex(of: UInt8(ascii: "}")), self.isName(rest[..<end].dropFirst()) else {
                return false
            }
        }
        return true
    }

    private static func isName(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, !Dockerfile.isDigit(first) else { return false }
        return bytes.allSatisfy { Dockerfile.isLetter($0) || Dockerfile.isDigit($0) || $0 == UInt8(ascii: "_") }
    }
}
