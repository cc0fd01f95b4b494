// SPDX-License-Identifier: Apache-2.0

import Crypto
package import Foundation
import NIOCore
package import NIOHTTP1
import PercentEncoding
import Synchronization

/// What a bucket was asked.
package struct BucketRequest: Sendable {
    package let method: HTTPMethod
    /// The key, decoded; empty for the bucket.
    package let key: String
    package let query: [String: String]
    package let headers: HTTPHeaders
    package let body: [UInt8]
}

/// What a bucket answers.
package struct BucketReply: Sendable {
    package var status: HTTPResponseStatus
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// Ends the connection after so many bytes of the body; with 0, before the head.
    package var cut: Int?

    package init(_ status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: [UInt8] = [], cut: Int? = nil) {
        self.status = status
        self.headers = headers
        self.body = body
        self.cut = cut
    }

    /// An error as S3 tells it.
    package static func error(_ status: HTTPResponseStatus, _ code: String) -> BucketReply {
        let text = "<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>about \(code)</Message></Error>"
        return BucketReply(status, headers: ["Content-Type": "application/xml"], body: Array(text.utf8))
    }
}

/// One bucket in memory that does what S3 does, as far as this package asks for it; it checks no signatures.
package final class MemoryBucket: Sendable {
    package struct Upload: Sendable {
        package let key: String
        package var parts: [Int: [UInt8]] = [:]
    }

    private struct State {
        var objects: [String: [UInt8]] = [:]
        var times: [String: Date] = [:]
        var uploads: [String: Upload] = [:]
        var requests: [BucketRequest] = []
        var number = 0
        var intercept: @Sendable (BucketRequest, Int) -> BucketReply? = { _, _ in nil }
        var amend: @Sendable (BucketRequest, inout BucketReply) -> Void = { _, _ in }
    }

    package let name: String
    private let state = Mutex(State())

    package init(name: String) { self.name = name }

    package var objects: [String: [UInt8]] { self.state.withLock { $0.objects } }
    package var uploads: [String: Upload] { self.state.withLock { $0.uploads } }
    package var requests: [BucketRequest] { self.state.withLock { $0.requests } }

    package func set(_ key: String, _ bytes: [UInt8]?, at time: Date = Date()) {
        self.state.withLock { state in
            state.objects[key] = bytes
            state.times[key] = time
        }
    }

    /// Answers in the bucket's place; the number counts all requests from 1. Nothing is done for a request that it answers.
    package func intercept(_ body: @escaping @Sendable (BucketRequest, Int) -> BucketReply?) {
        self.state.withLock { $0.intercept = body }
    }

    /// Changes what the bucket answers to what it has done.
    package func amend(_ body: @escaping @Sendable (BucketRequest, inout BucketReply) -> Void) {
        self.state.withLock { $0.amend = body }
    }

    package func answer(_ request: BucketRequest) -> BucketReply {
        let (intercept, amend, count) = self.state.withLock { state in
            state.requests.append(request)
            return (state.intercept, state.amend, state.requests.count)
        }
        if let reply = intercept(request, count) { return reply }
        var reply = self.state.withLock { Self.perform(request, &$0) }
        amend(request, &reply)
        return reply
    }

    private static func perform(_ request: BucketRequest, _ state: inout State) -> BucketReply {
        if let sum = request.headers.first(name: "Content-MD5"),
            sum != Data(Insecure.MD5.hash(data: request.body)).base64EncodedString()
        {
            return .error(.badRequest, "BadDigest")
        }
        switch (request.method, request.key.isEmpty) {
        case (.GET, true): return self.list(request, state)
        case (.POST, true): return self.deleteAll(request, &state)
        case (.PUT, false) where request.query["uploadId"] != nil: return self.putPart(request, &state)
        case (.PUT, false):
            state.objects[request.key] = request.body
            state.times[request.key] = Date()
            return BucketReply(.ok, headers: ["ETag": self.etag(request.body)])
        case (.GET, false), (.HEAD, false): return self.get(request, state)
        case (.DELETE, false):
            if let id = request.query["uploadId"] {
                guard state.uploads.removeValue(forKey: id) != nil else { return .error(.notFound, "NoSuchUpload") }
            } else {
                state.objects[request.key] = nil
            }
            return BucketReply(.noContent)
        case (.POST, false) where request.query["uploads"] != nil:
            state.number += 1
            let id = "upload-\(state.number)"
            state.uploads[id] = Upload(key: request.key)
            return self.xml("<InitiateMultipartUploadResult><UploadId>\(id)</UploadId></InitiateMultipartUploadResult>")
        case (.POST, false): return self.complete(request, &state)
        default: return .error(.methodNotAllowed, "MethodNotAllowed")
        }
    }

    private static func xml(_ text: String) -> BucketReply {
        BucketReply(
            .ok,
            headers: ["Content-Type": "application/xml"],
            body: Array("<?xml version=\"1.0\"?>\n\(text)".utf8)
        )
    }

    private static func etag(_ bytes: [UInt8]) -> String {
        "\"" + Insecure.MD5.hash(data: bytes).map { String(format: "%02x", $0) }.joined() + "\""
    }

    private static func get(_ request: BucketRequest, _ state: State) -> BucketReply {
        guard let bytes = state.objects[request.key] else { return .error(.notFound, "NoSuchKey") }
        var headers: HTTPHeaders = ["ETag": self.etag(bytes)]
        if let wanted = request.headers.first(name: "If-Match"), wanted != self.etag(bytes) {
            return .error(.preconditionFailed, "PreconditionFailed")
        }
        guard
            let range = request.headers.first(name: "Range")?.dropFirst(6).split(separator: "-").compactMap({ Int($0) }
            ),
            range.count == 2
        else { return BucketReply(.ok, headers: headers, body: bytes) }
        guard range[0] < bytes.count else { return .error(.rangeNotSatisfiable, "InvalidRange") }
        let end = min(range[1], bytes.count - 1)
        headers.add(name: "Content-Range", value: "bytes \(range[0])-\(end)/\(bytes.count)")
        return BucketReply(.partialContent, headers: headers, body: Array(bytes[range[0]...end]))
    }

    private static func putPart(_ request: BucketRequest, _ state: inout State) -> BucketReply {
        guard let id = request.query["uploadId"], let number = request.query["partNumber"].flatMap({ Int($0) }),
            state.uploads[id]?.key == request.key
        else { return .error(.notFound, "NoSuchUpload") }
        guard let source = request.headers.first(name: "x-amz-copy-source") else {
            state.uploads[id]?.parts[number] = request.body
            return BucketReply(.ok, headers: ["ETag": self.etag(request.body)])
        }
        let key = source.removingPercentEncoding?.split(separator: "/", maxSplits: 1).last.map(String.init) ?? ""
        guard let bytes = state.objects[key] else { return .error(.notFound, "NoSuchKey") }
        state.uploads[id]?.parts[number] = bytes
        return self.xml("<CopyPartResult><ETag>\(self.etag(bytes))</ETag></CopyPartResult>")
    }

    private static func complete(_ request: BucketRequest, _ state: inout State) -> BucketReply {
        guard let id = request.query["uploadId"], let upload = state.uploads[id], upload.key == request.key else {
            return .error(.notFound, "NoSuchUpload")
        }
        var bytes: [UInt8] = []
        let text = String(decoding: request.body, as: UTF8.self).replacingOccurrences(of: "&quot;", with: "\"")
        let parts = text.components(separatedBy: "<Part>").dropFirst()
        for (index, part) in parts.enumerated() {
            let number = part.components(separatedBy: "PartNumber>").dropFirst().first.flatMap {
                Int($0.prefix { $0 != "<" })
            }
            guard let number, let content = upload.parts[number], part.contains(self.etag(content)) else {
                return .error(.badRequest, "InvalidPart")
            }
            guard index == parts.count - 1 || content.count >= 5 << 20 else {
                return .error(.badRequest, "EntityTooSmall")
            }
            bytes += content
        }
        guard !bytes.isEmpty else { return .error(.badRequest, "MalformedXML") }
        state.uploads[id] = nil
        state.objects[request.key] = bytes
        state.times[request.key] = Date()
        // Some storage keeps the connection alive with spaces before it knows.
        var reply = self.xml("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
        reply.body = Array("   \n".utf8) + reply.body
        return reply
    }

    private static func deleteAll(_ request: BucketRequest, _ state: inout State) -> BucketReply {
        let text = String(decoding: request.body, as: UTF8.self)
        for part in text.components(separatedBy: "<Key>").dropFirst() {
            state.objects[String(part.prefix { $0 != "<" }).replacingOccurrences(of: "&amp;", with: "&")] = nil
        }
        return self.xml("<DeleteResult/>")
    }

    private static func list(_ request: BucketRequest, _ state: State) -> BucketReply {
        let prefix = request.query["prefix"] ?? ""
        if request.query["uploads"] != nil {
            let uploads = state.uploads.filter { $0.value.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
            let text = uploads.map { id, upload in
                "<Upload><Key>\(PercentCoding.encode(upload.key, keeping: "/"))</Key><UploadId>\(id)</UploadId>"
                    + "<Initiated>2026-01-02T03:04:05.678Z</Initiated></Upload>"
            }
            return self.xml(
                "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
                    + text.joined() + "</ListMultipartUploadsResult>"
            )
        }
        let after = request.query["continuation-token"] ?? request.query["start-after"] ?? ""
        let keys = state.objects.keys.filter { $0.hasPrefix(prefix) && $0 > after }.sorted()
        let page = keys.prefix(min(request.query["max-keys"].flatMap { Int($0) } ?? 1000, 1000))
        let text = page.map { key in
            let time = ISO8601DateFormatter().string(from: state.times[key] ?? Date())
            return "<Contents><Key>\(PercentCoding.encode(key, keeping: "/"))</Key><LastModified>\(time)</LastModified>"
                + "<Size>\(state.objects[key]?.count ?? 0)</Size></Contents>"
        }
        let next =
            keys.count > page.count ? page.last.map { "<NextContinuationToken>\($0)</NextContinuationToken>" } : nil
        return self.xml(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>"
                + "<IsTruncated>\(next != nil)</IsTruncated>\(next ?? "")\(text.joined())</ListBucketResult>"
        )
    }
}
