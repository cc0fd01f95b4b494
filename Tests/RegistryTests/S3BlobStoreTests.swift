// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import S3Client
import S3Testing
import Synchronization
import Testing

@testable import Registry

/// Several instances of a registry on one database and one bucket, asked without sockets.
private struct Instances {
    let bucket: MemoryBucket
    let server: BucketServer
    let clock = RegistryFixture.Clock()
    let database: any SQLDatabase
    /// Where parts go for which there is no memory.
    let directory: String

    static func run(_ body: (Instances) async throws -> Void) async throws {
        try await DatabaseDriver.current.withDatabase { database in
            try await BucketServer.run { server in
                let directory = NSTemporaryDirectory() + "s3-tests-" + UUID().uuidString
                defer { try? FileManager.default.removeItem(atPath: directory) }
                let instances = Instances(
                    bucket: server.bucket,
                    server: server,
                    database: database,
                    directory: directory
                )
                try await database.migrate(RegistrySchema.migrations)
                try await body(instances)
            }
        }
    }

    func store(redirection: S3BlobStore.Redirection? = nil, memory: Int = 64 << 20) throws -> S3BlobStore {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let clock = self.clock
        return S3BlobStore(
            client: try self.server.makeClient(),
            prefix: "p/",
            redirection: redirection,
            database: self.database,
            memory: S3PayloadMemory(bytes: memory, directory: self.directory),
            logger: logger,
            clock: { clock.now }
        )
    }

    /// Runs a body with a registry, as a process of its own would.
    func with<Result>(
        redirection: S3BlobStore.Redirection? = nil,
        memory: Int = 64 << 20,
        _ body: (Instance) async throws -> Result
    ) async throws -> Result {
        let store = try self.store(redirection: redirection, memory: memory)
        var configuration = Registry.Configuration(directory: "/nowhere")
        configuration.cacheSize = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let clock = self.clock
        let outcome: Swift.Result<Result, any Error>
        do {
            let registry = try await Registry(
                configuration: configuration,
                blobs: store,
                foreign: nil,
                database: self.database,
                logger: logger,
                clock: { clock.now }
            )
            outcome = .success(try await body(Instance(registry: registry, store: store)))
        } catch {
            outcome = .failure(error)
        }
        try await store.close()
        return try outcome.get()
    }

    /// The bucket's objects, but for what tells it from other buckets.
    var objects: [String: [UInt8]] { self.bucket.objects.filter { $0.key != "p/identity" } }

    /// The bytes of the bucket's objects.
    var contents: [Content] { self.objects.values.sorted { $0.count < $1.count }.map { Content($0) } }
}

/// Bytes as a failed test shows them.
private struct Content: Equatable, CustomStringConvertible {
    let count: Int
    let digest: Digest
    var description: String { "\(self.count) bytes, \(self.digest)" }

    init(_ bytes: [UInt8]) {
        self.count = bytes.count
        self.digest = Digest(hashing: bytes)
    }
}

private struct Instance {
    let registry: Registry
    let store: S3BlobStore

    struct Reply {
        let status: UInt
        let headers: HTTPHeaders
        let body: [UInt8]
        var location: String { self.headers.first(name: "location") ?? "" }
    }

    private final class Collector: HTTPBodyWriter {
        let bytes = GatheredBytes()
        func write(_ buffer: ByteBuffer) async throws { self.bytes.append(buffer) }
    }

    func send(
        _ method: HTTPMethod,
        _ target: String,
        _ body: [UInt8] = [],
        headers: HTTPHeaders = [:]
    ) async throws -> Reply {
        var headers = headers
        headers.replaceOrAdd(name: "content-length", value: String(body.count))
        return try await self.send(method, target, HTTPRequestBody(ByteBuffer(bytes: body)), headers)
    }

    func send(
        _ method: HTTPMethod,
        _ target: String,
        _ body: HTTPRequestBody,
        _ headers: HTTPHeaders = [:]
    ) async throws -> Reply {
        let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
        let request = HTTPRequest(
            method: method,
            path: parts[0],
            query: parts.count > 1 ? parts[1] : nil,
            headers: headers,
            body: body
        )
        let response = try await self.registry.responder.respond(to: request)
        var bytes: [UInt8] = []
        switch response.body {
        case .bytes(let buffer): bytes = Array(buffer.readableBytesView)
        case .stream(let length, let write):
            let collector = Collector()
            try await write(collector)
            bytes = collector.bytes.all
            #expect(length == Int64(bytes.count))
        default: break
        }
        return Reply(status: response.status.code, headers: response.headers, body: bytes)
    }

