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
        bytes.append(UInt8(ascii: "\""))
        switch style {
        case .signed:
            for byte in text.utf8 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
                bytes.append(byte)
            }
        case .wire:
            for scalar in text.unicodeScalars { self.writeForWire(scalar, to: &bytes) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func writeForWire(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        switch scalar {
        case "\"": bytes.append(contentsOf: "\\\"".utf8)
        case "\\": bytes.append(contentsOf: "\\\\".utf8)
        case "\n": bytes.append(contentsOf: "\\n".utf8)
        case "\r": bytes.append(contentsOf: "\\r".utf8)
        case "\t": bytes.append(contentsOf: "\\t".utf8)
        case "\0"..<" ", "<", ">", "&", "\u{2028}", "\u{2029}":
            let digits = String(scalar.value, radix: 16)
            bytes.append(contentsOf: "\\u".utf8)
            bytes.append(contentsOf: String(repeating: "0", count: 4 - digits.utf8.count).utf8)
            bytes.append(contentsOf: digits.utf8)
        default: bytes.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
        }
    }
}
