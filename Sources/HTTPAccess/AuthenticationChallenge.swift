// SPDX-License-Identifier: Apache-2.0

/// What a server wants to know about the caller: a `WWW-Authenticate` challenge (RFC 9110 section 11.6.1).
enum AuthenticationChallenge: Sendable, Hashable {
    /// User name and password with each request.
    case basic
    /// A token from an authorization service.
    case bearer(realm: String, service: String?, scopes: [String])

    /// The challenge to answer, of all that were sent: a token before a password.
    static func preferred(_ fields: [String]) -> AuthenticationChallenge? {
        let all = fields.flatMap { Self.parse($0) }
        return all.first { $0 != .basic } ?? all.first
    }

    /// The challenges in one field; schemes that are not known are left out.
    static func parse(_ field: String) -> [AuthenticationChallenge] {
        var parser = FieldParser(field)
        var challenges: [AuthenticationChallenge] = []
        while let (scheme, parameters) = parser.nextChallenge(), challenges.count < 8 {
            switch scheme.lowercased() {
            case "basic":
                challenges.append(.basic)
            case "bearer":
                guard let realm = parameters["realm"], !realm.isEmpty else { continue }
                let scopes = parameters["scope"]?.split(separator: " ").map(String.init) ?? []
                challenges.append(.bearer(realm: realm, service: parameters["service"], scopes: scopes))
            default:
                continue
            }
        }
        return challenges
    }
}

/// Takes a challenge list apart: `scheme name=value, name="quoted \" value", scheme …`.
private struct FieldParser {
    private var rest: Substring.UTF8View

    init(_ field: String) {
        self.rest = Substring(field.prefix(8192)).utf8
    }

    mutating func nextChallenge() -> (scheme: String, parameters: [String: String])? {
        self.skipSeparators()
        let scheme = self.token()
        guard !scheme.isEmpty else { return nil }
        var parameters: [String: String] = [:]
        while true {
            let start = self.rest
            self.skipSeparators()
            let name = self.token()
            self.skipSpace()
            guard !name.isEmpty, self.rest.first == UInt8(ascii: "=") else {
                // A token without a value is the next scheme.
                self.rest = start
                return (scheme, parameters)
            }
            self.rest = self.rest.dropFirst()
            self.skipSpace()
            let value = self.rest.first == UInt8(ascii: "\"") ? self.quoted() : self.token()
            if parameters[name.lowercased()] == nil { parameters[name.lowercased()] = value }
        }
    }

    private mutating func skipSpace() {
        self.rest = self.rest.drop { $0 == 0x20 || $0 == 0x09 }
    }

    private mutating func skipSeparators() {
        self.rest = self.rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") }
    }

    private mutating func token() -> String {
        let stops: [UInt8] = [0x20, 0x09, UInt8(ascii: ","), UInt8(ascii: "="), UInt8(ascii: "\"")]
        let token = self.rest.prefix { !stops.contains($0) }
        self.rest = self.rest[token.endIndex...]
        return String(decoding: token, as: UTF8.self)
    }

    private mutating func quoted() -> String {
        self.rest = self.rest.dropFirst()
        var value: [UInt8] = []
        while let byte = self.rest.popFirst(), byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\"), let escaped = self.rest.popFirst() {
                value.append(escaped)
            } else {
                value.append(byte)
            }
        }
        return String(decoding: value, as: UTF8.self)
    }
}
