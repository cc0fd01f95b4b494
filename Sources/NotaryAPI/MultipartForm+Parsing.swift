// SPDX-License-Identifier: Apache-2.0

extension MultipartForm {
    /// The most bytes of one part's header.
    private static let headerLimit = 4096

    /// Takes a form apart. Names are not judged here: what a role may be called is for the caller to say.
    /// - Parameters:
    ///   - body: the whole body, bounded by the caller.
    ///   - contentType: the value of the request's Content-Type field.
    ///   - limit: the most parts that are accepted.
    /// - Throws: ``MultipartError``.
    package static func parse(_ body: [UInt8], contentType: String?, limit: Int) throws(MultipartError) -> [Part] {
        let boundary = try self.boundary(of: contentType)
        let delimiter = Array("\r\n--\(boundary)".utf8)
        var parts: [Part] = []
        // The first delimiter needs no line break before it when the body starts with it.
        guard var position = self.firstDelimiter(delimiter, in: body) else {
            throw MultipartError(.truncated, "the body has no part and no closing boundary")
        }
        while true {
            switch self.delimiterEnd(at: position, in: body) {
            case .closing: return parts
            case .malformed:
                throw MultipartError(
                    .truncated,
                    "the body ends in a boundary, or a boundary is followed by other bytes"
                )
            case .next(let start):
                guard parts.count < limit else {
                    throw MultipartError(.tooManyParts, "the form has more than \(limit) parts")
                }
                let content = try self.header(from: start, in: body)
                guard let end = self.firstIndex(of: delimiter, in: body, from: content.start - 2) else {
                    throw MultipartError(.truncated, "part \(parts.count + 1) of the form has no end")
                }
                let bytes = end > content.start ? Array(body[content.start..<end]) : []
                parts.append(Part(filename: content.filename, content: bytes))
                position = end + delimiter.count
            }
        }
    }

    // MARK: Delimiters

    private enum Delimiter {
        case closing
        case next(Int)
        case malformed
    }

    /// The position after the first delimiter line's boundary.
    private static func firstDelimiter(_ delimiter: [UInt8], in body: [UInt8]) -> Int? {
        if body.starts(with: delimiter.dropFirst(2)) { return delimiter.count - 2 }
        return self.firstIndex(of: delimiter, in: body, from: 0).map { $0 + delimiter.count }
    }

    /// What follows a boundary: two hyphens at the end of the form, else blanks and a line break.
    private static func delimiterEnd(at position: Int, in body: [UInt8]) -> Delimiter {
        var index = position
        if body[min(index, body.count)...].starts(with: "--".utf8) { return .closing }
        while index < body.count, body[index] == UInt8(ascii: " ") || body[index] == UInt8(ascii: "\t") { index += 1 }
        guard body[min(index, body.count)...].starts(with: "\r\n".utf8) else { return .malformed }
        return .next(index + 2)
    }

    private static func firstIndex(of pattern: [UInt8], in body: [UInt8], from start: Int) -> Int? {
        body.withUnsafeBufferPointer { body in
            pattern.withUnsafeBufferPointer { pattern in
                var position = max(0, start)
                while pattern.count <= body.count - position,
                    let found = body[position...(body.count - pattern.count)].firstIndex(of: pattern[0])
                {
                    if body[found..<(found + pattern.count)].elementsEqual(pattern) { return found }
                    position = found + 1
                }
                return nil
            }
        }
    }

    // MARK: Headers

    private static func header(
        from start: Int,
        in body: [UInt8]
    ) throws(MultipartError) -> (filename: String?, start: Int) {
        var filename: String?
        var line = start
        while true {
            let window = body[line..<min(body.count, start + self.headerLimit)]
            guard let end = window.firstIndex(of: UInt8(ascii: "\n")), end > line,
                body[end - 1] == UInt8(ascii: "\r")
            else {
                throw body.count < start + self.headerLimit
                    ? MultipartError(.truncated, "the form ends in the header of a part")
                    : MultipartError(.malformedHeader, "the header of a part has more than \(self.headerLimit) bytes")
            }
            guard end - 1 > line else { return (filename, end + 1) }
            guard let text = String(validating: body[line..<(end - 1)], as: UTF8.self) else {
                throw MultipartError(.malformedHeader, "the header of a part is not UTF-8")
            }
            let field = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if field.count == 2, field[0].lowercased() == "content-disposition" {
                guard let value = HeaderValue(String(field[1])) else {
                    throw MultipartError(.malformedHeader, "the Content-Disposition of a part cannot be read")
                }
                filename = value.parameters["filename"].map(self.withoutSuffix)
            }
            line = end + 1
        }
    }

    private static func withoutSuffix(_ filename: String) -> String {
        filename.utf8.suffix(5).elementsEqual(".json".utf8) ? String(filename.unicodeScalars.dropLast(5)) : filename
    }

    private static func boundary(of contentType: String?) throws(MultipartError) -> String {
        guard let contentType, let value = HeaderValue(contentType), value.value.hasPrefix("multipart/") else {
            throw MultipartError(.notMultipart, "the Content-Type is not multipart/form-data")
        }
        guard let boundary = value.parameters["boundary"], (1...70).contains(boundary.utf8.count),
            boundary.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), boundary.utf8.last != UInt8(ascii: " ")
        else { throw MultipartError(.noBoundary, "the Content-Type has no boundary of 1 to 70 characters") }
        return boundary
    }
}

/// A header field's value with parameters: `form-data; name="files"; filename="targets/releases"`.
private struct HeaderValue {
    /// What stands before the first semicolon, in lower case.
    let value: String
    /// Parameters by lower-case name.
    private(set) var parameters: [String: String] = [:]

    /// Nil when a quoted value has no end, a parameter has no value, or one occurs twice.
    init?(_ text: String) {
        var rest = text.unicodeScalars[...]
        self.value = Self.token(&rest, until: ";").lowercased()
        while rest.popFirst() != nil {
            let name = Self.token(&rest, until: "=", or: ";").lowercased()
            if name.isEmpty, rest.isEmpty { break }
            guard rest.popFirst() == "=", let value = Self.parameterValue(&rest), self.parameters[name] == nil else {
                return nil
            }
            self.parameters[name] = value
        }
    }

    private static func token(
        _ rest: inout Substring.UnicodeScalarView,
        until end: Unicode.Scalar,
        or other: Unicode.Scalar? = nil
    ) -> String {
        let token = rest.prefix { $0 != end && $0 != other }
        rest = rest[token.endIndex...]
        let isBlank: (Unicode.Scalar) -> Bool = { $0 == " " || $0 == "\t" }
        return String(String.UnicodeScalarView(token.drop(while: isBlank).reversed().drop(while: isBlank).reversed()))
    }

    private static func parameterValue(_ rest: inout Substring.UnicodeScalarView) -> String? {
        rest = rest.drop { $0 == " " || $0 == "\t" }
        guard rest.first == "\"" else { return self.token(&rest, until: ";") }
        rest = rest.dropFirst()
        var value = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"":
                guard self.token(&rest, until: ";").isEmpty else { return nil }
                return String(value)
            case "\\":
                // Only what must be escaped counts as such: old browsers send paths with plain backslashes.
                guard let next = rest.first, next == "\"" || next == "\\" else { fallthrough }
                rest = rest.dropFirst()
                value.append(next)
            default: value.append(scalar)
            }
        }
        return nil
    }
}
