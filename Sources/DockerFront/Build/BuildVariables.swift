// SPDX-License-Identifier: Apache-2.0

/// The variables that `FROM` may use: what `ARG` declares before the first one, and `--build-arg` sets.
struct BuildVariables: Sendable {
    /// Those that the builder sets by itself, for each platform its own.
    private static let platformNames: Set<String> = [
        "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT", "BUILDOSVERSION",
        "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "TARGETOSVERSION", "TARGETSTAGE",
    ]

    private let given: [String: String]
    private var declared: [String: String] = [:]

    /// - Parameter given: what `--build-arg` sets.
    init(given: [String: String]) {
        self.given = given
    }

    /// Takes `ARG NAME=DEFAULT`, `ARG NAME`.
    /// - Throws: ``DockerFrontError`` with code `build` for a default that cannot be computed.
    mutating func declare(_ words: ArraySlice<DockerfileWords.Word>, in instruction: [UInt8], line: Int) throws {
        for word in words {
            let raw = String(decoding: instruction[word.range], as: UTF8.self)
            let name = String(raw.prefix { $0 != "=" })
            if let value = self.given[name] {
                self.declared[name] = value
            } else if raw.count > name.count {
                // One that no FROM uses need not be understood.
                self.declared[name] = try? self.expand(String(raw.dropFirst(name.count + 1)), line: line)
            } else if !Self.platformNames.contains(name) {
                self.declared[name] = ""
            }
        }
    }

    /// What a text says once its variables are replaced, its quotes taken away.
    /// - Throws: ``DockerFrontError`` with code `build` for what cannot be computed here.
    func expand(_ text: String, line: Int) throws -> String {
        var result = ""
        var rest = text[...]
        var quote: Character?
        while let character = rest.popFirst() {
            switch character {
            case "'" where quote != "\"", "\"" where quote != "'":
                quote = quote == nil ? character : nil
            case "$" where quote != "'":
                result += try self.variable(&rest, line: line)
            case "\\", "`":
                throw DockerFrontError.dockerfile(line, "an escape in the name of an image: write the name plainly")
            default: result.append(character)
            }
        }
        return result
    }

    /// Reads a variable behind its dollar: `NAME`, `{NAME}`, `{NAME:-WORD}`, `{NAME:+WORD}`, and both without colon.
    private func variable(_ rest: inout Substring, line: Int) throws -> String {
        guard rest.first == "{" else {
            let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
            guard !name.isEmpty else { throw DockerFrontError.dockerfile(line, "a $ without the name of a variable") }
            rest = rest.dropFirst(name.count)
            return try self.value(String(name), line: line)
        }
        guard let end = Self.closing(rest) else { throw DockerFrontError.dockerfile(line, "${ without }") }
        let inside = rest[rest.index(after: rest.startIndex)..<end]
        rest = rest[rest.index(after: end)...]
        let name = String(inside.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
        var form = inside.dropFirst(name.count)
        if form.isEmpty { return try self.value(name, line: line) }
        let emptyCounts = form.first != ":"
        if !emptyCounts { form = form.dropFirst() }
        let value = self.isDeclared(name) ? try self.value(name, line: line) : nil
        let isSet = value.map { emptyCounts || !$0.isEmpty } ?? false
        let word = String(form.dropFirst())
        switch form.first {
        case "-": return isSet ? value ?? "" : try self.expand(word, line: line)
        case "+": return isSet ? try self.expand(word, line: line) : ""
        default:
            throw DockerFrontError.dockerfile(
                line,
                "${\(inside)} cannot be computed here: write the name of the image plainly"
            )
        }
    }

    private static func closing(_ text: Substring) -> Substring.Index? {
        var depth = 0
        for index in text.indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            if depth == 0 { return index }
        }
        return nil
    }

    private func isDeclared(_ name: String) -> Bool {
        self.declared[name] != nil || Self.platformNames.contains(name)
    }

    private func value(_ name: String, line: Int) throws -> String {
        if let value = self.declared[name] { return value }
        if Self.platformNames.contains(name) {
            throw DockerFrontError.dockerfile(
                line,
                "\(name) differs by platform, so that no one digest can be signed for it: use an image of several platforms"
            )
        }
        throw DockerFrontError.dockerfile(
            line,
            "the variable \(name) has no value here: declare it by ARG before the first FROM"
        )
    }
}
