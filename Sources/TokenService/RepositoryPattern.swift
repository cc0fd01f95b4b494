// SPDX-License-Identifier: Apache-2.0

/// Which repositories a rule is for: names with `*` for any characters within a segment, `**` for any segments, and
/// `${user}` for the name of whoever is logged in.
///
///     team/app          that repository
///     team/*            those directly in team
///     team/**           those in team, however deep
///     **                all
///     users/${user}/**  for each user those below their own name
struct RepositoryPattern: Sendable {
    private enum Token: Sendable, Equatable {
        case byte(UInt8)
        case any
        case user
    }

    private enum Segment: Sendable {
        case tokens([Token])
        /// Exactly one, whatever its name.
        case one
        /// Any number of them.
        case many
    }

    /// The longest pattern, in bytes.
    static let maximumLength = 512
    private static let maximumSegments = 32

    private let segments: [Segment]

    /// - Throws: ``PatternError`` that says what is wrong.
    init(_ text: String) throws(PatternError) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumLength else {
            throw PatternError("a pattern has 1 to \(Self.maximumLength) bytes")
        }
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count <= Self.maximumSegments else {
            throw PatternError("a pattern has at most \(Self.maximumSegments) segments")
        }
        var segments: [Segment] = []
        for (index, part) in parts.enumerated() {
            guard part.elementsEqual("**".utf8) else {
                segments.append(.tokens(try Self.tokens(Array(part), of: text)))
                continue
            }
            // At the end it stands for something: team/** is what is in team, not team itself.
            if index == parts.count - 1 { segments.append(.one) }
            if case .many = segments.last {} else { segments.append(.many) }
        }
        self.segments = segments
    }

    private static func tokens(_ segment: [UInt8], of text: String) throws(PatternError) -> [Token] {
        guard !segment.isEmpty else { throw PatternError("\"\(text)\" has an empty segment") }
        var tokens: [Token] = []
        var rest = segment[...]
        while let byte = rest.first {
            switch byte {
            case UInt8(ascii: "*"):
                guard tokens.last != .any else {
                    throw PatternError("in \"\(text)\" ** must be a segment of its own, as in team/**")
                }
                tokens.append(.any)
                rest = rest.dropFirst()
            case UInt8(ascii: "$"):
                let variable = Array("${user}".utf8)
                guard rest.starts(with: variable) else {
                    throw PatternError("in \"\(text)\" $ begins ${user}, and nothing else")
                }
                tokens.append(.user)
                rest = rest.dropFirst(variable.count)
            case 0x21...0x7E where !"\"'?[]{}\\,".utf8.contains(byte):
                tokens.append(.byte(byte))
                rest = rest.dropFirst()
            default:
                throw PatternError(
                    "\"\(text)\" has a character that no repository's name has; a pattern has names, /, *, ** and ${user}"
                )
            }
        }
        return tokens
    }

    /// Whether a repository is meant. Takes time that grows with the product of the two lengths at most.
    /// - Parameters:
    ///   - name: the segments of its name.
    ///   - user: who is logged in; nobody has no `${user}`.
    ///   - hostIsFirst: the first segment is the name of a registry, which only its own name or `**` stand for.
    func matches(_ name: [[UInt8]], user: String?, hostIsFirst: Bool) -> Bool {
        var position = 0
        var segment = 0
        var retry: (segment: Int, position: Int)?
        while position < name.count {
            if segment < self.segments.count, case .many = self.segments[segment] {
                retry = (segment, position)
                segment += 1
                continue
            }
            if segment < self.segments.count,
                self.matches(self.segments[segment], name[position], user, isHost: hostIsFirst && position == 0)
            {
                segment += 1
                position += 1
                continue
            }
            guard let last = retry else { return false }
            retry = (last.segment, last.position + 1)
            segment = last.segment + 1
            position = last.position + 1
        }
        while segment < self.segments.count, case .many = self.segments[segment] { segment += 1 }
        return segment == self.segments.count
    }

    private func matches(_ segment: Segment, _ name: [UInt8], _ user: String?, isHost: Bool) -> Bool {
        guard case .tokens(let tokens) = segment else { return true }
        var pattern: [Token] = []
        for token in tokens {
            switch token {
            case .byte: pattern.append(token)
            case .any:
                guard !isHost else { return false }
                pattern.append(token)
            case .user:
                guard let user, !isHost else { return false }
                pattern += user.utf8.map { .byte($0) }
            }
        }
        return Self.glob(pattern, name)
    }

    private static func glob(_ pattern: [Token], _ name: [UInt8]) -> Bool {
        var index = 0
        var position = 0
        var retry: (index: Int, position: Int)?
        while position < name.count {
            if index < pattern.count, pattern[index] == .any {
                retry = (index, position)
                index += 1
            } else if index < pattern.count, pattern[index] == .byte(name[position]) {
                index += 1
                position += 1
            } else if let last = retry {
                retry = (last.index, last.position + 1)
                index = last.index + 1
                position = last.position + 1
            } else {
                return false
            }
        }
        return pattern[index...].allSatisfy { $0 == .any }
    }
}

/// What is wrong with a pattern.
struct PatternError: Error {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}
