// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// How the bytes after a head are delimited (RFC 9112, section 6).
enum HTTPResponseFraming: Equatable {
    /// The status forbids a body and its length.
    case none
    case length(Int64)
    case chunked
    /// The body ends with the connection: the peer speaks HTTP/1.0.
    case untilClose
}

/// What the connection puts into a head beside the responder's fields.
struct HTTPResponseHeadContext {
    let framing: HTTPResponseFraming
    let keepsAlive: Bool
    /// An HTTP/1.0 peer must be told that the connection stays.
    let isHTTP10: Bool
    let date: String
    /// What the log calls the request.
    let id: HTTPRequestID?
}

extension ByteBuffer {
    /// Writes the status line and the responder's fields.
    ///
    /// Fields that the server decides on, and those that a control character would turn into something else, are left
    /// out.
    mutating func writeStatusAndFields(of response: HTTPResponse) {
        self.writeStaticString("HTTP/1.1 ")
        self.writeString(String(response.status.code))
        self.writeStaticString(" ")
        self.writeString(response.status.reasonPhrase.isFieldValue ? response.status.reasonPhrase : "")
        self.writeStaticString("\r\n")
        for (name, value) in response.headers where name.isFieldName && value.isFieldValue {
            guard !name.isSetByServer else { continue }
            self.writeString(name)
            self.writeStaticString(": ")
            self.writeString(value)
            self.writeStaticString("\r\n")
        }
    }

    /// Writes the status line and the header fields, to the empty line.
    mutating func writeResponseHead(_ response: HTTPResponse, in context: HTTPResponseHeadContext) {
        if let encoded = response.encodedHead {
            self.writeImmutableBuffer(encoded)
        } else {
            self.writeStatusAndFields(of: response)
        }
        switch context.framing {
        case .none, .untilClose: break
        case .length(let length):
            self.writeStaticString("Content-Length: ")
            self.writeString(String(length))
            self.writeStaticString("\r\n")
        case .chunked: self.writeStaticString("Transfer-Encoding: chunked\r\n")
        }
        if !context.keepsAlive {
            self.writeStaticString("Connection: close\r\n")
        } else if context.isHTTP10 {
            self.writeStaticString("Connection: keep-alive\r\n")
        }
        if let id = context.id {
            self.writeStaticString("X-Request-Id: ")
            self.writeRequestID(id)
            self.writeStaticString("\r\n")
        }
        self.writeStaticString("Date: ")
        self.writeString(context.date)
        self.writeStaticString("\r\n\r\n")
    }
}

extension ByteBuffer {
    /// As ``HTTPRequestID/description``, without a string for each reply.
    mutating func writeRequestID(_ id: HTTPRequestID) {
        self.writeNumber(UInt64(id.instance), radix: 16)
        self.writeInteger(UInt8(ascii: "-"))
        self.writeNumber(id.connection, radix: 16)
        self.writeInteger(UInt8(ascii: "-"))
        self.writeNumber(UInt64(id.sequence), radix: 10)
    }

    private mutating func writeNumber(_ number: UInt64, radix: UInt64) {
        var place: UInt64 = 1
        while number / place >= radix { place *= radix }
        while place > 0 {
            let digit = UInt8(truncatingIfNeeded: number / place % radix)
            self.writeInteger(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            place /= radix
        }
    }
}

extension String {
    /// A token of RFC 9110, section 5.6.2.
    fileprivate var isFieldName: Bool {
        !self.isEmpty
            && self.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "#"),
                    UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"),
                    UInt8(ascii: "+"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
                    true
                default: false
                }
            }
    }

    /// Without control characters: none of them may split a head in two.
    fileprivate var isFieldValue: Bool {
        self.utf8.allSatisfy { ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 }
    }

    fileprivate var isSetByServer: Bool {
        switch self.utf8.count {
        case 4: self.lowercased() == "date"
        case 10: self.lowercased() == "connection"
        case 12: self.lowercased() == "x-request-id"
        case 14: self.lowercased() == "content-length"
        case 17: self.lowercased() == "transfer-encoding"
        default: false
        }
    }
}

extension HTTPResponseStatus {
    /// 1xx, 204 and 304 have neither a body nor its length.
    var forbidsBody: Bool {
        self.code == 204 || self.code == 304 || (100..<200).contains(self.code)
    }
}
