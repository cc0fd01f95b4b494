// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import NIOHTTP1
import PercentEncoding

/// Signs requests: AWS Signature Version 4 as S3 has it, where a path is encoded once and never made shorter.
struct S3Signature: Sendable {
    /// In place of a body's hash, where it is not part of the signature.
    static let unsignedPayload = "UNSIGNED-PAYLOAD"
    /// The longest life of a signed URL.
    static let maximumExpiry = 7 * 24 * 60 * 60

    let credentials: S3Credentials
    let region: String
    let time: Date

    private var date: String { String(self.timestamp.prefix(8)) }
    private var scope: String { "\(self.date)/\(self.region)/s3/aws4_request" }

    /// `20130524T000000Z`.
    private var timestamp: String {
        self.time.formatted(
            Date.ISO8601FormatStyle(
                dateSeparator: .omitted,
                dateTimeSeparator: .standard,
                timeSeparator: .omitted,
                timeZone: .gmt
            )
        )
    }

    /// The fields of a request with those that sign it.
    /// - Parameters:
    ///   - method: the request's method.
    ///   - path: its path, encoded.
    ///   - query: the items of its query, not encoded.
    ///   - headers: its fields, all of which are signed; `Host` must be among them.
    ///   - payload: the body's SHA-256 in hexadecimal digits, or ``unsignedPayload``.
    func sign(
        method: HTTPMethod,
        path: String,
        query: [(name: String, value: String)],
        headers: HTTPHeaders,
        payload: String
    ) -> HTTPHeaders {
        var headers = headers
        headers.replaceOrAdd(name: "x-amz-date", value: self.timestamp)
        headers.replaceOrAdd(name: "x-amz-content-sha256", value: payload)
        if let token = self.credentials.sessionToken {
            headers.replaceOrAdd(name: "x-amz-security-token", value: token)
        }
        let (names, fields) = Self.canonical(headers)
        let request = [method.rawValue, path, Self.encode(query), fields, names, payload].joined(separator: "\n")
        headers.replaceOrAdd(
            name: "Authorization",
            value: "AWS4-HMAC-SHA256 Credential=\(self.credentials.accessKey)/\(self.scope), "
                + "SignedHeaders=\(names), Signature=\(self.signature(of: request))"
        )
        return headers
    }

    /// The query of a URL that anybody may GET for a while.
    /// - Parameters:
    ///   - host: as it will be in `Host`.
    ///   - path: the path, encoded.
    ///   - query: further items, not encoded.
    ///   - seconds: how long it is good for, a week at most.
    func presignedQuery(
        host: String,
        path: String,
        query: [(name: String, value: String)] = [],
        expiresIn seconds: Int
    ) -> String {
        var items = query
        items += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "\(self.credentials.accessKey)/\(self.scope)"),
            ("X-Amz-Date", self.timestamp),
            ("X-Amz-Expires", String(min(max(seconds, 1), Self.maximumExpiry))),
            ("X-Amz-SignedHeaders", "host"),
        ]
        if let token = self.credentials.sessionToken { items.append(("X-Amz-Security-Token", token)) }
        let encoded = Self.encode(items)
        let request = ["GET", path, encoded, "host:\(host)\n", "host", Self.unsignedPayload].joined(separator: "\n")
        return encoded + "&X-Amz-Signature=" + self.signature(of: request)
    }

    /// A query as it is signed, which is how it is sent.
    static func encode(_ query: [(name: String, value: String)]) -> String {
        query.map { (PercentCoding.encode($0.name), PercentCoding.encode($0.value)) }
            .sorted { $0 < $1 }
            .map { $0 + "=" + $1 }
            .joined(separator: "&")
    }

    private static func canonical(_ headers: HTTPHeaders) -> (names: String, fields: String) {
        var values: [String: String] = [:]
        for (name, value) in headers {
            let words = value.split(separator: " ").joined(separator: " ")
            values[name.lowercased(), default: ""] += (values[name.lowercased()] == nil ? "" : ",") + words
        }
        let names = values.keys.sorted()
        return (names.joined(separator: ";"), names.map { "\($0):\(values[$0] ?? "")\n" }.joined())
    }

    private func signature(of request: String) -> String {
        let text = [
            "AWS4-HMAC-SHA256", self.timestamp, self.scope, SHA256.hash(data: Array(request.utf8)).hexadecimal,
        ].joined(separator: "\n")
        var key = SymmetricKey(data: Array("AWS4".utf8) + Array(self.credentials.secretKey.utf8))
        for word in [self.date, self.region, "s3", "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(word.utf8), using: key))
        }
        return HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key).hexadecimal
    }
}

extension Sequence<UInt8> {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in self { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
