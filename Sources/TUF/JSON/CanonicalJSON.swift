// SPDX-License-Identifier: Apache-2.0

/// Writes JSON with one byte form for each value.
public enum CanonicalJSON {
    /// How strings are written; all else is the same in every style.
    enum Style {
        /// The signed form: only `"` and `\` are escaped, even control characters stand as they are.
        case signed
        /// The form that Go's encoder puts on the wire, which is also valid JSON.
        case wire
    }

    /// The form that signatures and key ids are computed over (OLPC canonical JSON, as TUF and Notary use it).
    public static func encode(_ value: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        self.write(value, style: .signed, to: &bytes)
        return bytes
    }

    /// The form of files: canonical, with the escapes that Go's encoder adds, so that a Go peer that decodes and
    /// encodes it again gets the same bytes.
    public static func encodeForWire(_ value: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        self.write(value, style: .wire, to: &bytes)
        return bytes
    }

    private static func write(_ value: JSONValue, style: Style, to bytes: inout [UInt8]) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): bytes.append(contentsOf: String(value).utf8)
        case .string(let text): self.write(text, style: style, to: &bytes)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                self.write(element, style: style, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                self.write(member.key, style: style, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                self.write(member.value, style: style, to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ text: String, style: Style, to bytes: inout [UInt8]) {
        var text = text
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8 { text in
            // Runs of bytes that stand for themselves are copied whole.
            var copied = 0
            for index in text.indices {
                guard let escaped = self.escape(at: index, of: text, style: style) else { continue }
                // Of a character of several bytes it is the last that is found.
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied..<(index + 1 - escaped.replaced)]))
                bytes.append(contentsOf: escaped.text.utf8)
                copied = index + 1
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied...]))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// What to write in place of the bytes that end here; nil when they stand for themselves.
    private static func escape(
        at index: Int,
        of text: UnsafeBufferPointer<UInt8>,
        style: Style
    ) -> (text: String, replaced: Int)? {
        switch (text[index], style) {
        case (UInt8(ascii: "\""), _): return ("\\\"", 1)
        case (UInt8(ascii: "\\"), _): return ("\\\\", 1)
        case (_, .signed): return nil
        case (UInt8(ascii: "\n"), .wire): return ("\\n", 1)
        case (UInt8(ascii: "\r"), .wire): return ("\\r", 1)
        case (UInt8(ascii: "\t"), .wire): return ("\\t", 1)
        case (let byte, .wire) where byte < 0x20: return ("\\u00" + Hexadecimal.encode(CollectionOfOne(byte)), 1)
        case (UInt8(ascii: "<"), .wire): return ("\\u003c", 1)
        case (UInt8(ascii: ">"), .wire): return ("\\u003e", 1)
        case (UInt8(ascii: "&"), .wire): return ("\\u0026", 1)
        // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
        case (let byte, .wire) where byte == 0xA8 || byte == 0xA9:
            guard index >= 2, text[index - 1] == 0x80, text[index - 2] == 0xE2 else { return nil }
            return (byte == 0xA8 ? "\\u2028" : "\\u2029", 3)
        default: return nil
        }
    }
}