    func start() async throws -> String {
        let reply = try await self.send(.POST, "/v2/r/blobs/uploads/")
        #expect(reply.status == 202)
        return reply.location
    }

    /// Sends a chunk and expects it to be taken.
    func append(_ upload: String, _ bytes: some Collection<UInt8>) async throws {
        let reply = try await self.send(.PATCH, upload, Array(bytes))
        #expect(reply.status == 202)
    }

    func finish(_ upload: String, _ digest: Digest, _ bytes: [UInt8] = []) async throws -> UInt {
        try await self.send(.PUT, "\(upload)?digest=\(digest)", bytes).status
    }

    func blob(_ digest: Digest) async throws -> Content? {
        let reply = try await self.send(.GET, "/v2/r/blobs/\(digest)")
        return reply.status == 200 ? Content(reply.body) : nil
    }
}

@Suite(.onEveryDatabase)
struct S3BlobStoreTests {
    private static let partSize = 8 << 20

    @Test("a blob that fits into one object is written once, in whatever way it comes", arguments: [0, 1, 100_000])
    func small(_ size: Int) async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let bytes = Samples.bytes(size)
                let digest = Digest(hashing: bytes)
                #expect(try await instance.send(.POST, "/v2/r/blobs/uploads/?digest=\(digest)", bytes).status == 201)
                #expect(try await instance.blob(digest) == Content(bytes))
                let upload = try await instance.start()
                let other = Samples.bytes(size + 1)
                try await instance.append(upload, other)
                #expect(try await instance.finish(upload, Digest(hashing: other)) == 201)
                #expect(try await instance.blob(Digest(hashing: other)) == Content(other))
                #expect(instances.contents == [Content(bytes), Content(other)])
                #expect(instances.bucket.requests.count { $0.method == .PUT && $0.key != "p/identity" } == 2)
                #expect(instances.bucket.requests.allSatisfy { $0.query["uploads"] == nil })
            }
        }
    }

    @Test("an upload goes on at another instance, chunk by chunk, over the ends of parts")
    func switching() async throws {
        try await Instances.run { instances in
            let bytes = Samples.bytes(2 * Self.partSize + 1000)
            let digest = Digest(hashing: bytes)
            try await instances.with { one in
                try await instances.with { two in
                    let upload = try await one.start()
                    var offset = 0
                    for (count, end) in [1000, 5_000_000, Self.partSize, Self.partSize + 1, bytes.count - 1]
                        .enumerated()
                    {
                        try await (count.isMultiple(of: 2) ? two : one).append(upload, bytes[offset..<end])
                        offset = end
                        let reply = try await one.send(.GET, upload)
                        #expect(reply.headers["range"] == ["0-\(end - 1)"])
                    }
                    #expect(try await one.finish(upload, digest, [bytes[offset]]) == 201)
                    #expect(try await two.blob(digest) == Content(bytes))
                    #expect(try await two.send(.GET, upload).status == 404)
                }
            }
            // No tail and no part is left.
            #expect(instances.contents == [Content(bytes)])
            #expect(instances.bucket.uploads.isEmpty)
        }
    }

    @Test("the last bytes are copied in the storage when the end is another instance's, and other bytes are found out")
    func finishingElsewhere() async throws {
        try await Instances.run { instances in
            let bytes = Samples.bytes(Self.partSize + 1000)
            for expected in [Digest(hashing: bytes), Digest(hashing: [1])] {
                let upload = try await instances.with { one in
                    let upload = try await one.start()
                    try await one.append(upload, bytes)
                    return upload
                }
                try await instances.with { two in
                    let isRight = expected == Digest(hashing: bytes)
                    let status: UInt = isRight ? 201 : 400
                    #expect(try await two.finish(upload, expected) == status)
                    let found = try await two.blob(expected)
                    #expect(found == (isRight ? Content(bytes) : nil))
                }
            }
            #expect(instances.bucket.requests.contains { $0.headers.contains(name: "x-amz-copy-source") })
            #expect(instances.contents == [Content(bytes)])
            #expect(instances.bucket.uploads.isEmpty)
        }
    }

    @Test("what one instance has hashed and lost does not vouch for what another has written in its place")
    func hashOfLostBytes() async throws {
        try await Instances.run { instances in
            let (lost, written) = (Samples.bytes(1 << 20, seed: 1), Samples.bytes(1 << 20, seed: 2))
            try await instances.with { one in
                let upload = try await one.start()
                let body = FedBody()
                async let first = one.send(.PATCH, upload, body.body)
                await body.isRead()
                body.send(lost)
                await body.isRead()
                try await instances.with { two in
                    // The first one may still have renewed its lease.
                    repeat {
                        instances.clock.advance(by: 11)
                    } while try await two.send(.PATCH, upload, written).status == 416
                }
                body.cut()
                #expect(try await first.status != 202)
                #expect(try await one.finish(upload, Digest(hashing: lost)) != 201)
                #expect(try await one.blob(Digest(hashing: lost)) == nil)
            }
        }
    }

    @Test("while one instance writes another may not; after its lease has run out it may, and the first finds out")
    func leases() async throws {
        try await Instances.run { instances in
            let (one, two) = (try instances.store(), try instances.store())
            let key = UploadKey(
                repository: try RepositoryName("r"),
                id: try #require(UploadID("00000000-0000-0000-0000-000000000001"))
            )
            _ = try await one.createUpload(key)
            let first = try #require(try await one.openUpload(key))
            _ = try await first.write([ByteBuffer(string: "first")], at: 0, hasher: nil)
            await #expect { try await two.openUpload(key) } throws: { ($0 as? RegistryError)?.code == .rangeInvalid }
            instances.clock.advance(by: 11)
            let second = try #require(try await two.openUpload(key))
            #expect(second.initialSize == 0)
            _ = try await second.write([ByteBuffer(string: "second")], at: 0, hasher: nil)
            try await second.sync()
            await #expect { try await first.sync() } throws: { ($0 as? RegistryError)?.code == .blobUploadInvalid }
            await first.close()
            await second.close()
            #expect(try await one.uploadSize(key) == 6)
            // What the first one wrote last is nobody's: the collector finds it.
            let orphan = Content(Array("first".utf8))
            #expect(instances.contents.filter { $0 != orphan } == [Content(Array("second".utf8))])
            let found = try await one.page(after: nil, limit: 10)
            let unnamed = try await instances.database.read { connection in
                try RegistryStore.unnamed(found.map(\.location.description), on: connection)
            }
            #expect(unnamed.count == instances.contents.count - 1)
            try await one.close()
            try await two.close()
        }
    }

    @Test("a chunk that turns out wrong leaves what was there, even when parts of it were stored")
    func wrongChunk() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let bytes = Samples.bytes(Self.partSize + 5000)
                let upload = try await instance.start()
                try await instance.append(upload, bytes[..<1000])
                let wrong = [UInt8](repeating: 7, count: 2 * Self.partSize)
                let reply = try await instance.send(
                    .PATCH,
                    upload,
                    wrong,
                    headers: ["content-range": "1000-\(3 * Self.partSize)"]
                )
                #expect(reply.status == 400 || reply.status == 416)
                try await instance.append(upload, bytes[1000...])
                #expect(try await instance.finish(upload, Digest(hashing: bytes)) == 201)
                #expect(try await instance.blob(Digest(hashing: bytes)) == Content(bytes))
            }
            #expect(instances.contents == [Content(Samples.bytes(Self.partSize + 5000))])
        }
    }

    @Test("identical blobs are stored once, and the second one's bytes go")
    func deduplication() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let bytes = Samples.bytes(Self.partSize + 1)
                for _ in 0..<2 {
                    let upload = try await instance.start()
                    try await instance.append(upload, bytes)
                    #expect(try await instance.finish(upload, Digest(hashing: bytes)) == 201)
                }
                #expect(instances.contents == [Content(bytes)])
                #expect(instances.bucket.uploads.isEmpty)
            }
        }
    }

    @Test("a lost answer to the joining of parts does not lose the blob")
    func lostAnswer() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let bytes = Samples.bytes(Self.partSize + 1)
                instances.bucket.amend { request, reply in
                    if request.method == .POST, request.query["uploadId"] != nil, reply.status == .ok { reply.cut = 0 }
                }
                let upload = try await instance.start()
                try await instance.append(upload, bytes)
                #expect(try await instance.finish(upload, Digest(hashing: bytes)) == 201)
                #expect(try await instance.blob(Digest(hashing: bytes)) == Content(bytes))
            }
        }
    }

    @Test("cancelled and abandoned uploads leave nothing, nor do multipart uploads that nobody knows")
    func purge() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                for isCancelled in [true, false] {
                    let upload = try await instance.start()
                    try await instance.append(upload, Samples.bytes(Self.partSize + 1000))
                    #expect(instances.bucket.uploads.count == 1)
                    if isCancelled {
                        #expect(try await instance.send(.DELETE, upload).status == 204)
                    } else {
                        #expect(try await instance.registry.maintenance.purge(olderThan: 60) == 0)
                        instances.clock.advance(by: 3600)
                        #expect(try await instance.registry.maintenance.purge(olderThan: 60) == 1)
                    }
                    #expect(instances.objects.isEmpty)
                    #expect(instances.bucket.uploads.isEmpty)
                }
                _ = try await instance.store.client.createMultipartUpload("p/00/00000000-0000-0000-0000-000000000001")
                _ = try await instance.store.client.createMultipartUpload("elsewhere")
                _ = try await instance.registry.maintenance.purge(olderThan: 60)
                #expect(instances.bucket.uploads.values.map(\.key) == ["elsewhere"])
            }
        }
    }

    @Test("what the storage does not let go of keeps no other abandoned upload, and is told")
    func purgeGoesOn() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                for _ in 0..<3 { try await instance.append(instance.start(), Samples.bytes(1000)) }
                let stubborn = try #require(instances.objects.keys.min())
                instances.bucket.intercept { request, _ in
                    guard request.method == .DELETE, request.key == stubborn else { return nil }
                    return .error(.forbidden, "AccessDenied")
                }
                let unknown = "p/00/00000000-0000-0000-0000-000000000001"
                _ = try await instance.store.client.createMultipartUpload(unknown)
                instances.clock.advance(by: 3600)
                await #expect {
                    try await instance.registry.maintenance.purge(olderThan: 60)
                } throws: { error in
                    (error as? S3Error)?.message.contains(stubborn) == true
                }
                #expect(Array(instances.objects.keys) == [stubborn])
                #expect(instances.bucket.uploads.isEmpty)
                // What stays is nobody's by now: the collector finds it.
                instances.bucket.intercept { _, _ in nil }
                let location = try BlobLocation(String(stubborn.dropFirst(2)))
                let unnamed = try await instances.database.read {
                    try RegistryStore.unnamed([location.description], on: $0)
                }
                #expect(unnamed == [location.description])
            }
        }
    }

    @Test("parts for which there is no memory go through files, and are what came")
    func spilled() async throws {
        try await Instances.run { instances in
            try await instances.with(memory: 1 << 20) { instance in
                let bytes = Samples.bytes(2 * Self.partSize + 12_345)
                let upload = try await instance.start()
                try await instance.append(upload, bytes[..<10_000_000])
                #expect(
                    try await instance.finish(upload, Digest(hashing: bytes), Array(bytes[10_000_000...])) == 201
                )
                #expect(instances.contents == [Content(bytes)])
                #expect(try FileManager.default.contentsOfDirectory(atPath: instances.directory) == [])
            }
        }
    }

    @Test("bytes that a client may be on its way to go when the URL that it was given has run out, and not before")
    func redirected() async throws {
        try await Instances.run { instances in
            let redirection = S3BlobStore.Redirection(lifetime: 600)
            try await instances.with(redirection: redirection) { instance in
                let bytes = Samples.bytes(1000)
                let upload = try await instance.start()
                #expect(try await instance.finish(upload, Digest(hashing: bytes), bytes) == 201)
                instances.clock.advance(by: 2 * 86_400)
                let collector = instance.registry.collector
                #expect(try await collector.run(.collect, walksStorage: false)?.blobs == 1)
                for seconds in [0, 300, 300] {
                    instances.clock.advance(by: TimeInterval(seconds))
                    _ = try await collector.run(.collect, walksStorage: true)
                    #expect(instances.contents == [Content(bytes)])
                }
                instances.clock.advance(by: 61)
                _ = try await collector.run(.collect, walksStorage: false)
                #expect(instances.contents == [])
            }
        }
    }

    @Test("a bucket that belongs to another database is refused, whatever is asked of it")
    func otherBucket() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let upload = try await instance.start()
                #expect(try await instance.finish(upload, Digest(hashing: [1]), [1]) == 201)
                let name = instances.bucket.objects["p/identity"]
                instances.bucket.set("p/identity", Array("another".utf8))
                await #expect(throws: StorageIdentityError.self) {
                    try await instance.registry.collector.run(.collect, walksStorage: true)
                }
                instances.bucket.set("p/identity", name)
                #expect(try await instance.registry.collector.run(.collect, walksStorage: true) != nil)
            }
        }
    }

    @Test("a page lists what is there in order, and nobody else's; what belongs to uploads has a name")
    func pages() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let upload = try await instance.start()
                try await instance.append(upload, Samples.bytes(1000))
                let forgotten = "p/00/00000000-0000-0000-0000-000000000001"
                // Somebody else's are never looked at, even under the same prefix.
                instances.bucket.set("p/00/theirs", [1, 2, 3])
                instances.bucket.set(forgotten, [1, 2], at: Date(timeIntervalSince1970: 1_700_000_000))
                instances.bucket.set("other/00/forgotten", [1])
                let blob = Samples.bytes(2000)
                _ = try await instance.send(.POST, "/v2/r/blobs/uploads/?digest=\(Digest(hashing: blob))", blob)
                var found: [StoredBytes] = []
                while let next = try await instance.store.page(after: found.last?.location, limit: 1).first {
                    found.append(next)
                }
                let unnamed = try await instances.database.read { [found] in
                    try RegistryStore.unnamed(found.map(\.location.description), on: $0)
                }
                #expect(unnamed == [String(forgotten.dropFirst(2))])
                #expect(found.map(\.size).sorted() == [2, 1000, 2000])
                #expect(found.first?.placedAt == 1_700_000_000)
                #expect(try await instance.store.page(after: nil, limit: 10) == found)
                try await instance.store.remove(at: try #require(found.first).location)
                #expect(instances.bucket.objects[forgotten] == nil)
            }
        }
    }

    @Test("bytes that the storage lost, or has too few of, are no blob")
    func lostBytes() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let bytes = Samples.bytes(1000)
                let digest = Digest(hashing: bytes)
                _ = try await instance.send(.POST, "/v2/r/blobs/uploads/?digest=\(digest)", bytes)
                let key = try #require(instances.objects.keys.first)
                for left in [nil, Array(bytes[..<999])] {
                    instances.bucket.set(key, left)
                    let reply = try await instance.send(.GET, "/v2/r/blobs/\(digest)")
                    #expect(reply.status == 404 && String(decoding: reply.body, as: UTF8.self).contains("BLOB_UNKNOWN"))
                }
                #expect(try await instance.send(.POST, "/v2/r/blobs/uploads/?digest=\(digest)", bytes).status == 201)
                #expect(try await instance.blob(digest) == Content(bytes))
            }
        }
    }

    @Test("a storage that is down is no lost blob: clients are told to come back")
    func outage() async throws {
        try await Instances.run { instances in
            try await instances.with { instance in
                let bytes = Samples.bytes(1000)
                let digest = Digest(hashing: bytes)
                _ = try await instance.send(.POST, "/v2/r/blobs/uploads/?digest=\(digest)", bytes)
                instances.bucket.intercept { _, _ in .error(.serviceUnavailable, "SlowDown") }
                #expect(try await instance.send(.GET, "/v2/r/blobs/\(digest)").status == 503)
                instances.bucket.intercept { _, _ in nil }
                #expect(try await instance.blob(digest) == Content(bytes))
            }
        }
    }

    @Test("clients are redirected to the storage for GET, and nobody may keep where")
    func redirection() async throws {
        try await Instances.run { instances in
            let bytes = Samples.bytes(1000)
            let digest = Digest(hashing: bytes)
            try await instances.with(redirection: S3BlobStore.Redirection(lifetime: 60)) { instance in
                _ = try await instance.send(.POST, "/v2/r/blobs/uploads/?digest=\(digest)", bytes)
                let reply = try await instance.send(.GET, "/v2/r/blobs/\(digest)")
                #expect(reply.status == 307)
                #expect(reply.location.hasPrefix("http://127.0.0.1:\(instances.server.port)/bucket/p/"))
                #expect(reply.location.contains("X-Amz-Expires=60"))
                #expect(reply.headers["cache-control"] == ["no-store"])
                #expect(try await instance.send(.HEAD, "/v2/r/blobs/\(digest)").status == 200)
            }
        }
    }

    @Test("10,000 parts are enough for several hundred GiB, and follow one another")
    func plan() {
        var offset: Int64 = 0
        for number in 1...9999 {
            #expect(S3PartPlan.offset(ofPart: number) == offset)
            offset += Int64(S3PartPlan.size(ofPart: number) ?? 0)
        }
        #expect(offset == S3PartPlan.maximumSize)
        #expect(S3PartPlan.maximumSize > 400 << 30)
        #expect(S3PartPlan.size(ofPart: 0) == nil && S3PartPlan.size(ofPart: 10_000) == nil)
    }
}

/// Bytes that several tasks may add to.
private final class GatheredBytes: Sendable {
    private let bytes = Mutex<[UInt8]>([])
    var all: [UInt8] { self.bytes.withLock { $0 } }
    func append(_ buffer: ByteBuffer) { self.bytes.withLock { $0 += buffer.readableBytesView } }
}
