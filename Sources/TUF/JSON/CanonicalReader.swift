// SPDX-License-Identifier: Apache-2.0

/// Makes values of bytes that are known to be canonical JSON: a ``CanonicalScanner`` has passed them, or a
/// ``CanonicalTranscoder`` has written them.
struct CanonicalReader {
    private var scanner: CanonicalScanner

    private init(at position: Int) {
        self.scanner = CanonicalScanner(at: position, allowsControlCharacters: true)
    }

    /// The value that begins at an offset; nil only when the bytes are not canonical after all.
    static func value(at position: Int, in bytes: RawSpan) -> JSONValue? {
        var reader = CanonicalReader(at: position)
        return reader.value(bytes)
    }

    private mutating func value(_ bytes: RawSpan) -> JSONValue? {
        guard self.scanner.position < bytes.byteCount else { return nil }
        switch bytes.byte(self.scanner.position) {
        case UInt8(ascii: "\""): return self.scanner.string(bytes).map { .string($0.string(in: bytes)) }
        case UInt8(ascii: "{"): return self.object(bytes)
        case UInt8(ascii: "["): return self.array(bytes)
        case UInt8(ascii: "t"): return self.scanner.skip("true", bytes) ? .bool(true) : nil
        case UInt8(ascii: "f"): return self.scanner.skip("false", bytes) ? .bool(false) : nil
        case UInt8(ascii: "n"): return self.scanner.skip("null", bytes) ? .null : nil
        default: return self.scanner.integer(bytes).map { .integer($0) }
        }
    }

    private mutating func array(_ bytes: RawSpan) -> JSONValue? {
        _ = self.scanner.skip(UInt8(ascii: "["), bytes)
        if self.scanner.skip(UInt8(ascii: "]"), bytes) { return .array([]) }
        var elements: [JSONValue] = []
        repeat {
            guard let element = self.value(bytes) else { return nil }
            elements.append(element)
        } while self.scanner.skip(UInt8(ascii: ","), bytes)
        return self.scanner.skip(UInt8(ascii: "]"), bytes) ? .array(elements) : nil
    }

    private mutating func object(_ bytes: RawSpan) -> JSONValue? {
        _ = self.scanner.skip(UInt8(ascii: "{"), bytes)
        if self.scanner.skip(UInt8(ascii: "}"), bytes) { return .object(ByteOrderedMap()) }
        var members: [(key: String, value: JSONValue)] = []
        repeat {
            guard let name = self.scanner.name(bytes, after: nil), let value = self.value(bytes) else { return nil }
            members.append((name.string(in: bytes), value))
        } while self.scanner.skip(UInt8(ascii: ","), bytes)
        return self.scanner.skip(UInt8(ascii: "}"), bytes) ? .object(ByteOrderedMap(sorted: members)) : nil
    }
}
