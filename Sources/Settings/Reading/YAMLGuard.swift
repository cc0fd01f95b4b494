// SPDX-License-Identifier: Apache-2.0

/// Refuses, before it is parsed, what could make much of little: anchors and aliases, which can repeat each other without end,
/// and deep nesting.
///
/// It knows of YAML what it needs for that: quoted text, comments, and that an anchor stands where a value begins.
struct YAMLGuard {
    private let path: String
    private var line = 1
    private var depth = 0
    /// Whether a value can begin here.
    private var isAtStart = true
    private var previous: Character = "\n"

    /// - Throws: the problem that names the line.
    static func check(_ text: String, path: String) throws(DocumentProblem) {
        var check = YAMLGuard(path: path)
        var rest = text[...]
        while let character = rest.popFirst() {
            try check.take(character, &rest)
        }
    }

    private init(path: String) {
        self.path = path
    }

    private mutating func take(_ character: Character, _ rest: inout Substring) throws(DocumentProblem) {
        defer { self.previous = character }
        if character.isNewline {
            self.line += 1
            self.isAtStart = true
            return
        }
        switch character {
        case " ", "\t":
            return
        case "#" where self.previous.isWhitespace:
            rest = rest.drop { !$0.isNewline }
        case "&" where self.isAtStart, "*" where self.isAtStart:
            throw DocumentProblem(
                path: self.path,
                line: self.line,
                message: "anchors and aliases (\(character)) are not taken: write the value out, or quote the text"
            )
        case "\"" where self.isAtStart, "'" where self.isAtStart:
            self.skipQuoted(character, &rest)
            self.isAtStart = false
        case "[", "{":
            self.depth += 1
            guard self.depth <= YAMLDocument.depthLimit else {
                throw DocumentProblem(path: self.path, line: self.line, message: "nests deeper than any setting")
            }
            self.isAtStart = true
        case "]", "}":
            self.depth = max(0, self.depth - 1)
            self.isAtStart = false
        case ",", "?", "-", ":":
            // In JSON a value may follow its key's colon at once.
            self.isAtStart = self.depth > 0 || rest.first?.isWhitespace ?? true
        default:
            self.isAtStart = false
        }
    }

    private mutating func skipQuoted(_ quote: Character, _ rest: inout Substring) {
        while let character = rest.popFirst() {
            if character.isNewline { self.line += 1 }
            if character == quote {
                // Two single quotes stand for one.
                guard quote == "'", rest.first == quote else { return }
                rest.removeFirst()
            }
            if character == "\\", quote == "\"", let next = rest.popFirst(), next.isNewline { self.line += 1 }
        }
    }
}
