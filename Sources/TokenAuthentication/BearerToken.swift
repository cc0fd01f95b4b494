// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1

/// What the `Authorization` field of a request holds (RFC 6750, section 2.1).
enum BearerToken {
    /// No field, or one of another scheme: what the client sends before it knows better.
    case absent
    /// More than one field, or one without a token.
    case ambiguous
    case token(Substring)

    init(_ headers: HTTPHeaders) {
        let fields = headers["Authorization"]
        guard let field = fields.first else {
            self = .absent
            return
        }
        guard fields.count == 1 else {
            self = .ambiguous
            return
        }
        let end = field.utf8.firstIndex(of: UInt8(ascii: " ")) ?? field.endIndex
        guard field.utf8.count >= 6, field[..<end].lowercased() == "bearer" else {
            self = .absent
            return
        }
        let token = field[end...].drop { $0 == " " }
        self = token.isEmpty ? .ambiguous : .token(token)
    }
}

/// Where to get a token for what, as `WWW-Authenticate` says it (RFC 6750, section 3; Docker's token specification).
struct BearerChallenge: CustomStringConvertible {
    let realm: String
    let service: String
    let entries: [AccessEntry]
    let error: String?

    var description: String {
        var text = "Bearer realm=\(Self.quoted(self.realm)),service=\(Self.quoted(self.service))"
        if !self.entries.isEmpty { text += ",scope=\(Self.quoted(AccessEntry.scope(of: self.entries)))" }
        if let error { text += ",error=\(Self.quoted(error))" }
        return text
    }

    /// A quoted string (RFC 9110, section 5.6.4). A control character, which a field cannot have, becomes a space.
    private static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte < 0x20 || byte == 0x7F ? 0x20 : byte)
        }
        bytes.append(UInt8(ascii: "\""))
        return String(decoding: bytes, as: UTF8.self)
    }
}
