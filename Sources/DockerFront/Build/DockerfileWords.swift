// SPDX-License-Identifier: Apache-2.0

/// The words of an instruction.
struct DockerfileWords: Sendable {
    /// A word, and where it stands.
    struct Word: Sendable, Hashable {
        /// Without quotes and escapes.
        var bytes: [UInt8] = []
        /// For each of them, its index in the instruction.
        var indices: [Int] = []
        /// From its first character to its last, quotes and escapes included.
        var range: Range<Int>
        /// Whether quotes or escapes were taken away.
        var isQuoted = false

        var text: String { String(decoding: self.bytes, as: UTF8.self) }

        /// Whether it is a certain word; case does not count.
        func `is`(_ other: String) -> Bool { self.text.lowercased() == other.lowercased() }
    }

    let words: [Word]

    init(_ instruction: [UInt8]) {
        var words: [Word] = []
        var word: Word?
        var quote: UInt8?
        var index = 0
        func note(_ byte: UInt8?, from start: Int, to end: Int, quoted: Bool) {
            var current = word ?? Word(range: start..<end)
            current.range = current.range.lowerBound..<end
            if let byte {
                current.bytes.append(byte)
                current.indices.append(end - 1)
            }
            current.isQuoted = current.isQuoted || quoted
            word = current
        }
        while index < instruction.count {
            let byte = instruction[index]
            if let open = quote {
                note(byte == open ? nil : byte, from: index, to: index + 1, quoted: true)
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
                note(nil, from: index, to: index + 1, quoted: true)
            } else if byte == UInt8(ascii: "\\"), index + 1 < instruction.count {
                note(instruction[index + 1], from: index, to: index + 2, quoted: true)
                index += 1
            } else if Dockerfile.isBlank(byte) {
                if let done = word { words.append(done) }
                word = nil
            } else {
                note(byte, from: index, to: index + 1, quoted: false)
            }
            index += 1
        }
        if let done = word { words.append(done) }
        self.words = words
    }
}
