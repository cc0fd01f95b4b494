// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import HTTPAccess
package import NIOCore
import NIOHTTP1

/// What is known of an object without its bytes.
package struct S3Object: Sendable, Hashable {
    /// How many bytes it has.
    package let size: Int64
    /// Tells it from others that were under the same key.
    package let etag: String?
}

extension S3Client {
    /// Writes an object.
    /// - Throws: ``S3Error``.
    package func putObject(_ key: String, _ payload: S3Payload) async throws {
        var request = S3Request(method: .PUT, key: key, action: "writing")
        request.headers = ["Content-Type": "application/octet-stream"]
        request.body = payload
        try await self.sendForHead(request)
    }

    /// What is known of an object; nil when there is none.
    /// - Throws: ``S3Error``.
    package func headObject(_ key: String) async throws -> S3Object? {
        let request = S3Request(method: .HEAD, key: key, action: "looking at")
        do {
            let reply = try await self.sendForHead(request)
            return S3Object(size: try self.length(reply, request), etag: reply.headers.first(name: "ETag"))
        } catch let error as S3Error where error.code == .noSuchKey {
            // A reply to HEAD does not say whether it is the bucket that is missing.
            return nil
        }
    }

    /// Begins to read an object, or a part of it; nil when there is none.
    /// - Parameters:
    ///   - key: the object's key.
    ///   - range: which bytes, not empty; nil for all.
    ///   - isServed: whether the bytes go to a client, however slow that is.
    /// - Throws: ``S3Error``; `invalidRange` when the object ends before the range begins.
    package func getObject(
        _ key: String,
        range: Range<Int64>? = nil,
        isServed: Bool = false
    ) async throws -> S3ObjectBody? {
        var request = S3Request(method: .GET, key: key, action: "reading")
        request.isServed = isServed
        if let range { request.headers.add(name: "Range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)") }
        let reply: S3Reply
        do {
            reply = try await self.send(request)
        } catch let error as S3Error where error.code == .noSuchKey {
            return nil
        }
        let length = try self.length(reply, request)
        let etag = reply.headers.first(name: "ETag")
        var size = length
        if let range {
            guard reply.status == .partialContent, let field = reply.headers.first(name: "Content-Range"),
                let total = Self.total(field, from: range.lowerBound, count: length),
                length <= range.upperBound - range.lowerBound
            else { throw self.invalid(request, "it is not the range that was asked for") }
            size = total
        }
        return S3ObjectBody(
            client: self,
            key: key,
            object: S3Object(size: size, etag: etag),
            start: range?.lowerBound ?? 0,
            length: length,
            reply: reply,
            isServed: isServed
        )
    }

    /// The whole of a small object; nil when there is none.
    /// - Throws: ``S3Error``; `invalidReply` when it has more bytes than allowed.
    package func getObject(_ key: String, upTo limit: Int) async throws -> ByteBuffer? {
        guard let body = try await self.getObject(key) else { return nil }
        guard body.length <= limit else {
            let request = S3Request(method: .GET, key: key, action: "reading")
            throw self.invalid(request, "it has \(body.length) bytes, \(limit) are allowed")
        }
        var whole = ByteBuffer()
        whole.reserveCapacity(Int(body.length))
        try await body.read { whole.writeImmutableBuffer($0) }
        return whole
    }

    /// Removes an object; one that is not there is no error.
    /// - Throws: ``S3Error``.
    package func deleteObject(_ key: String) async throws {
        do {
            try await self.sendForHead(S3Request(method: .DELETE, key: key, action: "removing"))
        } catch let error as S3Error where error.code == .noSuchKey {
            return
        }
    }

    /// Removes objects, a thousand a request.
    /// - Throws: ``S3Error`` for the first that could not be removed.
    package func deleteObjects(_ keys: [String]) async throws {
        var rest = keys[...]
        while !rest.isEmpty {
            let some = rest.prefix(1000)
            rest = rest.dropFirst(1000)
            var request = S3Request(
                method: .POST,
                key: nil,
                query: [("delete", "")],
                action: "removing \(some.count) objects of"
            )
            let objects = some.map { "<Object><Key>\($0.escapedForXML)</Key></Object>" }.joined()
            try request.setXML(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                    + "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>\(objects)</Delete>"
            )
            let result = try await self.sendForXML(request, expecting: "DeleteResult")
            for error in result.all("Error") {
                let name = error["Code"]?.text ?? "an error"
                guard name != "NoSuchKey" else { continue }
                throw S3Error(
                    name == "AccessDenied" ? .accessDenied : .refused(name),
                    "S3: removing \(self.configuration.bucket)/\((error["Key"]?.text ?? "?").printable()): "
                        + "\(name.printable()): \((error["Message"]?.text ?? "").printable())"
                )
            }
        }
    }

