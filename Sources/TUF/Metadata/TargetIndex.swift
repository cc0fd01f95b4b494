// SPDX-License-Identifier: Apache-2.0

/// Where the members of a `targets` object lie in canonical JSON. Their names are sorted there, so that a list of places is
/// all that finding one takes.
struct TargetIndex: Sendable {
    /// What the object lies in.
    let bytes: [UInt8]
    /// How its members are spelled.
    let format: WireFormat
    /// Where the name of each member begins, at its quote.
    private(set) var starts: [UInt32] = []
    /// Those members that have not been found to be targets yet.
    private(set) var unchecked: [UInt32] = []
    /// Where the closing bracket lies.
    private(set) var end = 0

    /// Moves a scanner past the object.
    /// - Returns: nil when it is not canonical.
    init?(_ bytes: [UInt8], _ scanner: inout CanonicalScanner, depth: Int, format: WireFormat) {
        self.bytes = bytes
        self.format = format
        let span = bytes.span.bytes
        let shape = TargetShape(format)
        guard scanner.skip(UInt8(ascii: "{"), span) else { return nil }
        if scanner.skip(UInt8(ascii: "}"), span) {
            self.end = scanner.position - 1
            return
        }
        var previous: CanonicalText?
        repeat {
            let start = UInt32(truncatingIfNeeded: scanner.position)
            guard let name = scanner.name(span, after: previous) else { return nil }
            previous = name
            self.starts.append(start)
            let value = scanner.position
            if !shape.skip(&scanner, span, depth: depth) {
                scanner.move(to: value)
                guard scanner.value(span, depth: depth) else { return nil }
                self.unchecked.append(start)
            }
        } while scanner.skip(UInt8(ascii: ","), span)
        guard scanner.skip(UInt8(ascii: "}"), span) else { return nil }
        self.end = scanner.position - 1
    }

    /// Checks that all members are targets.
    /// - Throws: ``TUFError`` with code `malformed` or `invalid`.
    func check() throws {
        for start in self.unchecked { _ = try self.entry(at: Int(start)).file() }
    }

    /// The number of targets.
    var count: Int { self.starts.count }

    /// The target at a place in the order of names.
    func path(_ index: Int) -> String {
        self.name(at: Int(self.starts[index])).string(in: self.bytes.span.bytes)
    }

    /// What is said of the target at a place in the order of names; nil never happens once all were checked.
    func file(_ index: Int) -> TargetFile? {
        try? self.entry(at: Int(self.starts[index])).file()
    }

    /// Where a target is, or where it would be.
    func find(_ path: String) -> (index: Int, isThere: Bool) {
        var path = path
        return path.withUTF8 { path in
            var low = 0
            var high = self.starts.count
            while low < high {
                let middle = (low + high) / 2
                let order = self.name(at: Int(self.starts[middle])).compare(with: path, in: self.bytes.span.bytes)
                if order == 0 { return (middle, true) }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return (low, false)
        }
    }

    /// The bytes of some neighbours, without the commas before and after them.
    func range(_ indices: Range<Int>) -> Range<Int> {
        guard let first = indices.first else { return 0..<0 }
        let end = indices.upperBound < self.starts.count ? Int(self.starts[indices.upperBound]) - 1 : self.end
        return Int(self.starts[first])..<end
    }

    private func name(at start: Int) -> CanonicalText {
        var scanner = CanonicalScanner(at: start, allowsControlCharacters: true)
        return scanner.string(self.bytes.span.bytes) ?? CanonicalText(range: start..<start, isEscaped: false)
    }

    private func entry(at start: Int) -> (name: CanonicalText, file: () throws -> TargetFile) {
        let name = self.name(at: start)
        return (
            name,
            {
                // After the quote and the colon.
                let value = CanonicalReader.value(at: name.range.upperBound + 2, in: self.bytes.span.bytes)
                return try TargetFile(value ?? .null, format: self.format)
            }
        )
    }
}
