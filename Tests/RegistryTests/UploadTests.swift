// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import Registry

struct UploadTests {
    private static let content = Samples.bytes(3_000_000)
    private static let digest = Digest(hashing: content)

    /// The blob is there, whole, and nothing is left of its upload.
    private func expectStored(_ fixture: RegistryFixture, in repository: String = "a/b") async throws {
        let head = try await fixture.send(.HEAD, "/v2/\(repository)/blobs/\(Self.digest)")
        #expect(head.status == 200)
        #expect(head.absentLength == 3_000_000)
        let reply = try await fixture.send(.GET, "/v2/\(repository)/blobs/\(Self.digest)")
        #expect(reply.status == 200)
        #expect(Array(reply.body) == Self.content)
        #expect(try fixture.files("uploads") == [])
    }

    private func expectCreated(_ reply: RegistryFixture.Reply, in repository: String = "a/b") {
        #expect(reply.status == 201)
        #expect(reply.location == "/v2/\(repository)/blobs/\(Self.digest)")
        #expect(reply["docker-content-digest"] == Self.digest.description)
    }

    @Test("a blob in one PUT")
    func monolithic() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            try await self.expectCreated(fixture.send(.PUT, location + "?digest=\(Self.digest)", Self.content))
            try await self.expectStored(fixture)
            let again = try await fixture.send(.PUT, location + "?digest=\(Self.digest)", Self.content)
            #expect(again.status == 404)
            #expect(again.codes == ["BLOB_UPLOAD_UNKNOWN"])
        }
    }

    @Test("a blob in one POST")
    func singlePost() async throws {
        try await RegistryFixture.run { fixture in
            let target = "/v2/a/b/blobs/uploads/?digest=\(Self.digest)"
            try await self.expectCreated(fixture.send(.POST, target, Self.content))
            try await self.expectStored(fixture)
            let wrong = try await fixture.send(.POST, target, [1, 2, 3])
            #expect(wrong.status == 400)
            #expect(wrong.codes == ["DIGEST_INVALID"])
            #expect(try fixture.files("uploads") == [])
            let announced = try await fixture.send(.POST, target)
            #expect(announced.status == 202)
        }
    }

    @Test("a blob in one streamed PATCH of unknown length and an empty PUT, as dockerd sends it")
    func streamed() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let pieces = stride(from: 0, to: Self.content.count, by: 70_001).map {
                Array(Self.content[$0..<min($0 + 70_001, Self.content.count)])
            }
            let patch = try await fixture.send(.PATCH, location, .pieces(pieces))
            #expect(patch.status == 202)
            #expect(patch["range"] == "0-2999999")
            try await self.expectCreated(fixture.send(.PUT, patch.location + "?digest=\(Self.digest)"))
            try await self.expectStored(fixture)
        }
    }

    @Test("a blob in chunks, the last one on the PUT, whatever Content-Type they have")
    func chunked() async throws {
        try await RegistryFixture.run { fixture in
            var location = try await fixture.startUpload(in: "a/b")
            for first in [0, 1_000_000] {
                let reply = try await fixture.send(
                    .PATCH,
                    location,
                    Array(Self.content[first..<first + 1_000_000]),
                    headers: [("content-range", "\(first)-\(first + 999_999)"), ("content-type", "text/plain")]
                )
                #expect(reply.status == 202)
                #expect(reply["range"] == "0-\(first + 999_999)")
                location = reply.location
            }
            let reply = try await fixture.send(
                .PUT,
                location + "?digest=\(Self.digest)",
                Array(Self.content[2_000_000...]),
                headers: [("content-range", "2000000-2999999")]
            )
            self.expectCreated(reply)
            try await self.expectStored(fixture)
        }
    }

    @Test("a chunk at another place than the end is refused with where the end is, and changes nothing")
    func outOfOrder() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            try await fixture.send(.PATCH, location, [1, 2, 3], headers: [("content-range", "0-2")])
            for (method, target, range) in [
                (HTTPMethod.PATCH, location, "2-3"), (.PATCH, location, "4-5"), (.PATCH, location, "0-1"),
                (.PUT, location + "?digest=\(Self.digest)", "9-10"), (.PATCH, location, "rubbish"),
            ] {
                let reply = try await fixture.send(method, target, [9, 9], headers: [("content-range", range)])
                #expect(reply.status == 416)
                #expect(reply.codes == ["RANGE_INVALID"])
                #expect(reply["range"] == "0-2")
                #expect(reply.location == location)
            }
            let digest = Digest(hashing: [1, 2, 3, 4])
            let reply = try await fixture.send(
                .PUT,
                location + "?digest=\(digest)",
                [4],
                headers: [("content-range", "3-3")]
            )
            #expect(reply.status == 201)
        }
    }

    @Test("a chunk whose length is not its Content-Range is refused, and changes nothing")
    func wrongLength() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let declared = try await fixture.send(.PATCH, location, [1, 2, 3], headers: [("content-range", "0-5")])
            #expect(declared.status == 400)
            #expect(declared.codes == ["SIZE_INVALID"])
            for pieces in [[[1, 2], [3, 4]], [[1]]] as [[[UInt8]]] {
                let reply = try await fixture.send(.PATCH, location, .pieces(pieces), ["content-range": "0-2"])
                #expect(reply.status == 400)
                #expect(reply.codes == ["SIZE_INVALID"])
            }
            let reply = try await fixture.send(.PATCH, location, [5, 6], headers: [("content-range", "0-1")])
            #expect(reply["range"] == "0-1")
            let put = try await fixture.send(.PUT, location + "?digest=\(Digest(hashing: [5, 6] as [UInt8]))")
            #expect(put.status == 201)
        }
    }

    @Test("an upload cut by the connection keeps what came, tells how much, and goes on", arguments: [false, true])
    func resume(restarts: Bool) async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let cut = HTTPRequestBody.pieces(
                [Array(Self.content[..<1_500_000]), Array(Self.content[1_500_000..<1_700_000])],
                isCut: true
            )
            #expect(try await fixture.send(.PATCH, location, cut).status == 400)
            if restarts { try await fixture.restart() }
            for method in [HTTPMethod.GET, .HEAD] {
                let status = try await fixture.send(method, location)
                #expect(status.status == 204)
                #expect(status["range"] == "0-1699999")
                #expect(status.location == location)
                #expect(status["docker-upload-uuid"].map { location.hasSuffix($0) } == true)
            }
            let rest = Array(Self.content[1_700_000...])
            let patch = try await fixture.send(.PATCH, location, rest, headers: [("content-range", "1700000-2999999")])
            #expect(patch.status == 202)
            if restarts { try await fixture.restart() }
            try await self.expectCreated(fixture.send(.PUT, location + "?digest=\(Self.digest)"))
            try await self.expectStored(fixture)
        }
    }

    @Test("a PUT cut by the connection can be sent again from where it was cut")
    func resumePut() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let target = location + "?digest=\(Self.digest)"
            let cut = HTTPRequestBody.pieces([Array(Self.content[..<1_000])], isCut: true)
            #expect(try await fixture.send(.PUT, target, cut).status == 400)
            #expect(try await fixture.send(.HEAD, "/v2/a/b/blobs/\(Self.digest)").status == 404)
            try await self.expectCreated(fixture.send(.PUT, target, Array(Self.content[1_000...])))
            try await self.expectStored(fixture)
        }
    }

    @Test("content that is not what its digest says is refused, ends the session and leaves nothing")
    func mismatch() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let reply = try await fixture.send(.PUT, location + "?digest=\(Self.digest)", [1, 2, 3])
            #expect(reply.status == 400)
            #expect(reply.codes == ["DIGEST_INVALID"])
            #expect(try await fixture.send(.GET, location).status == 404)
            #expect(try await fixture.send(.HEAD, "/v2/a/b/blobs/\(Self.digest)").status == 404)
            #expect(try fixture.files("uploads") == [])
            #expect(try fixture.files("blobs") == [])
        }
    }

    @Test(
        "a PUT without a good digest is refused, and the session goes on",
        arguments: ["", "?digest=", "?digest=sha256:abc", "?digest=md5:00", "?digest=%zz", "?other=1"]
    )
    func badDigest(query: String) async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let reply = try await fixture.send(.PUT, location + query, [1])
            #expect(reply.status == 400)
            #expect(reply.codes == ["DIGEST_INVALID"])
            let good = try await fixture.send(.PUT, location + "?digest=\(Digest(hashing: [1] as [UInt8]))", [1])
            #expect(good.status == 201)
        }
    }

    @Test("the empty blob can be pushed by every way")
    func empty() async throws {
        try await RegistryFixture.run { fixture in
            let digest = Digest(hashing: [])
            let first = try await fixture.send(.POST, "/v2/a/blobs/uploads/?digest=\(digest)")
            #expect(first.status == 201)
            let location = try await fixture.startUpload(in: "b")
            let patch = try await fixture.send(.PATCH, location)
            #expect(patch["range"] == "0-0")
            #expect(try await fixture.send(.PUT, location + "?digest=\(digest)").status == 201)
            let reply = try await fixture.send(.GET, "/v2/b/blobs/\(digest)")
            #expect(reply.status == 200)
            #expect(reply.body.isEmpty)
        }
    }

    @Test("sha512 by every way: known from the start, announced, or only at the end")
    func sha512() async throws {
        try await RegistryFixture.run { fixture in
            let content = Samples.bytes(10_000, seed: 5)
            let digest = Digest(hashing: content, algorithm: .sha512)
            try await fixture.pushBlob(content, to: "one", algorithm: .sha512)
            for (repository, query) in [("two", "?digest-algorithm=sha512"), ("three", "")] {
                let location = try await fixture.startUpload(in: repository, query: query)
                try await fixture.send(.PATCH, location, content)
                let reply = try await fixture.send(.PUT, location + "?digest=\(digest)")
                #expect(reply.status == 201)
                #expect(reply["docker-content-digest"] == digest.description)
            }
            for repository in ["one", "two", "three"] {
                let reply = try await fixture.send(.GET, "/v2/\(repository)/blobs/\(digest)")
                #expect(Array(reply.body) == content)
            }
            let unknown = try await fixture.send(.POST, "/v2/a/blobs/uploads/?digest-algorithm=md5")
            #expect(unknown.status == 400)
        }
    }

    @Test("an upload can be cancelled, once; its id is worth nothing in another repository")
    func cancel() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a/b")
            let elsewhere = location.replacingOccurrences(of: "/v2/a/b/", with: "/v2/other/")
            for method in [HTTPMethod.GET, .PATCH, .DELETE] {
                let reply = try await fixture.send(method, elsewhere)
                #expect(reply.status == 404)
            }
            #expect(try await fixture.send(.DELETE, location).status == 204)
            #expect(try fixture.files("uploads") == [])
            for method in [HTTPMethod.GET, .PATCH, .DELETE] {
                let reply = try await fixture.send(method, location)
                #expect(reply.status == 404)
            }
            let put = try await fixture.send(.PUT, location + "?digest=\(Self.digest)")
            #expect(put.codes == ["BLOB_UPLOAD_UNKNOWN"])
        }
    }

    @Test("uploads that nobody goes on with are purged, others stay")
    func purge() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a")
            try await fixture.send(.PATCH, location, [1, 2])
            // The files have the system's time, so the registry's clock is set by it.
            fixture.clock.advance(by: Date().timeIntervalSince(fixture.clock.now))
            #expect(try await fixture.registry.maintenance.purge(olderThan: 60) == 0)
            #expect(try await fixture.send(.GET, location).status == 204)
            fixture.clock.advance(by: 120)
            #expect(try await fixture.registry.maintenance.purge(olderThan: 60) == 1)
            #expect(try await fixture.send(.GET, location).status == 404)
        }
    }

    @Test("a blob larger than allowed is refused, known beforehand or not")
    func tooLarge() async throws {
        try await RegistryFixture.run(.set(\.maximumBlobSize, 1_000)) { fixture in
            let location = try await fixture.startUpload(in: "a")
            let content = Samples.bytes(1_001)
            for reply in try await [
                fixture.send(.PATCH, location, content), fixture.send(.PATCH, location, .pieces([content])),
                fixture.send(.PATCH, location, [], headers: [("content-length", "9223372036854775807")]),
            ] {
                #expect(reply.status == 413)
                #expect(reply.codes == ["SIZE_INVALID"])
            }
            try await fixture.send(.PATCH, location, Array(content[..<1_000]))
            let more = try await fixture.send(
                .PATCH,
                location,
                [],
                headers: [("content-length", "9223372036854775807")]
            )
            #expect(more.status == 413)
            let put = try await fixture.send(.PUT, location + "?digest=\(Digest(hashing: content[..<1_000]))")
            #expect(put.status == 201)
        }
    }

    @Test("A client that sends a byte at a time does not make the upload take more memory than its bytes")
    func smallPieces() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let content = Samples.bytes(400_000)
            let (stream, feed) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
            for start in stride(from: 0, to: content.count, by: 20) {
                // As read from a socket: a few bytes in memory for many.
                var buffer = ByteBufferAllocator().buffer(capacity: 1024)
                buffer.writeBytes(content[start..<start + 20])
                feed.yield(buffer)
            }
            feed.finish()
            let digest = Digest(hashing: content)
            let reply = try await fixture.send(
                .POST,
                "/v2/a/blobs/uploads/?digest=\(digest)",
                HTTPRequestBody(streaming: stream)
            )
            #expect(reply.status == 201)
            #expect(injector.mostMemory.withLock { $0 } < 2 * content.count)
            #expect(Array(try await fixture.send(.GET, "/v2/a/blobs/\(digest)").body) == content)
        }
    }
}
