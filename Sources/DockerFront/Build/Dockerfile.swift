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
    /// The lines that are not read as instructions, being the content of a here-document.
    private(set) var contentLines: [Int] = []

    private var escape = UInt8(ascii: "\\")

    /// - Throws: ``DockerFrontError`` with code `build` for what is not a Dockerfile.
    init(_ bytes: [UInt8]) throws {
        guard bytes.count <= Self.maximumSize else {
            throw DockerFrontError(.build, "the Dockerfile has more than \(Self.maximumSize) bytes")
        }
        self.lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        let first = try self.readDirectives()
        try self.readInstructions(from: first)
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

    /// Reads `# syntax=` and `# escape=` at the beginning, as BuildKit does.
    /// - Returns: the first line after them.
    private mutating func readDirectives() throws -> Int {
        var number = 0
        if self.lines.first?.starts(with: Array("#!".utf8)) == true { number = 1 }
        while number < self.lines.count {
            let line = self.content(of: number)
            let text = line.bytes.drop(while: Self.isBlank)
            if text.starts(with: Array("//".utf8)) || text.first == UInt8(ascii: "{") {
                throw DockerFrontError.dockerfile(
                    number,
                    "this is not a Dockerfile, so hallmark cannot tell its images"
                )
            }
            guard text.first == UInt8(ascii: "#"), let equals = text.firstIndex(of: UInt8(ascii: "=")) else { break }
            let key = Self.trimmed(text[..<equals].dropFirst())
            guard let letter = key.first, Self.isLetter(letter),
                key.allSatisfy({ Self.isLetter($0) || Self.isDigit($0) })
            else { break }
            let value = Self.trimmed(text[(equals + 1)...])
            guard !value.isEmpty else { break }
            switch String(decoding: key, as: UTF8.self).lowercased() {
            case "syntax":
                let name = value.prefix { !Self.isBlank($0) }
                // The first one counts for some readers, and the last for others.
                guard self.syntax == nil else { throw DockerFrontError.dockerfile(number, "a second syntax directive") }
                self.syntax = (number, (name.startIndex + line.offset)..<(name.endIndex + line.offset))
            case "escape":
                if let sign = value.first, value.count == 1 { self.escape = sign }
            default: break
            }
            number += 1
        }
        return number
    }

    // MARK: Instructions

    private mutating func readInstructions(from first: Int) throws {
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
            for terminator in HereDocument.terminators(in: instruction.bytes) {
                while number < self.lines.count {
                    let line = self.content(of: number).bytes
                    number += 1
                    if terminator.isEnd(line) { break }
                    self.contentLines.append(number - 1)
                }
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
        let end = line.lastIndex { !Self.isBlank($0) }
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

    static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let start = bytes.drop(while: self.isBlank)
        guard let end = start.lastIndex(where: { !self.isBlank($0) }) else { return start.prefix(0) }
        return start[...end]
    }
}
