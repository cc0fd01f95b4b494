// SPDX-License-Identifier: Apache-2.0

/// The text of a Dockerfile, and the instructions in it, each with where its characters stand: so that the name of an image can be
/// replaced and nothing else changes.
struct Dockerfile: Sendable {
    /// The most bytes that one may have.
    static let maximumSize = 4 << 20

    /// One instruction, its continued lines put together.
    struct Instruction: Sendable {
        /// Its bytes, without leading blanks.
        var bytes: [UInt8] = []
        /// Where each of them stands.
        var places: [Place] = []

        /// The line it begins in.
        var line: Int { self.places.first?.line ?? 0 }
    }

    /// A byte's place: line and column, from 0.
    struct Place: Sendable, Hashable {
        let line: Int
        let column: Int
    }

    /// The lines, without their ends.
    private(set) var lines: [[UInt8]]
    /// The instructions, in their order.
    private(set) var instructions: [Instruction] = []
    /// Where `# syntax=` names the program that reads the file: line and columns.
    private(set) var syntax: (line: Int, columns: Range<Int>)?
    /// As builders read it that know no here-documents; empty where there is none.
    private(set) var oldInstructions: [Instruction] = []
    /// The line of the first here-document.
    private(set) var hereDocumentLine: Int?

    private var escape = UInt8(ascii: "\\")

    /// - Throws: ``DockerFrontError`` with code `build` for what is not a Dockerfile.
    init(_ bytes: [UInt8]) throws {
        guard bytes.count <= Self.maximumSize else {
            throw DockerFrontError(.build, "the Dockerfile has more than \(Self.maximumSize) bytes")
        }
        self.lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        let first = try self.readDirectives()
        try self.readInstructions(from: first, hasHereDocuments: true)
        guard self.hereDocumentLine != nil else { return }
        var old = self
        old.instructions = []
        try old.readInstructions(from: first, hasHereDocuments: false)
        self.oldInstructions = old.instructions
    }

    /// The text as it is now.
    var bytes: [UInt8] { Array(self.lines.joined(separator: [UInt8(ascii: "\n")])) }

    /// Puts other text in place of some columns of a line. Replace from the end of a line to its beginning.
    mutating func replace(_ columns: Range<Int>, of line: Int, with text: String) {
        guard self.lines.indices.contains(line), self.lines[line].indices.contains(columns.lowerBound),
            columns.upperBound <= self.lines[line].count
        else { return }
        self.lines[line].replaceSubrange(columns, with: Array(text.utf8))
    }

    // MARK: Directives

    /// Reads `# syntax=` and `# escape=` at the beginning, and refuses those that some builders obey and others do not.
    /// - Returns: the first line after them.
    private mutating func readDirectives() throws -> Int {
        let hasShebang = self.lines.isEmpty ? false : self.content(of: 0).bytes.starts(with: Array("#!".utf8))
        var number = hasShebang ? 1 : 0
        // Whether every builder still reads directives here.
        var isCertain = !hasShebang
        while number < self.lines.count {
            let line = self.content(of: number)
            let text = line.bytes.drop(while: Self.isBlank)
            if text.starts(with: Array("//".utf8)) || text.first == UInt8(ascii: "{") {
                throw DockerFrontError.dockerfile(
                    number,
                    "this is not a Dockerfile, so hallmark cannot tell its images"
                )
            }
            // As the most generous reader sees it: without blanks, those beyond ASCII included.
            let squeezed = String(decoding: line.bytes.filter(Self.isVisible), as: UTF8.self).lowercased()
            guard squeezed.hasPrefix("#"), let equals = line.bytes.firstIndex(of: UInt8(ascii: "=")) else { break }
            let value = Self.trimmed(line.bytes[(equals + 1)...])
            let isPlain =
                line.bytes.first == UInt8(ascii: "#") && !value.isEmpty
                && line.bytes[..<equals].allSatisfy { Self.isVisible($0) || $0 == 0x20 || $0 == 0x09 }
            let isSyntax = squeezed.hasPrefix("#syntax=")
            if isSyntax || squeezed.hasPrefix("#escape=") {
                guard isPlain, isCertain || (hasShebang && isSyntax && number == 1) else {
                    throw DockerFrontError.dockerfile(
                        number,
                        "builders differ about whether this directive counts: write it plainly, in the first line"
                    )
                }
                try self.note(value, isSyntax: isSyntax, number, offset: line.offset)
            } else if !isPlain || !squeezed.hasPrefix("#check=") {
                isCertain = false
            }
            number += 1
        }
        return number
    }

