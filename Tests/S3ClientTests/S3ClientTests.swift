// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPAccess
import NIOCore
import NIOHTTP1
import S3Testing
import Synchronization
import Testing

@testable import S3Client

struct S3ClientTests {
    private func payload(
        _ bytes: [UInt8],
        _ checksum: S3Configuration.Checksum = .md5,
        memory: S3PayloadMemory? = nil
    ) throws -> S3Payload {
        var payload = S3Payload(checksum, memory: memory)
        for start in stride(from: 0, to: bytes.count, by: 100_000) {
            try bytes[start..<min(start + 100_000, bytes.count)].withUnsafeBytes { try payload.append(copying: $0) }
        }
        return payload
    }

    private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    private func isRead(_ body: S3ObjectBody?, as bytes: [UInt8]) async throws -> Bool {
        try await self.read(body) == bytes
    }

    private func read(_ body: S3ObjectBody?) async throws -> [UInt8]? {
        guard let body else { return nil }
        var bytes: [UInt8] = []
        try await body.read { bytes += $0.readableBytesView }
        return bytes
    }

    @Test(
        "objects are written, looked at, read whole and in part, and removed",
        arguments: [S3Configuration.Checksum.md5, .sha256]
    )
    func objects(_ checksum: S3Configuration.Checksum) async throws {
        let bytes = self.bytes(700_001)
        try await BucketServer.withClient(.set(\.checksum, checksum)) { client, bucket in
            try await client.putObject("dir/a b+ü", self.payload(bytes, checksum))
            #expect((bucket.objects["dir/a b+ü"] == bytes) == true)
            #expect(try await client.headObject("dir/a b+ü")?.size == 700_001)
            #expect(try await self.isRead(client.getObject("dir/a b+ü"), as: bytes))
            #expect(
                try await self.isRead(client.getObject("dir/a b+ü", range: 5..<600_000), as: Array(bytes[5..<600_000]))
            )
            await #expect { try await client.getObject("dir/a b+ü", range: 700_001..<700_002) } throws: {
                ($0 as? S3Error)?.code == .invalidRange
            }
            try await client.deleteObject("dir/a b+ü")
            try await client.deleteObject("dir/a b+ü")
            #expect(try await client.headObject("dir/a b+ü") == nil)
            #expect(try await client.getObject("dir/a b+ü") == nil)
            let put = try #require(bucket.requests.first)
            #expect(put.headers.first(name: "Content-MD5") == nil ? checksum == .sha256 : checksum == .md5)
            #expect(put.headers["Transfer-Encoding"].isEmpty)
            #expect(put.headers["Content-Length"] == ["700001"])
        }
    }

    @Test("an empty object is an object")
    func emptyObject() async throws {
        try await BucketServer.withClient { client, bucket in
            try await client.putObject("empty", S3Payload(.md5))
            #expect(bucket.objects["empty"] == [])
            #expect(try await self.read(client.getObject("empty")) == [])
        }
    }

    @Test("parts, one of them copied, become an object; another upload is found and dropped")
    func multipart() async throws {
        let (first, second) = (self.bytes(5 << 20), self.bytes(1000))
        try await BucketServer.withClient { client, bucket in
            let id = try await client.createMultipartUpload("whole")
            try await client.putObject("tail", self.payload(second))
            let parts = [
                try await client.uploadPartCopy("whole", upload: id, number: 2, from: "tail"),
                try await client.uploadPart("whole", upload: id, number: 1, self.payload(first)),
            ]
            try await client.completeMultipartUpload("whole", upload: id, parts: parts)
            #expect((bucket.objects["whole"] == first + second) == true)
            let other = try await client.createMultipartUpload("other")
            let open = try await client.listUploads(prefix: "o").uploads
            #expect(open.map(\.key) == ["other"] && open.map(\.id) == [other])
            try await client.abortMultipartUpload("other", upload: other)
            try await client.abortMultipartUpload("other", upload: other)
            #expect(bucket.uploads.isEmpty)
            await #expect { try await client.completeMultipartUpload("other", upload: other, parts: parts) } throws: {
                ($0 as? S3Error)?.code == .noSuchUpload
            }
        }
    }

    @Test("an error that comes with status 200 is an error")
    func lateError() async throws {
        try await BucketServer.withClient { client, bucket in
            bucket.intercept { request, _ in
                request.method == .POST ? .error(.ok, "InternalError") : nil
            }
            await #expect { try await client.completeMultipartUpload("a", upload: "b", parts: []) } throws: {
                ($0 as? S3Error)?.code == .unavailable
            }
            #expect(bucket.requests.count == client.configuration.maximumAttempts)
        }
    }

    @Test("parts are joined though the reply's root element has another name, but not any")
    func otherRoot() async throws {
        try await BucketServer.withClient { client, bucket in
            for (name, isTaken) in [("CompleteMultipartUploadResponse", true), ("html", false)] {
                bucket.intercept { request, _ in
                    guard request.method == .POST else { return nil }
                    return BucketReply(.ok, body: Array("<\(name)/>".utf8))
                }
                let result: S3Error? = await {
                    do {
                        try await client.completeMultipartUpload("a", upload: "b", parts: [])
                        return nil
                    } catch { return error as? S3Error }
                }()
                #expect(result?.code == (isTaken ? nil : .invalidReply))
            }
        }
    }

    @Test("bytes for which there is no memory are kept in a file, sent as often as they must, and leave nothing")
    func spilled() async throws {
        let directory = NSTemporaryDirectory() + "payload-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // What the small one takes: memory comes in powers of two.
        let memory = S3PayloadMemory(bytes: (1 << 20) + (1 << 17), directory: directory)
        let bytes = self.bytes(3_000_000)
        try await BucketServer.withClient { client, bucket in
            bucket.intercept { request, number in
                request.method == .PUT && number == 1 ? .error(.serviceUnavailable, "SlowDown") : nil
            }
            let payload = try self.payload(bytes, memory: memory)
            #expect(payload.isSpilled)
            try await client.putObject("a", payload)
            #expect(bucket.objects["a"] == bytes)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
        // All of it was given back: a small one has room, and keeps it from others as long as it is there.
        let small = try self.payload(self.bytes(1_000_000), memory: memory)
        #expect(!small.isSpilled)
        let other = try self.payload([1], memory: memory)
        #expect(other.isSpilled)
        #expect(small.count == 1_000_000)
    }

    @Test("a list that never comes to its end is refused")
    func endlessLists() async throws {
        try await BucketServer.withClient { client, bucket in
            @Sendable func reply(_ text: String) -> BucketReply { BucketReply(.ok, body: Array(text.utf8)) }
            let object = { @Sendable (key: String) in
                "<Contents><Key>\(key)</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            }
            bucket.intercept { request, _ in
                if request.query["uploads"] != nil {
                    return reply(
                        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>"
                            + "<NextUploadIdMarker>1</NextUploadIdMarker></ListMultipartUploadsResult>"
                    )
                }
                return reply(
                    "<ListBucketResult>\(object("b"))<IsTruncated>true</IsTruncated>"
                        + "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
                )
            }
            let page = try await client.listObjects(prefix: "")
            #expect(page.next == "t")
            await #expect(throws: S3Error.self) { try await client.listObjects(prefix: "", from: page.next) }
            await #expect(throws: S3Error.self) { try await client.listObjects(prefix: "", after: "b") }
            await #expect(throws: S3Error.self) { try await client.listObjects(prefix: "", after: "c") }
            let uploads = try await client.listUploads(prefix: "")
            await #expect(throws: S3Error.self) { try await client.listUploads(prefix: "", from: uploads.next) }
            bucket.intercept { _, _ in
                reply(
                    "<ListBucketResult>\(object("b"))\(object("a"))<IsTruncated>false</IsTruncated></ListBucketResult>"
                )
            }
            await #expect(throws: S3Error.self) { try await client.listObjects(prefix: "") }
        }
    }

    @Test("a list goes on over its pages")
    func pages() async throws {
        try await BucketServer.withClient { client, bucket in
            for number in 0..<25 { bucket.set("p/\(100 + number) ü", [UInt8](repeating: 0, count: number)) }
            bucket.set("q", [])
            var found: [S3ListedObject] = []
            var next: String?
            repeat {
                let page = try await client.listObjects(prefix: "p/", from: next, limit: 10)
                found += page.objects
                next = page.next
            } while next != nil
            #expect(found.map(\.key) == (0..<25).map { "p/\(100 + $0) ü" })
            #expect(found.map(\.size) == (0..<25).map(Int64.init))
            #expect(try await client.listObjects(prefix: "p/", after: "p/123 ü").objects.map(\.key) == ["p/124 ü"])
            try await client.deleteObjects(found.map(\.key))
            #expect(bucket.objects.keys.sorted() == ["q"])
        }
    }

    @Test(
        "what is temporary is tried again: calls to slow down, errors of the storage, cut connections",
        arguments: [
            BucketReply.error(.serviceUnavailable, "SlowDown"), .error(.internalServerError, "InternalError"),
            BucketReply(.badGateway, body: Array("<html>".utf8)), BucketReply(.ok, cut: 0),
            .error(.badRequest, "BadDigest"),
        ]
    )
    func repetition(_ fault: BucketReply) async throws {
        let waits = Mutex<[Duration]>([])
        let bytes = self.bytes(300_000)
        try await BucketServer.withClient(
            .set(\.sleep, { wait in waits.withLock { $0.append(wait) } }),
            .set(\.jitter, { $0 })
        ) { client, bucket in
            bucket.intercept { _, number in number <= 3 ? fault : nil }
            try await client.putObject("a", self.payload(bytes))
            #expect((bucket.objects["a"] == bytes) == true)
            #expect(bucket.requests.count == 4)
            let found = waits.withLock { $0 }
            #expect(found == [.milliseconds(100), .milliseconds(200), .milliseconds(400)])
        }
    }

    @Test("what is not temporary is told at once, with bucket, key, code and advice")
    func refusal() async throws {
        try await BucketServer.withClient { client, bucket in
            bucket.intercept { _, _ in .error(.forbidden, "SignatureDoesNotMatch") }
            await #expect { try await client.putObject("the/key", self.payload([1])) } throws: { error in
                let error = error as? S3Error
                return error?.code == .accessDenied
                    && error?.message == "S3: writing bucket/the/key: SignatureDoesNotMatch (403): about "
                        + "SignatureDoesNotMatch; check access key, secret key, and what the storage's policy allows them"
            }
            #expect(bucket.requests.count == 1)
            bucket.intercept { _, _ in .error(.notFound, "NoSuchBucket") }
            await #expect { try await client.listObjects(prefix: "") } throws: {
                ($0 as? S3Error)?.code == .noSuchBucket
            }
        }
    }

    @Test("reading goes on where a connection broke, and never with another object")
    func resumption() async throws {
        let bytes = self.bytes(1_000_000)
        try await BucketServer.withClient { client, bucket in
            bucket.set("a", bytes)
            bucket.amend { request, reply in
                if request.method == .GET, reply.body.count > 500_000 { reply.cut = 200_000 }
            }
            #expect(try await self.isRead(client.getObject("a"), as: bytes))
            let ranges = bucket.requests.dropFirst().map { $0.headers["Range"] }
            // How much of what was sent before a cut arrives is the system's to say.
            #expect(ranges.count >= 2 && ranges.allSatisfy { $0.first?.hasSuffix("-999999") == true })
            let body = try await client.getObject("a", range: 10..<900_000)
            bucket.set("a", bytes.reversed())
            await #expect { try await self.read(body) } throws: { ($0 as? S3Error)?.code == .preconditionFailed }
        }
    }

    @Test("a storage that never brings anything is given up")
    func givesUp() async throws {
        try await BucketServer.withClient { client, bucket in
            bucket.set("a", self.bytes(1000))
            bucket.amend { request, reply in reply.cut = 0 }
            await #expect { try await client.headObject("a") } throws: { ($0 as? S3Error)?.code == .unreachable }
            #expect(bucket.requests.count == client.configuration.maximumAttempts)
        }
    }

    @Test("a reply that is too long or none of S3's is refused")
    func strangers() async throws {
        try await BucketServer.withClient { client, bucket in
            for body in [Array("<html></html>".utf8), [], [UInt8](repeating: 0x20, count: (8 << 20) + 1)] {
                bucket.intercept { _, _ in BucketReply(.ok, body: body) }
                await #expect { try await client.listObjects(prefix: "") } throws: {
                    ($0 as? S3Error)?.code == .invalidReply
                }
            }
        }
    }

    @Test("no more requests run than may")
    func limit() async throws {
        try await BucketServer.withClient(.set(\.maximumRequests, 2)) { client, bucket in
            for number in 0..<20 { bucket.set("\(number)", self.bytes(100_000)) }
            let held = try await client.getObject("0")
            try await withThrowingTaskGroup(of: Int?.self) { group in
                for number in 1..<20 { group.addTask { try await self.read(client.getObject("\(number)"))?.count } }
                for try await count in group { #expect(count == 100_000) }
            }
            #expect(try await self.read(held)?.count == 100_000)
        }
    }

    @Test("waiting for the limit ends with its task")
    func cancellation() async throws {
        let gate = RequestGate(limit: 1)
        let permit = try await gate.enter(orAfter: { try await Task.sleep(for: .seconds(600)) })
        let waiting = Task { try await gate.enter(orAfter: { try await Task.sleep(for: .seconds(600)) }) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try await gate.enter(orAfter: {}) == nil)
        withExtendedLifetime(permit) {}
    }

    @Test("virtual-host style names the bucket in the host")
    func virtualHost() throws {
        var configuration = S3Configuration(bucket: "blobs", region: "eu-1")
        #expect(
            try S3Address(configuration).url("a", query: "b=").description == "https://blobs.s3.eu-1.amazonaws.com/a?b="
        )
        configuration.endpoint = HTTPURL("http://store.example:9000/s3/")
        #expect(
            try S3Address(configuration).url("a/b c", query: "").description
                == "http://store.example:9000/s3/blobs/a/b%20c"
        )
        configuration.addressing = .virtualHost
        #expect(try S3Address(configuration).url(nil, query: "").description == "http://blobs.store.example:9000/s3")
    }

    @Test("names that would lead elsewhere are refused", arguments: ["", "a/b", "../a", "a?b", "a b", "ä"])
    func badBucket(_ name: String) {
        #expect { try S3Address(S3Configuration(bucket: name)) } throws: { ($0 as? S3Error)?.code == .configuration }
    }

    @Test("a pre-signed URL is one that a stranger can read by, at the endpoint that strangers know")
    func presigned() async throws {
        try await BucketServer.withClient { client, _ in
            let url = try await client.presignedURL("a b", expiresIn: 60, endpoint: HTTPURL("https://public.example"))
            #expect(url.description.hasPrefix("https://public.example/bucket/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256"))
        }
    }
}
