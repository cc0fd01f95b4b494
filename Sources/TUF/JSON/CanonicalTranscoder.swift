// SPDX-License-Identifier: Apache-2.0

/// Reads JSON (RFC 8259) of any spelling, from bytes that may be hostile, and writes its canonical form.
///
/// Time is proportional to the input, but for the members of an object that are out of order, which are sorted; memory is
/// that of the output, and of a list of the members of each object that is open.
struct CanonicalTranscoder {
    /// The offset of the next byte.
    private(set) var position: Int
    /// The canonical form of what was read.
    private(set) var output: [UInt8] = []

    /// Starts at an offset.
    /// - Parameter capacity: how many bytes are likely to be written.
    init(at position: Int = 0, capacity: Int = 0) {
        self.position = position
        self.output.reserveCapacity(capacity)
    }

    /// The canonical form of the one value that takes up all of the bytes, white space around it aside.
    /// - Throws: ``TUFError`` with code `malformed`.
    static func canonical(_ bytes: RawSpan) throws -> [UInt8] {
        var transcoder = CanonicalTranscoder()
        try transcoder.value(bytes, depth: 0)
        try transcoder.end(bytes)
        return transcoder.output
    }

    /// - Throws: ``TUFError`` with code `malformed`, naming the offset in bytes.
    func error(_ message: String) -> TUFError {
        TUFError(.malformed, "\(message), at byte \(self.position)")
    }

    /// Moves past white space.
    mutating func skipWhiteSpace(_ bytes: RawSpan) {
        while self.position < bytes.byteCount {
            switch bytes.byte(self.position) {
            case 0x20, 0x0A, 0x0D, 0x09: self.position += 1
            default: return
            }
        }
    }

    /// The next byte; nil at the end.
    func current(_ bytes: RawSpan) -> UInt8? {
        self.position < bytes.byteCount ? bytes.byte(self.position) : nil
    }

    /// Moves past a byte if it is this one.
    mutating func skip(_ byte: UInt8, _ bytes: RawSpan) -> Bool {
        guard self.current(bytes) == byte else { return false }
        self.position += 1
        return true
    }

    /// Goes on at an offset, where something else has read up to.
    mutating func move(to position: Int) { self.position = position }

    /// Checks that nothing but white space is left.
    mutating func end(_ bytes: RawSpan) throws {
        self.skipWhiteSpace(bytes)
        guard self.position == bytes.byteCount else { throw self.error("bytes after the end of the JSON value") }
    }

    /// Reads one value.
    mutating func value(_ bytes: RawSpan, depth: Int) throws {
        self.skipWhiteSpace(bytes)
        switch self.current(bytes) {
        case UInt8(ascii: "{"): try self.object(bytes, depth: depth)
        case UInt8(ascii: "["): try self.array(bytes, depth: depth)
        case UInt8(ascii: "\""): _ = try self.string(bytes)
        case UInt8(ascii: "t"): try self.literal("true", bytes)
        case UInt8(ascii: "f"): try self.literal("false", bytes)
        case UInt8(ascii: "n"): try self.literal("null", bytes)
        case .some(let byte) where byte == UInt8(ascii: "-") || byte &- UInt8(ascii: "0") < 10: try self.number(bytes)
        case .some: throw self.error("not a JSON value")
        case .none: throw self.error("the JSON ends too early")
        }
    }

    private mutating func literal(_ text: StaticString, _ bytes: RawSpan) throws {
        var scanner = CanonicalScanner(at: self.position, allowsControlCharacters: false)
        guard scanner.skip(text, bytes) else { throw self.error("not a JSON value") }
        self.output.append(self.position..<scanner.position, of: bytes)
        self.position = scanner.position
    }

    // MARK: Objects and arrays

    /// Moves past the bracket that opens an object or array.
    mutating func enter(depth: Int) throws {
        guard depth < JSONParser.maximumDepth else {
            throw self.error("JSON nested deeper than \(JSONParser.maximumDepth)")
        }
        self.position += 1
    }

    /// Moves past a comma, or past the closing bracket: then it is the end.
    mutating func isAtEnd(of closing: UInt8, _ bytes: RawSpan) throws -> Bool {
        self.skipWhiteSpace(bytes)
        guard let byte = self.current(bytes), byte == closing || byte == UInt8(ascii: ",") else {
            throw self.error("a comma or the closing bracket must follow")
        }
        self.position += 1
        return byte == closing
    }