    /// Keeps the value of a directive.
    private mutating func note(_ value: ArraySlice<UInt8>, isSyntax: Bool, _ number: Int, offset: Int) throws {
        if isSyntax {
            let name = value.prefix { !Self.isBlank($0) }
            // The first one counts for some readers, and the last for others.
            guard self.syntax == nil else { throw DockerFrontError.dockerfile(number, "a second syntax directive") }
            self.syntax = (number, (name.startIndex + offset)..<(name.endIndex + offset))
        } else {
            guard let sign = value.first, value.count == 1, sign == UInt8(ascii: "\\") || sign == UInt8(ascii: "`")
            else {
                throw DockerFrontError.dockerfile(number, "the escape directive may say \\ or `")
            }
            self.escape = sign
        }
    }

    // MARK: Instructions

    private mutating func readInstructions(from first: Int, hasHereDocuments: Bool) throws {
        var number = first
        while number < self.lines.count {
            var instruction = Instruction()
            var isContinued = self.append(number, to: &instruction, isFirst: true)
            number += 1
            if instruction.bytes.isEmpty { continue }
            while isContinued, number < self.lines.count {
                let text = self.content(of: number).bytes.drop(while: Self.isBlank)
                if text.isEmpty || text.first == UInt8(ascii: "#") {
                    number += 1
                    continue
                }
                isContinued = self.append(number, to: &instruction, isFirst: false)
                number += 1
            }
            self.instructions.append(instruction)
            guard hasHereDocuments else { continue }
            for terminator in try HereDocument.terminators(in: instruction.bytes, line: instruction.line) {
                self.hereDocumentLine = self.hereDocumentLine ?? instruction.line
                guard let end = self.lines.indices[number...].first(where: { terminator.isEnd(self.lines[$0]) }) else {
                    throw DockerFrontError.dockerfile(instruction.line, "a here-document without its end")
                }
                number = end + 1
            }
        }
    }

    /// Adds a line to an instruction.
    /// - Returns: whether the next line goes on with it.
    private func append(_ number: Int, to instruction: inout Instruction, isFirst: Bool) -> Bool {
        let (bytes, offset) = self.content(of: number)
        var line = bytes[...]
        if isFirst {
            line = line.drop(while: Self.isBlank)
            if line.first == UInt8(ascii: "#") { return false }
        }
        // Only these may stand behind the sign.
        var tail = line
        while tail.last == UInt8(ascii: "\r") { tail = tail.dropLast() }
        let end = tail.lastIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        var isContinued = false
        if let end, line[end] == self.escape, end == line.startIndex || line[end - 1] != self.escape {
            isContinued = true
            line = line[..<end]
        }
        instruction.bytes += line
        instruction.places += line.indices.map { Place(line: number, column: $0 + offset) }
        return isContinued
    }

    /// A line without a carriage return at its end and without the mark that some editors put before the first, and how many bytes
    /// went at its beginning.
    private func content(of number: Int) -> (bytes: [UInt8], offset: Int) {
        var line = self.lines[number][...]
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        if number == 0, line.starts(with: [0xEF, 0xBB, 0xBF]) { line = line.dropFirst(3) }
        return (Array(line), line.startIndex)
    }

    // MARK: Bytes

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    /// In ASCII, and no blank.
    private static func isVisible(_ byte: UInt8) -> Bool { (0x21...0x7E).contains(byte) }

    static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let start = bytes.drop(while: self.isBlank)
        guard let end = start.lastIndex(where: { !self.isBlank($0) }) else { return start.prefix(0) }
        return start[...end]
    }
}
