// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1

/// One request and its reply, while a connection is busy with it.
struct HTTPExchange {
    let id: HTTPRequestID
    let method: HTTPMethod
    let target: String
    let isHTTP10: Bool
    let started: NIODeadline
    /// Length of the request's body as declared; nil when chunked.
    let declaredLength: Int?
    let hasBody: Bool
    /// The peer waits for `100 Continue` before it sends its body.
    var awaitsContinue: Bool
    /// What the peer wants; the reply may decide otherwise.
    var keepsAlive: Bool
    /// Body bytes that came.
    var receivedBytes = 0
    /// The status of the reply once its head is on its way.
    var status: HTTPResponseStatus?
    /// What was asked for, as metrics name it.
    var operation = "other"
    /// Counts among the client's uploads while the request is answered.
    var upload: HTTPClientLimiter.Upload?
    /// What the responder adds to the access log.
    var logMetadata: Logger.Metadata = [:]
    /// Body bytes of the reply handed to the socket.
    var sentBytes: Int64 = 0
}

extension HTTPExchange {
    /// A reason to refuse a head that the parser lets pass (RFC 9112, sections 3.2, 6.1 and 6.3).
    static func refusal(of head: HTTPRequestHead) -> HTTPResponseStatus? {
        guard head.version.major == 1 else { return .httpVersionNotSupported }
        guard head.method != .CONNECT else { return .notImplemented }
        var hosts = 0
        var lengths = 0
        var codings = 0
        for (name, value) in head.headers {
            switch name.utf8.count {
            case 4 where name.lowercased() == "host":
                hosts += 1
            case 14 where name.lowercased() == "content-length":
                lengths += 1
                guard !value.isEmpty, value.utf8.allSatisfy({ (0x30...0x39).contains($0) }), Int(value) != nil else {
                    return .badRequest
                }
            case 17 where name.lowercased() == "transfer-encoding":
                codings += 1
                guard value.lowercased() == "chunked" else { return .notImplemented }
            default: break
            }
        }
        guard hosts == 1 || (hosts == 0 && head.version.minor == 0) else { return .badRequest }
        guard lengths <= 1, codings <= 1, lengths + codings <= 1 else { return .badRequest }
        guard codings == 0 || head.version.minor > 0 else { return .badRequest }
        return nil
    }

    init(head: HTTPRequestHead, id: HTTPRequestID) {
        let length = head.headers.first(name: "content-length").flatMap { Int($0) }
        let isChunked = head.headers.contains(name: "transfer-encoding")
        self.id = id
        self.method = head.method
        self.target = head.uri
        self.isHTTP10 = head.version.minor == 0
        self.started = .now()
        self.hasBody = isChunked || (length ?? 0) > 0
        self.declaredLength = isChunked ? nil : length ?? 0
        self.awaitsContinue =
            self.hasBody && !self.isHTTP10
            && head.headers.first(name: "expect")?.lowercased() == "100-continue"
        // The parser stops for good after a request to upgrade, so the connection can serve no other.
        self.keepsAlive = head.isKeepAlive && !head.headers.contains(name: "upgrade")
    }

    /// The target's path and query; an absolute-form target loses its scheme and authority.
    static func split(target: String) -> (path: String, query: String?) {
        var rest = Substring(target)
        if rest.utf8.first != UInt8(ascii: "/"), let scheme = rest.firstRange(ofScheme: ["http://", "https://"]) {
            rest = rest[scheme.upperBound...]
            let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
            rest = rest[end...]
            if rest.utf8.first != UInt8(ascii: "/") { rest = "/" + rest }
        }
        guard let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?")) else { return (String(rest), nil) }
        return (String(rest[..<mark]), String(rest[rest.utf8.index(after: mark)...]))
    }
}

extension Substring {
    /// Where one of `schemes` stands at the beginning, in any case.
    fileprivate func firstRange(ofScheme schemes: [String]) -> Range<Index>? {
        for scheme in schemes where self.utf8.count >= scheme.utf8.count {
            let end = self.utf8.index(self.startIndex, offsetBy: scheme.utf8.count)
            if self[..<end].lowercased() == scheme { return self.startIndex..<end }
        }
        return nil
    }
}
