// SPDX-License-Identifier: Apache-2.0

/// A range of bytes as requests name it.
enum ByteRange {
    /// What a `Range` field asks for.
    enum Request: Equatable {
        /// Everything: no field, another unit, or more than is worth it.
        case whole
        case part(Range<Int64>)
        /// Two parts or more, together no more than the whole.
        case parts([Range<Int64>])
        case unsatisfiable
    }

    /// How many parts one request may have; what asks for layers piece by piece asks for a thousand at most.
    private static let maximumParts = 1024

    /// Reads `Range: bytes=a-b`, `bytes=a-`, `bytes=-n`, or several of these (RFC 9110, section 14.2). A range that ends
    /// before it begins is refused rather than ignored, as the conformance suite wants.
    static func request(_ field: String?, size: Int64) -> Request {
        guard let field, field.lowercased().hasPrefix("bytes=") else { return .whole }
        let texts = field.dropFirst("bytes=".count).split(separator: ",")
        guard texts.count <= Self.maximumParts else { return .whole }
        let parts = texts.compactMap { Self.part($0, size: size) }
        guard parts.count > 1 else { return parts.first.map { .part($0) } ?? .unsatisfiable }
        // With more than the whole a small request would be worth many times the blob.
        var total: Int64 = 0
        for part in parts {
            let (sum, overflows) = total.addingReportingOverflow(part.upperBound - part.lowerBound)
            guard !overflows, sum <= size else { return .whole }
            total = sum
        }
        return .parts(parts)
    }

    /// One range of a field; nil when it is none or there are no such bytes.
    private static func part(_ text: Substring, size: Int64) -> Range<Int64>? {
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
        guard bounds.count == 2 else { return nil }
        let texts = bounds.map { $0.filter { $0 != " " && $0 != "\t" } }
        if texts[0].isEmpty {
            guard let count = Self.number(texts[1]), count > 0, size > 0 else { return nil }
            return max(0, size - count)..<size
        }
        guard let first = Self.number(texts[0]), first < size else { return nil }
        if texts[1].isEmpty { return first..<size }
        guard let last = Self.number(texts[1]), last >= first else { return nil }
        return first..<min(last, size - 1) + 1
    }

    /// Reads the `Content-Range` of a chunk, `<first>-<last>`; with `bytes ` before and `/total` after, as RFC 9110 has
    /// it, too. Nil when it is not a range.
    static func chunk(_ field: String) -> ClosedRange<Int64>? {
        var text = Substring(field.lowercased())
        if text.hasPrefix("bytes") { text = text.dropFirst("bytes".count) }
        text = text.drop(while: { $0 == " " || $0 == "=" })
        text = text.prefix(while: { $0 != "/" })
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
        guard bounds.count == 2, let first = Self.number(bounds[0]), let last = Self.number(bounds[1]), last >= first,
            last < Int64.max
        else { return nil }
        return first...last
    }

    /// A number of digits only: `Int64` alone would take a sign.
    private static func number(_ text: some StringProtocol) -> Int64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int64(text) : nil
    }
}
