// SPDX-License-Identifier: Apache-2.0

/// The text that names a PostgreSQL database: a URL, or pairs of `key=value`.
enum ConnectionText {
    static let mask = "***"

    /// False for what libpq would refuse at once.
    static func isPlausible(_ text: String) -> Bool {
        if Self.isURL(text) { return true }
        return !text.contains("://") && text.contains("=")
    }

    /// The text with `***` where a password stands, or may stand where it is neither a URL nor pairs.
    static func hidingPassword(_ text: String) -> String {
        if Self.hasScheme(text) { return Self.hidingInURL(text) }
        if text.contains("=") { return Self.hidingInPairs(text) }
        return text.contains(":") || text.contains("@") ? Self.mask : text
    }

    /// Whether it is a URL, of PostgreSQL or not.
    private static func hasScheme(_ text: String) -> Bool {
        let scheme = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "+") }
        return !scheme.isEmpty && text[scheme.endIndex...].hasPrefix("://")
    }

    private static func isURL(_ text: String) -> Bool {
        text.hasPrefix("postgres://") || text.hasPrefix("postgresql://")
    }

    private static func hidingInURL(_ text: String) -> String {
        guard let scheme = text.range(of: "://") else { return Self.mask }
        var authority = text[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
        var rest = text[authority.endIndex...]
        // A password with an unescaped slash would end the authority before its user does.
        if !authority.contains("@"), authority.contains(":"), let at = rest.lastIndex(of: "@") {
            authority = text[scheme.upperBound..<at]
            rest = text[at...]
            authority = authority.prefix { $0 != ":" }
            return text[..<scheme.upperBound] + authority + ":" + Self.mask + Self.hidingInQuery(rest)
        }
        guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else {
            return text[..<authority.endIndex] + Self.hidingInQuery(rest)
        }
        return text[...colon] + Self.mask + authority[at...] + Self.hidingInQuery(rest)
    }

    private static func hidingInQuery(_ text: Substring) -> String {
        guard let start = text.firstIndex(of: "?") else { return String(text) }
        let parameters = text[text.index(after: start)...].split(separator: "&", omittingEmptySubsequences: false)
        let shown = parameters.map { parameter in
            guard let sign = parameter.firstIndex(of: "="), Self.isSecret(parameter[..<sign]) else {
                return String(parameter)
            }
            return parameter[...sign] + Self.mask
        }
        return text[...start] + shown.joined(separator: "&")
    }

    private static func isSecret(_ key: Substring) -> Bool { key == "password" || key == "sslpassword" }

    /// libpq's pairs: blanks around `=` are allowed, values may be in single quotes, and a backslash escapes.
    private static func hidingInPairs(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while !rest.isEmpty {
            guard let sign = rest.firstIndex(of: "=") else { return result + rest }
            let key = rest[..<sign].split(whereSeparator: \.isWhitespace).last ?? ""
            result += rest[...sign]
            rest = rest[rest.index(after: sign)...]
            let blanks = rest.prefix(while: \.isWhitespace)
            rest = rest[blanks.endIndex...]
            let value = Self.value(rest)
            result += blanks + (Self.isSecret(key) ? Self.mask[...] : value)
            rest = rest[value.endIndex...]
        }
        return result
    }

    private static func value(_ text: Substring) -> Substring {
        let isQuoted = text.first == "'"
        var index = isQuoted ? text.index(after: text.startIndex) : text.startIndex
        while index < text.endIndex {
            let character = text[index]
            if character == "\\" {
                index = text.index(after: index)
                if index < text.endIndex { index = text.index(after: index) }
                continue
            }
            if isQuoted, character == "'" { return text[...index] }
            if !isQuoted, character.isWhitespace { return text[..<index] }
            index = text.index(after: index)
        }
        return text
    }
}

extension String {
    /// The first place where a text stands.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var index = self.startIndex
        while index < self.endIndex {
            if self[index...].hasPrefix(text) {
                return index..<self.index(index, offsetBy: text.count)
            }
            index = self.index(after: index)
        }
        return nil
    }
}
