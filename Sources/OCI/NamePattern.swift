// SPDX-License-Identifier: Apache-2.0

/// Which repositories or tags are meant: names with `*` for any characters within a segment, and `**` for any segments.
///
///     team/app   that repository            latest   that tag
///     team/*     those directly in team     v1.*     tags that begin so
///     team/**    those in team, however deep
///     **         all                        *        all
public struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    private enum Token: Sendable, Hashable {
        case byte(UInt8)
        /// Any bytes but `/`.
        case any
        /// Any bytes.
        case anything
    }

    private static let maximumLength = 512
    private static let maximumStars = 16

    /// The pattern as it was written.
    public let description: String
    private let tokens: [Token]

    /// - Throws: ``OCIError`` with code `referenceInvalid` that says what is wrong.
    public init(_ text: some StringProtocol) throws(OCIError) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumLength else {
            throw OCIError(.referenceInvalid, "a pattern has 1 to \(Self.maximumLength) bytes")
        }
        var tokens: [Token] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "*"):
                switch tokens.last {
                case .any: tokens[tokens.count - 1] = .anything
                case .anything: throw OCIError(.referenceInvalid, "in `\(text)` more than two * follow each other")
                default: tokens.append(.any)
                }
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "/"):
                tokens.append(.byte(byte))
            default:
                throw OCIError(
                    .referenceInvalid,
                    "`\(text)` has a character that no repository or tag has; a pattern has names, /, * and **"
                )
            }
        }
        guard tokens.count(where: { $0 == .any || $0 == .anything }) <= Self.maximumStars else {
            throw OCIError(.referenceInvalid, "`\(text)` has more than \(Self.maximumStars) *")
        }
        self.description = String(text)
        self.tokens = tokens
    }

    /// Whether a name is meant. Takes time that grows with the product of both lengths at most.
    public func matches(_ name: some StringProtocol) -> Bool {
        // What of the pattern may come next, as the states of an automaton.
        var states: Set<Int> = [0]
        self.skipStars(&states)
        for byte in name.utf8 {
            var next: Set<Int> = []
            for state in states where state < self.tokens.count {
                switch self.tokens[state] {
                case .byte(let expected): if byte == expected { next.insert(state + 1) }
                case .any: if byte != UInt8(ascii: "/") { next.insert(state) }
                case .anything: next.insert(state)
                }
            }
            guard !next.isEmpty else { return false }
            self.skipStars(&next)
            states = next
        }
        return states.contains(self.tokens.count)
    }

    /// A star may stand for nothing.
    private func skipStars(_ states: inout Set<Int>) {
        for start in states {
            var state = start
            while state < self.tokens.count, self.tokens[state] == .any || self.tokens[state] == .anything {
                state += 1
                states.insert(state)
            }
        }
    }
}