    func length(_ reply: S3Reply, _ request: S3Request) throws -> Int64 {
        guard let length = reply.headers.first(name: "Content-Length").flatMap({ Int64($0) }), length >= 0 else {
            throw self.invalid(request, "the reply does not say how long it is")
        }
        return length
    }

    /// The size of the object of `bytes 5-9/100`, if the range begins and is as long as it should be.
    static func total(_ field: String, from start: Int64, count: Int64) -> Int64? {
        guard field.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = field.dropFirst(6).split(separator: "/")
        let ends = parts.first?.split(separator: "-").compactMap { Int64($0) } ?? []
        guard parts.count == 2, let total = Int64(parts[1]), ends.count == 2, ends[0] == start, ends[1] >= start,
            ends[1] < total, ends[1] - start + 1 == count
        else { return nil }
        return total
    }
}

/// The bytes of an object that have begun to come.
package struct S3ObjectBody: Sendable {
    private let client: S3Client
    private let key: String
    /// The object as it was when reading began.
    package let object: S3Object
    private let start: Int64
    /// How many bytes will come.
    package let length: Int64
    private let reply: S3Reply
    private let isServed: Bool

    init(
        client: S3Client,
        key: String,
        object: S3Object,
        start: Int64,
        length: Int64,
        reply: S3Reply,
        isServed: Bool
    ) {
        self.client = client
        self.key = key
        self.object = object
        self.start = start
        self.length = length
        self.reply = reply
        self.isServed = isServed
    }

    /// Hands out the bytes while they come, no faster than they are taken. When the connection breaks, reading goes on
    /// where it was, as long as the object is the same. May be called once.
    /// - Throws: ``S3Error``; what `take` throws. All bytes have come when it does not throw.
    package func read(_ take: (ByteBuffer) async throws -> Void) async throws {
        var request = S3Request(method: .GET, key: self.key, action: "reading")
        request.isServed = self.isServed
        var received: Int64 = 0
        var attempt = 1
        var reply = self.reply
        while true {
            let before = received
            let failure: S3Error
            do {
                var iterator = reply.body.makeAsyncIterator()
                while true {
                    let next: ByteBuffer?
                    do {
                        next = try await iterator.next()
                    } catch {
                        throw self.client.connectionError(error, request)
                    }
                    guard let piece = next else { break }
                    guard Int64(piece.readableBytes) <= self.length - received else {
                        throw self.client.invalid(request, "more than \(self.length) bytes come")
                    }
                    try await take(piece)
                    received += Int64(piece.readableBytes)
                }
                guard received < self.length else { return }
                failure = S3Error(.unreachable, "S3: reading \(self.key): \(received) of \(self.length) bytes came")
            } catch let error as S3Error where error.code == .unreachable {
                failure = error
            }
            // Whoever waits for a permit must not hold one.
            reply.giveBack()
            if received > before { attempt = 1 }
            guard attempt < self.client.configuration.maximumAttempts else { throw failure }
            try await self.client.configuration.sleep(self.client.wait(attempt))
            attempt += 1
            guard received < self.length else { return }
            reply = try await self.again(from: self.start + received, request)
        }
    }

    private func again(from position: Int64, _ request: S3Request) async throws -> S3Reply {
        var request = request
        let end = self.start + self.length
        request.headers.add(name: "Range", value: "bytes=\(position)-\(end - 1)")
        if let etag = self.object.etag { request.headers.add(name: "If-Match", value: etag) }
        let reply = try await self.client.send(request)
        guard reply.status == .partialContent,
            S3Client.total(reply.headers.first(name: "Content-Range") ?? "", from: position, count: end - position)
                == self.object.size
        else { throw self.client.invalid(request, "it is not the range that was asked for") }
        return reply
    }
}

extension String {
    /// As the text of an element.
    var escapedForXML: String {
        var text = ""
        for scalar in self.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "\r": text += "&#13;"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