    private mutating func array(_ bytes: RawSpan, depth: Int) throws {
        try self.enter(depth: depth)
        self.output.append(UInt8(ascii: "["))
        self.skipWhiteSpace(bytes)
        if !self.skip(UInt8(ascii: "]"), bytes) {
            while true {
                try self.value(bytes, depth: depth + 1)
                if try self.isAtEnd(of: UInt8(ascii: "]"), bytes) { break }
                self.output.append(UInt8(ascii: ","))
            }
        }
        self.output.append(UInt8(ascii: "]"))
    }

    /// Where a member was written: its name, and after it the colon and the value.
    private struct Member {
        let start: UInt32
        let nameCount: UInt32
        let end: UInt32
        let isEscaped: Bool

        var name: CanonicalText {
            let start = Int(self.start) + 1
            return CanonicalText(range: start..<(start + Int(self.nameCount)), isEscaped: self.isEscaped)
        }
    }

    private mutating func object(_ bytes: RawSpan, depth: Int) throws {
        try self.enter(depth: depth)
        self.output.append(UInt8(ascii: "{"))
        self.skipWhiteSpace(bytes)
        if !self.skip(UInt8(ascii: "}"), bytes) {
            try self.members(bytes, depth: depth)
        }
        self.output.append(UInt8(ascii: "}"))
    }

    private mutating func members(_ bytes: RawSpan, depth: Int) throws {
        var members: [Member] = []
        var isSorted = true
        while true {
            let start = self.output.count
            let name = try self.name(bytes)
            self.output.append(UInt8(ascii: ":"))
            try self.value(bytes, depth: depth + 1)
            guard let end = UInt32(exactly: self.output.count) else { throw self.error("more than 4 GiB of JSON") }
            let member = Member(
                start: UInt32(truncatingIfNeeded: start),
                nameCount: UInt32(truncatingIfNeeded: name.range.count),
                end: end,
                isEscaped: name.isEscaped
            )
            if let last = members.last, isSorted {
                isSorted = last.name.precedes(member.name, in: self.output.span.bytes)
            }
            members.append(member)
            if try self.isAtEnd(of: UInt8(ascii: "}"), bytes) { break }
            self.output.append(UInt8(ascii: ","))
        }
        if !isSorted { try self.sort(&members) }
    }

    /// Moves past a member's name and the colon after it; the name is written.
    mutating func name(_ bytes: RawSpan) throws -> CanonicalText {
        self.skipWhiteSpace(bytes)
        guard self.current(bytes) == UInt8(ascii: "\"") else { throw self.error("a member's name must be a string") }
        let name = try self.string(bytes)
        self.skipWhiteSpace(bytes)
        guard self.skip(UInt8(ascii: ":"), bytes) else { throw self.error("a colon must follow a member's name") }
        return name
    }

    /// Puts members that were written last into order.
    private mutating func sort(_ members: inout [Member]) throws {
        guard let start = members.first?.start else { return }
        members.sort { $0.name.precedes($1.name, in: self.output.span.bytes) }
        var sorted: [UInt8] = []
        sorted.reserveCapacity(self.output.count - Int(start))
        for (index, member) in members.enumerated() {
            if index > 0 {
                guard members[index - 1].name.precedes(member.name, in: self.output.span.bytes) else {
                    throw self.error("an object has two members of one name")
                }
                sorted.append(UInt8(ascii: ","))
            }
            sorted.append(Int(member.start)..<Int(member.end), of: self.output.span.bytes)
        }
        self.output.replaceSubrange(Int(start)..., with: sorted)
    }

    // MARK: For the extension

    /// Writes bytes.
    mutating func write(_ range: Range<Int>, of bytes: RawSpan) { self.output.append(range, of: bytes) }

    /// Writes bytes.
    mutating func write(_ bytes: some Sequence<UInt8>) { self.output.append(contentsOf: bytes) }

    /// Writes a byte.
    mutating func write(_ byte: UInt8) { self.output.append(byte) }

    /// Moves on, reading nothing.
    mutating func advance(by count: Int = 1) { self.position += count }
}
