// SPDX-License-Identifier: Apache-2.0

/// The users and what is stored of their passwords: a file as `htpasswd -B` writes it, a `name:hash` each line.
///
/// Empty lines and those that begin with `#` say nothing. What is wrong with a line is kept with its number, and the user of that
/// line cannot log in: one mistake does not lock out the others.
package struct UsersFile: Sendable, Equatable {
    /// The largest file that is read, in bytes; 100 thousand users and more.
    package static let maximumSize = 8 << 20
    /// The longest name of a user, in bytes.
    package static let maximumNameLength = 255

    /// A line that gives nobody access.
    package struct Problem: Sendable, Equatable, CustomStringConvertible {
        /// From 1 on.
        package let line: Int
        package let error: UsersFileError

        package var description: String { "\(self.line): \(self.error)" }
    }

    /// The hash of each user's password, by name.
    package private(set) var hashes: [String: BcryptHash] = [:]
    /// The lines that are refused, in their order.
    package private(set) var problems: [Problem] = []

    package init() {}

    /// Reads the text of a file.
    package init(parsing text: some StringProtocol) {
        var seen: [String: Int] = [:]
        for (index, line) in UsersFile.lines(of: text).enumerated() {
            do throws(UsersFileError) {
                guard let entry = try Self.entry(of: line) else { continue }
                if let first = seen[entry.name] {
                    throw UsersFileError(.line, "the user stands in line \(first) already: remove one of the two lines")
                }
                seen[entry.name] = index + 1
                self.hashes[entry.name] = try BcryptHash(entry.hash)
            } catch {
                self.problems.append(Problem(line: index + 1, error: error))
            }
        }
    }

    /// The lines, without their ends.
    static func lines(of text: some StringProtocol) -> [Substring] {
        Substring(text).split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    }

    /// What a line says; nil for one that says nothing.
    static func entry(of line: Substring) throws(UsersFileError) -> (name: String, hash: Substring)? {
        guard !line.allSatisfy(\.isWhitespace), line.utf8.first != UInt8(ascii: "#") else { return nil }
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw UsersFileError(.line, "expected name:hash, as `hallmark user add` and `htpasswd -B` write it")
        }
        let name = String(line[..<colon])
        try Self.check(name: name)
        // htpasswd files may have further fields, as those of other programs do.
        let rest = line.utf8[colon...].dropFirst().prefix { $0 != UInt8(ascii: ":") }
        return (name, Substring(rest))
    }

    /// - Throws: ``UsersFileError`` with code `name`.
    package static func check(name: String) throws(UsersFileError) {
        guard !name.isEmpty, name.utf8.count <= Self.maximumNameLength,
            name.unicodeScalars.allSatisfy({
                $0.value > 0x20 && $0.value != 0x7F && $0 != ":" && !$0.properties.isUnseen
            }),
            name.utf8.first != UInt8(ascii: "#")
        else {
            throw UsersFileError(
                .name,
                "a user's name has 1 to \(Self.maximumNameLength) bytes, no colon, space or control character, and does not "
                    + "begin with #"
            )
        }
    }
}

extension Unicode.Scalar.Properties {
    /// True for what does not show itself.
    fileprivate var isUnseen: Bool {
        switch self.generalCategory {
        case .control, .format, .surrogate, .lineSeparator, .paragraphSeparator, .spaceSeparator, .privateUse,
            .unassigned:
            true
        default: false
        }
    }
}
