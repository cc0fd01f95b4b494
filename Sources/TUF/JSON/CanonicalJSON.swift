// SPDX-License-Identifier: Apache-2.0

/// Writes JSON with one byte form for each value.
public enum CanonicalJSON {
    /// The form that signatures and key ids are computed over (OLPC canonical JSON, as TUF and Notary use it): in strings,
    /// only `"` and `\` are escaped, even control characters stand as they are.
    public static func encode(_ value: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        self.write(value, to: &bytes)
        return bytes
    }

    /// The form of files: canonical, with the escapes that Go's encoder adds, so that a Go peer that decodes and
    /// encodes it again gets the same bytes. Unlike the signed form, it is always valid JSON.
    public static func encodeForWire(_ value: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        self.writeForWire(self.encode(value)[...], likeGo: true, to: &bytes)
        return bytes
    }

    /// Appends the form that is signed.
    static func write(_ value: JSONValue, to bytes: inout [UInt8]) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): bytes.append(contentsOf: String(value).utf8)
        case .string(let text): self.write(text, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                self.write(element, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                self.write(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                self.write(member.value, to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// Appends a string.
    static func write(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8 { text in
            // Runs of bytes that stand for themselves are copied whole.
            var copied = 0
            for index in text.indices where text[index] == UInt8(ascii: "\"") || text[index] == UInt8(ascii: "\\") {
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied..<index]))
                bytes.append(UInt8(ascii: "\\"))
                copied = index
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied...]))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends the form of files of what is in the signed form: what is written otherwise occurs in strings alone.
    /// - Parameter likeGo: with those escapes too that JSON does not ask for.
    static func writeForWire(_ canonical: ArraySlice<UInt8>, likeGo: Bool, to bytes: inout [UInt8]) {
        let span = canonical.span.bytes
        var copied = 0
        var index = 0
        while true {
            index = likeGo ? span.endOfGoText(from: index) : span.endOfText(from: index)
            guard index < span.byteCount else { break }
            if let escaped = self.escape(at: index, of: span) {
                bytes.append(copied..<index, of: span)
                bytes.append(contentsOf: escaped.text.utf8)
                index += escaped.replaced
                copied = index
            } else {
                index += 1
            }
        }
        bytes.append(copied..<span.byteCount, of: span)
    }

    /// What to write in place of the bytes that begin here; nil when they stand for themselves.
    private static func escape(at index: Int, of text: RawSpan) -> (text: String, replaced: Int)? {
        switch text.byte(index) {
        case UInt8(ascii: "\n"): return ("\\n", 1)
        case UInt8(ascii: "\r"): return ("\\r", 1)
        case UInt8(ascii: "\t"): return ("\\t", 1)
        case let byte where byte < 0x20: return ("\\u00" + Hexadecimal.encode(CollectionOfOne(byte)), 1)
        case UInt8(ascii: "<"): return ("\\u003c", 1)
        case UInt8(ascii: ">"): return ("\\u003e", 1)
        case UInt8(ascii: "&"): return ("\\u0026", 1)
        // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
        case 0xE2:
            guard index + 2 < text.byteCount, text.byte(index + 1) == 0x80 else { return nil }
            switch text.byte(index + 2) {
            case 0xA8: return ("\\u2028", 3)
            case 0xA9: return ("\\u2029", 3)
            default: return nil
            }
        default: return nil
        }
    }
}
