// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import DurableFiles
import Foundation
import HTTPService
import NIOHTTP1
import OCI
import Testing

@testable import Registry

@Suite(.onEveryDatabase)
struct BlobTests {
    private static let content = Samples.bytes(1_000)
    private static let digest = Digest(hashing: content)
    private static let blob = "/v2/a/blobs/\(digest)"

    @Test("GET and HEAD have the same fields and the true length, the second time too")
    func getAndHead() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            for _ in 0..<2 {
                let get = try await fixture.send(.GET, Self.blob)
                let head = try await fixture.send(.HEAD, Self.blob)
                #expect(get.status == 200)
                #expect(Array(get.body) == Self.content)
                #expect(head.status == 200)
                #expect(head.absentLength == 1_000)
                for reply in [get, head] {
                    #expect(reply["docker-content-digest"] == Self.digest.description)
                    #expect(reply["etag"] == "\"\(Self.digest)\"")
                    #expect(reply["accept-ranges"] == "bytes")
                    #expect(reply["content-type"] == "application/octet-stream")
                }
            }
        }
    }

    @Test(
        "a part of a blob, or 416 with its size",
        arguments: [
            ("bytes=0-0", 206, 0..<1), ("bytes=-10", 206, 990..<1_000), ("bytes=100-", 206, 100..<1_000),
            ("bytes=500-0", 416, 0..<0), ("bytes=5000-10000", 416, 0..<0), ("bytes=0-1,1-1999", 200, 0..<1_000),
            ("bytes=2000-,5-6", 206, 5..<7),
        ]
    )
    func ranges(_ field: String, _ status: Int, _ range: Range<Int>) async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let reply = try await fixture.send(.GET, Self.blob, headers: [("range", field)])
            #expect(reply.status == status)
            switch status {
            case 206:
                #expect(Array(reply.body) == Array(Self.content[range]))
                #expect(reply["content-range"] == "bytes \(range.lowerBound)-\(range.upperBound - 1)/1000")
            case 416:
                #expect(reply["content-range"] == "bytes */1000")
                #expect(reply.codes == ["RANGE_INVALID"])
            default:
                #expect(Array(reply.body) == Self.content)
            }
        }
    }

    @Test("several parts come as one multipart body, with the length that was promised")
    func parts() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let reply = try await fixture.send(.GET, Self.blob, headers: [("range", "bytes=990-,0-1,500-500")])
            #expect(reply.status == 206)
            #expect(reply["content-range"] == nil)
            #expect(reply["docker-content-digest"] == Self.digest.description)
            let type = try #require(reply["content-type"])
            let prefix = "multipart/byteranges; boundary="
            #expect(type.hasPrefix(prefix))
            let boundary = type.dropFirst(prefix.count)
            var expected = Data()
            for range in [990..<1_000, 0..<2, 500..<501] {
                let head =
                    "\r\n--\(boundary)\r\nContent-Type: application/octet-stream\r\n"
                    + "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/1000\r\n\r\n"
                expected += Data(head.utf8) + Data(Self.content[range])
            }
            expected += Data("\r\n--\(boundary)--\r\n".utf8)
            #expect(reply.body == expected)
            let other = try await fixture.send(.GET, Self.blob, headers: [("range", "bytes=0-1,5-6")])
            #expect(other["content-type"] != type, "a boundary that can be known can be put into a blob")
        }
    }

    @Test("conditions: 304 for what the client has, a part only of the version it knows")
    func conditions() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            for tag in [
                "\"\(Self.digest)\"", "\(Self.digest)", "W/\"\(Self.digest)\"", "\"x\", \"\(Self.digest)\"", "*",
            ] {
                for method in [HTTPMethod.GET, .HEAD] {
                    let reply = try await fixture.send(method, Self.blob, headers: [("if-none-match", tag)])
                    #expect(reply.status == 304)
                    #expect(reply.body.isEmpty)
                    #expect(reply["etag"] == "\"\(Self.digest)\"")
                }
            }
            let other = try await fixture.send(.GET, Self.blob, headers: [("if-none-match", "\"other\"")])
            #expect(other.status == 200)
            let range = ("range", "bytes=0-1")
            let same = try await fixture.send(.GET, Self.blob, headers: [range, ("if-range", "\"\(Self.digest)\"")])
            #expect(same.status == 206)
            let changed = try await fixture.send(.GET, Self.blob, headers: [range, ("if-range", "\"old\"")])
            #expect(changed.status == 200)
        }
    }

    @Test("a blob of another repository is unknown here, until it is mounted")
    func mount() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let other = "/v2/b/c/blobs/\(Self.digest)"
            for method in [HTTPMethod.GET, .HEAD, .DELETE] {
                let reply = try await fixture.send(method, other)
                #expect(reply.status == 404)
            }
            let target = "/v2/b/c/blobs/uploads/?mount=\(Self.digest)"
            for query in ["&from=nowhere", "&from=..", "&from=B", "&from="] {
                let reply = try await fixture.send(.POST, target + query)
                #expect(reply.status == 202, "what cannot be mounted is uploaded")
            }
            let unknown = try await fixture.send(.POST, "/v2/b/c/blobs/uploads/?mount=sha256:abc&from=a")
            #expect(unknown.status == 202)
            let escaped = "sha256%3A" + Self.digest.encoded
            let reply = try await fixture.send(.POST, "/v2/b/c/blobs/uploads?mount=\(escaped)&from=a")
            #expect(reply.status == 201)
            #expect(reply.location == other)
            #expect(reply["docker-content-digest"] == Self.digest.description)
            #expect(try await Array(fixture.send(.GET, other).body) == Self.content)
            #expect(try fixture.files("blobs").count == 1)
        }
    }

    @Test("a mount without a source finds the blob anywhere, unless that is not allowed", arguments: [true, false])
    func anonymousMount(isAllowed: Bool) async throws {
        try await RegistryFixture.run(.set(\.allowsAnonymousMount, isAllowed)) { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let reply = try await fixture.send(.POST, "/v2/b/blobs/uploads/?mount=\(Self.digest)")
            #expect(reply.status == (isAllowed ? 201 : 202))
            let head = try await fixture.send(.HEAD, "/v2/b/blobs/\(Self.digest)")
            #expect(head.status == (isAllowed ? 200 : 404))
        }
    }

    @Test("a deleted blob is gone at once, here and nowhere else")
    func delete() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            try await fixture.pushBlob(Self.content, to: "b")
            // Into the memory of hot replies.
            for _ in 0..<2 { #expect(try await fixture.send(.HEAD, Self.blob).status == 200) }
            #expect(try await fixture.send(.DELETE, Self.blob).status == 202)
            for method in [HTTPMethod.HEAD, .GET, .DELETE] {
                let reply = try await fixture.send(method, Self.blob)
                #expect(reply.status == 404)
                #expect(reply.codes == ["BLOB_UNKNOWN"])
            }
            #expect(try await fixture.send(.GET, "/v2/b/blobs/\(Self.digest)").status == 200)
        }
    }

    @Test("a method that a path does not have is 405 and says which it has")
    func methods() async throws {
        try await RegistryFixture.run { fixture in
            for (path, allow) in [
                ("/v2/", "GET, HEAD"), ("/v2/_catalog", "GET, HEAD"), ("/v2/a/tags/list", "GET, HEAD"),
                (Self.blob, "GET, HEAD, DELETE"), ("/v2/a/manifests/x", "GET, HEAD, PUT, DELETE"),
                ("/v2/a/blobs/uploads/", "POST"), ("/v2/a/referrers/\(Self.digest)", "GET, HEAD"),
                ("/v2/a/blobs/uploads/\(RegistryPathTests.id)", "GET, HEAD, PATCH, PUT, DELETE"),
            ] {
                let reply = try await fixture.send(.OPTIONS, path)
                #expect(reply.status == 405)
                #expect(reply.codes == ["UNSUPPORTED"])
                #expect(reply["allow"] == allow)
            }
            let reply = try await fixture.send(.GET, "/v2/a/blobs/uploads/")
            #expect(reply.status == 405)
        }
    }

    @Test("the base path says that the API is there; other paths are 404 with a JSON error")
    func base() async throws {
        try await RegistryFixture.run { fixture in
            for path in ["/v2/", "/v2"] {
                let reply = try await fixture.send(.GET, path)
                #expect(reply.status == 200)
                #expect(reply.text == "{}")
            }
            let reply = try await fixture.send(.GET, "/v2/a/_ext/b")
            #expect(reply.status == 404)
            #expect(reply["content-type"] == "application/json")
            #expect(reply.codes == ["UNSUPPORTED"])
        }
    }

    @Test("deletes and pushes can be switched off")
    func switches() async throws {
        try await RegistryFixture.run(.set(\.allowsDelete, false)) { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let reply = try await fixture.send(.DELETE, Self.blob)
            #expect(reply.status == 405)
            #expect(reply.codes == ["UNSUPPORTED"])
            #expect(try await fixture.send(.HEAD, Self.blob).status == 200)
            let upload = try await fixture.startUpload(in: "a")
            #expect(try await fixture.send(.DELETE, upload).status == 204, "cancelling deletes nothing")
            #expect(try await fixture.send(.GET, upload).status == 404)
        }
        try await RegistryFixture.run(.set(\.allowsWrites, false)) { fixture in
            let reply = try await fixture.send(.POST, "/v2/a/blobs/uploads/")
            #expect(reply.codes == ["UNSUPPORTED"])
            #expect(try await fixture.send(.GET, "/v2/_catalog").status == 200)
        }
    }

    @Test("a second registry on the same directory is refused, as long as the first is open")
    func lock() async throws {
        try await RegistryFixture.run { fixture in
            await #expect(throws: FileSystemError.self) {
                _ = try await FileBlobStore(root: fixture.directory + "/blobs")
            }
            try await fixture.restart()
        }
    }
}
