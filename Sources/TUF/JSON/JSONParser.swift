// SPDX-License-Identifier: Apache-2.0

/// Parses JSON (RFC 8259) from bytes that may be hostile.
///
/// Stricter than most: it refuses duplicate names (two readers could see two documents), invalid UTF-8 and lone
/// surrogates, numbers that are not integers within ±2^53, nesting beyond ``maximumDepth``, and bytes after the value. Time
/// and memory are linear in the input.
public enum JSONParser {
    /// The deepest nesting that is read.
    public static let maximumDepth = 64

    /// Parses one value that takes up all of the bytes, white space around it aside.
    /// - Throws: ``TUFError`` with code `malformed`, naming the offset in bytes.
    public static func parse(_ bytes: some Sequence<UInt8>) throws -> JSONValue {
        let bytes = Array(bytes)
        var scanner = CanonicalScanner(at: 0, allowsControlCharacters: false)
        if scanner.value(bytes.span.bytes, depth: 0), scanner.position == bytes.count {
            return try self.value(bytes)
        }
        return try self.value(try CanonicalTranscoder.canonical(bytes.span.bytes))
    }

    private static func value(_ canonical: [UInt8]) throws -> JSONValue {
        guard let value = CanonicalReader.value(at: 0, in: canonical.span.bytes) else {
            throw TUFError(.malformed, "not a JSON value")
        }
        return value
    }
}
