// SPDX-License-Identifier: Apache-2.0

/// What a `Range` field asks for (RFC 9110, section 14).
package enum HTTPByteRange: Sendable, Equatable {
    /// No range, or a field that must be ignored: the whole is sent, with 200.
    case none
    /// One part, within the content: sent with 206 and ``contentRange(of:in:)``.
    case range(Range<Int64>)
    /// No part of it lies within the content: 416 with ``unsatisfiedContentRange(length:)``.
    case unsatisfiable
    /// Several parts that lie within the content. A server may send the whole instead, with 200.
    case multiple([Range<Int64>])

    /// More parts than this in one field are ignored, all of them.
    private static let maximumCount = 64

    /// - Parameters:
    ///   - header: The value of the `Range` field; nil when there is none.
    ///   - length: The length of the content, in bytes.
    package static func parse(_ header: String?, length: Int64) -> HTTPByteRange {
        guard let header, length >= 0 else { return .none }
        let halves = header.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, halves[0].lowercased() == "bytes" else { return .none }
        var ranges: [Range<Int64>] = []
        var count = 0
        for part in halves[1].split(separator: ",", omittingEmptySubsequences: false) {
            let specifier = part.trimmingBlanks
            guard !specifier.isEmpty else { continue }
            count += 1
            guard count <= Self.maximumCount, let range = Self.parse(specifier: specifier, length: length) else {
                return .none
            }
            if !range.isEmpty { ranges.append(range) }
        }
        guard count > 0 else { return .none }
        switch ranges.count {
        case 0: return .unsatisfiable
        case 1: return .range(ranges[0])
        default: return .multiple(ranges)
        }
    }

    /// - Returns: nil when malformed; an empty range when it lies beyond the content.
    private static func parse(specifier: Substring, length: Int64) -> Range<Int64>? {
        let ends = specifier.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { return nil }
        if ends[0].isEmpty {
            guard let suffix = Self.number(ends[1]) else { return nil }
            return (length - min(suffix, length))..<length
        }
        guard let first = Self.number(ends[0]) else { return nil }
        if ends[1].isEmpty { return min(first, length)..<length }
        guard let last = Self.number(ends[1]), last >= first else { return nil }
        guard first < length else { return length..<length }
        return first..<(min(last, length - 1) + 1)
    }

    /// A number too large for 64 bits lies beyond any content, so it is as good as the largest.
    private static func number(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text) ?? Int64.max
    }

    /// The `Content-Range` of a 206.
    package static func contentRange(of range: Range<Int64>, in length: Int64) -> String {
        "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)"
    }

    /// The `Content-Range` of a 416.
    package static func unsatisfiedContentRange(length: Int64) -> String {
        "bytes */\(length)"
    }
}

extension StringProtocol where SubSequence == Substring {
    /// Without spaces and tabs at either end.
    var trimmingBlanks: Substring {
        var trimmed = self[...]
        while let first = trimmed.utf8.first, first == 0x20 || first == 0x09 { trimmed.removeFirst() }
        while let last = trimmed.utf8.last, last == 0x20 || last == 0x09 { trimmed.removeLast() }
        return trimmed
    }
}
