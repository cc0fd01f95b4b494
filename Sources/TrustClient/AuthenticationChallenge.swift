// SPDX-License-Identifier: Apache-2.0

/// What a server asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1; Docker's token specification).
enum AuthenticationChallenge: Sendable, Hashable {
    /// A token from the service at the realm.
    case bearer(realm: String, service: String?, scopes: [String])
    /// A name and a password with each request.
    case basic

    /// Reads one field value; nil when its scheme is not known or it lacks what it needs.
    init?(_ field: String) {
        let text = field.utf8.prefix(8192)
        guard let space = text.firstIndex(of: UInt8(ascii: " ")) else {
            guard field.lowercased() == "basic" else { return nil }
            self = .basic
            return
        }
        switch String(text[..<space])?.lowercased() {
        case "basic": self = .basic
        case "bearer":
            let parameters = Self.parameters(text[space...])
            guard let realm = parameters["realm"], !realm.isEmpty else { return nil }
            self = .bearer(
                realm: realm,
                service: parameters["service"],
                scopes: (parameters["scope"] ?? "").split(separator: " ").map { String($0) }
            )
        default: return nil
        }
    }

    /// `name="value"` or `name=value`, separated by commas.
    private static func parameters(_ bytes: Substring.UTF8View) -> [String: String] {
        var parameters: [String: String] = [:]
        var rest = bytes
        while true {
            rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\t") }
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")), let name = String(rest[..<equals]) else { break }
            rest = rest[rest.index(after: equals)...]
            var value: [UInt8] = []
            if rest.first == UInt8(ascii: "\"") {
                rest = rest.dropFirst()
                while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
                    guard byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() else {
                        value.append(byte)
                        continue
                    }
                    value.append(escaped)
                }
            } else {
                value += rest.prefix { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: " ") }
                rest = rest.dropFirst(value.count)
            }
            parameters[name.lowercased()] = String(decoding: value, as: UTF8.self)
        }
        return parameters
    }
}
