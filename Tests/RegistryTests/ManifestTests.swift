// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import Foundation
import HTTPService
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import Registry

@Suite(.onEveryDatabase)
struct ManifestTests {
    private static let config = Array("{}".utf8)
    private static let layer = Samples.bytes(100)

    private func push(_ fixture: RegistryFixture) async throws {
        try await fixture.pushBlob(Self.config, to: "a")
        try await fixture.pushBlob(Self.layer, to: "a")
    }

    @Test("manifests beyond the memory set aside for them are told to come again")
    func memory() async throws {
        try await RegistryFixture.run(.set(\.manifestMemory, 10)) { fixture in
            let reply = try await fixture.putManifest(Array(repeating: 0x20, count: 11), to: "a", as: "t")
            #expect(reply.status == 429)
            #expect(reply.codes == ["TOOMANYREQUESTS"])
            #expect(reply["retry-after"] == "1")
        }
    }

    @Test(
        "every kind of manifest comes back byte for byte with its own type, by tag and by digest, whatever Accept says"
    )
    func kinds() async throws {
        try await RegistryFixture.run { fixture in
            try await self.push(fixture)
            let image = Samples.image(config: Self.config, layers: [Self.layer])
            let docker = Samples.image(config: Self.config, layers: [Self.layer], type: Samples.dockerType)
            let artifact = Array(
                #"{"mediaType":"\#(Samples.artifactType)","artifactType":"x/y","blobs":[\#(Samples.descriptor("x/z", Self.layer))]}"#
                    .utf8
            )
            let bare = Samples.image(config: Self.config, layers: [], type: nil, more: #","unknown":{"kept":[1]}"#)
            for (content, type) in [
                (image, Samples.imageType), (docker, Samples.dockerType), (artifact, Samples.artifactType),
                (bare, Samples.imageType), (Samples.index([image]), Samples.indexType),
                (Samples.index([docker], type: Samples.listType, of: Samples.dockerType), Samples.listType),
                (Samples.index([]), Samples.indexType),
            ] {
                let digest = Digest(hashing: content)
                let put = try await fixture.putManifest(content, to: "a", as: "v1", type: type + "; charset=utf-8")
                #expect(put.status == 201, "\(put.text)")
                #expect(put.location == "/v2/a/manifests/\(digest)")
                #expect(put["docker-content-digest"] == digest.description)
                for reference in ["v1", digest.description, "v1"] {
                    for (method, accept) in [(HTTPMethod.GET, "text/html"), (.HEAD, "*/*"), (.GET, type)] {
                        let target = "/v2/a/manifests/\(reference)"
                        let reply = try await fixture.send(method, target, headers: [("accept", accept)])
                        #expect(reply.status == 200)
                        #expect(Array(reply.body) == content)
                        #expect(reply["content-type"] == type)
                        #expect(reply["docker-content-digest"] == digest.description)
                        #expect(reply["etag"] == "\"\(digest)\"")
                    }
                }
            }
        }
    }

    @Test("sha512: a manifest pushed by that digest is served by it")
    func sha512() async throws {
        try await RegistryFixture.run { fixture in
            try await self.push(fixture)
            let content = Samples.image(config: Self.config, layers: [Self.layer])
            let digest = Digest(hashing: content, algorithm: .sha512)
            let put = try await fixture.putManifest(content, to: "a", as: "\(digest)?tag=one&tag=two&tag=one")
            #expect(put.status == 201)
            #expect(put["docker-content-digest"] == digest.description)
            #expect(put.headers["oci-tag"] == ["one", "two"])
            for reference in ["one", "two", "\(digest)"] {
                let reply = try await fixture.send(.GET, "/v2/a/manifests/\(reference)")
                #expect(reply["docker-content-digest"] == digest.description)
            }
            let many = (0..<51).map { "tag=t\($0)" }.joined(separator: "&")
            #expect(try await fixture.putManifest(content, to: "a", as: "\(digest)?\(many)").status == 414)
            #expect(try await fixture.putManifest(content, to: "a", as: "\(digest)?tag=-").status == 400)
        }
    }

    @Test(
        "a manifest that is wrong is refused with 400 and leaves nothing",
        arguments: [
            ("", Samples.imageType), ("{", Samples.imageType), ("[]", Samples.imageType), ("null", Samples.imageType),
            ("{}", Samples.imageType), ("{}", Samples.indexType), ("{}", "application/json"), ("{}", ""),
            (#"{"schemaVersion":1}"#, "application/vnd.docker.distribution.manifest.v1+json"),
            (#"{"schemaVersion":1,"fsLayers":[]}"#, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
            (#"{"schemaVersion":2,"manifests":[]}"#, Samples.imageType),
            (#"{"schemaVersion":2,"manifests":[]}"#, Samples.listType),
            (#"{"schemaVersion":2,"mediaType":"\#(Samples.imageType)","manifests":[]}"#, Samples.indexType),
            (#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, Samples.indexType),
            (
                #"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:x","size":1},"layers":[]}"#,
                Samples.imageType
            ),
            (String(repeating: "[", count: 100_000), Samples.imageType),
        ]
    )
    func invalid(_ content: String, _ type: String) async throws {
        try await RegistryFixture.run { fixture in
            let reply = try await fixture.putManifest(Array(content.utf8), to: "a", as: "v1", type: type)
            #expect(reply.status == 400)
            #expect(reply.codes == ["MANIFEST_INVALID"])
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v1").status == 404)
            #expect(try await fixture.send(.GET, "/v2/a/tags/list").status == 404)
        }
    }

    @Test("a manifest without Content-Type, of another digest or too large is refused")
    func refused() async throws {
        try await RegistryFixture.run { fixture in
            try await self.push(fixture)
            let content = Samples.image(config: Self.config, layers: [Self.layer])
            let untyped = try await fixture.send(.PUT, "/v2/a/manifests/v1", content)
            #expect(untyped.codes == ["MANIFEST_INVALID"])
            let other = try await fixture.putManifest(content, to: "a", as: "\(Digest(hashing: [1] as [UInt8]))")
            #expect(other.status == 400)
            #expect(other.codes == ["DIGEST_INVALID"])
            let bad = try await fixture.putManifest(content, to: "a", as: "sha256:baddigeststring")
            #expect(bad.status == 400)
            let huge = Array(repeating: UInt8(ascii: " "), count: Manifest.maximumSize + 1)
            let large = try await fixture.putManifest(huge, to: "a", as: "v1")
            #expect(large.status == 413)
            #expect(large.codes == ["SIZE_INVALID"])
            let most = content + Array(repeating: UInt8(ascii: " "), count: Manifest.maximumSize - content.count)
            #expect(try await fixture.putManifest(most, to: "a", as: "v1").status == 201)
        }
    }

    @Test("blobs and children that are missing are all named, and nothing is stored")
    func missing() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.layer, to: "other")
            let content = Samples.image(config: Self.config, layers: [Self.layer, Self.layer])
            let reply = try await fixture.putManifest(content, to: "a", as: "v1")
            #expect(reply.status == 400)
            #expect(reply.codes == ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"])
            #expect(reply.text.contains("\(Digest(hashing: Self.layer))"))
            #expect(reply.text.contains("\(Digest(hashing: Self.config))"))
            let index = try await fixture.putManifest(
                Samples.index([content]),
                to: "a",
                as: "v1",
                type: Samples.indexType
            )
            #expect(index.codes == ["MANIFEST_BLOB_UNKNOWN"])
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v1").status == 404)
        }
    }

    @Test("what a manifest names may be missing where that is allowed", arguments: SparseManifests.allCases)
    func sparse(_ sparse: SparseManifests) async throws {
        try await RegistryFixture.run(.set(\.sparse, sparse)) { fixture in
            let image = Samples.image(config: Self.config, layers: [Self.layer])
            let cache = Samples.index([Self.layer], of: "application/vnd.oci.image.layer.v1.tar+gzip")
            for (content, type, isTaken) in [
                (image, Samples.imageType, sparse == .all),
                (Samples.index([image, Samples.index([])]), Samples.indexType, sparse != .none),
                (cache, Samples.indexType, sparse != .none),
            ] {
                let reply = try await fixture.putManifest(content, to: "a", as: "v1", type: type)
                #expect(reply.status == (isTaken ? 201 : 400))
                #expect(reply.codes.first == (isTaken ? nil : "MANIFEST_BLOB_UNKNOWN"))
                let stored = try await fixture.send(.GET, "/v2/a/manifests/v1")
                #expect((Array(stored.body) == content) == isTaken)
            }
        }
    }

    @Test("a descriptor whose size is not the blob's is refused; a foreign layer with urls need not be there")
    func descriptors() async throws {
        try await RegistryFixture.run { fixture in
            try await self.push(fixture)
            let content = Samples.image(config: Self.config, layers: [Self.layer])
            let wrong = String(decoding: content, as: UTF8.self).replacingOccurrences(of: ":100}", with: ":99}")
            let reply = try await fixture.putManifest(Array(wrong.utf8), to: "a", as: "v1")
            #expect(reply.codes == ["MANIFEST_INVALID"])
            let type = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            let layer = Samples.descriptor(type, [1, 2, 3], more: #","urls":["https://example.com/layer"]"#)
            let config = Samples.descriptor("application/vnd.oci.image.config.v1+json", Self.config)
            let foreign = #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layer)]}"#
            #expect(try await fixture.putManifest(Array(foreign.utf8), to: "a", as: "v2").status == 201)
        }
    }

    @Test("an index of a build cache may list blobs")
    func cacheIndex() async throws {
        try await RegistryFixture.run { fixture in
            try await self.push(fixture)
            let index = Samples.index([Self.layer], of: "application/vnd.oci.image.layer.v1.tar+gzip")
            #expect(try await fixture.putManifest(index, to: "a", as: "cache", type: Samples.indexType).status == 201)
            let missing = Samples.index([[1]], of: "application/vnd.oci.image.layer.v1.tar+gzip")
            let reply = try await fixture.putManifest(missing, to: "a", as: "cache", type: Samples.indexType)
            #expect(reply.codes == ["MANIFEST_BLOB_UNKNOWN"])
        }
    }

    @Test("a tag that moves is seen by the next request, although the old reply was in memory")
    func tagMoves() async throws {
        try await RegistryFixture.run { fixture in
            let first = try await fixture.pushImage("one", to: "a", as: "latest")
            for _ in 0..<3 {
                #expect(
                    try await fixture.send(.HEAD, "/v2/a/manifests/latest")["docker-content-digest"]
                        == first.description
                )
            }
            let second = try await fixture.pushImage("two", to: "a", as: "latest")
            let reply = try await fixture.send(.GET, "/v2/a/manifests/latest")
            #expect(reply["docker-content-digest"] == second.description)
            #expect(Digest(hashing: Array(reply.body)) == second)
            #expect(try await fixture.send(.GET, "/v2/a/manifests/\(first)").status == 200)
            let unchanged = try await fixture.send(
                .GET,
                "/v2/a/manifests/latest",
                headers: [("if-none-match", "\"\(second)\"")]
            )
            #expect(unchanged.status == 304)
            #expect(unchanged.body.isEmpty)
        }
    }

    @Test("deleting a tag leaves the manifest; deleting the manifest takes its tags; both are gone at once")
    func delete() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushImage("one", to: "a", as: "v1")
            try await fixture.pushImage("one", to: "a", as: "v2")
            let other = try await fixture.pushImage("other", to: "a", as: "v3")
            for reference in ["v1", "v2", "v3", "\(digest)"] {
                for _ in 0..<2 { #expect(try await fixture.send(.GET, "/v2/a/manifests/\(reference)").status == 200) }
            }
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/v1").status == 202)
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v1").codes == ["MANIFEST_UNKNOWN"])
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/v1").status == 404)
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v2").status == 200)
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(digest)").status == 202)
            for reference in ["v2", "\(digest)"] {
                #expect(try await fixture.send(.GET, "/v2/a/manifests/\(reference)").status == 404)
            }
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(digest)").status == 404)
            #expect(try await fixture.send(.GET, "/v2/a/tags/list").text == #"{"name":"a","tags":["v3"]}"#)
            #expect(try await fixture.send(.GET, "/v2/_catalog").text == #"{"repositories":["a"]}"#)
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(other)").status == 202)
            #expect(try await fixture.send(.GET, "/v2/a/tags/list").text == #"{"name":"a","tags":[]}"#)
            #expect(try await fixture.send(.GET, "/v2/_catalog").text == #"{"repositories":[]}"#)
        }
    }

    @Test("conditions keep a tag from being moved by somebody who does not know where it is")
    func conditions() async throws {
        try await RegistryFixture.run { fixture in
            let one = try await fixture.imageContent("one", to: "a")
            let two = try await fixture.imageContent("two", to: "a")
            let isNew = [("if-none-match", "*")]
            let known = try await fixture.putManifest(one, to: "a", as: "v1", headers: [("if-match", "*")])
            #expect(known.status == 412)
            #expect(try await fixture.putManifest(one, to: "a", as: "v1", headers: isNew).status == 201)
            #expect(try await fixture.putManifest(two, to: "a", as: "v1", headers: isNew).status == 412)
            let stale = [("if-match", "\"\(Digest(hashing: two))\"")]
            #expect(try await fixture.putManifest(two, to: "a", as: "v1", headers: stale).status == 412)
            let current = [("if-match", "\"\(Digest(hashing: one))\"")]
            #expect(try await fixture.putManifest(two, to: "a", as: "v1", headers: current).status == 201)
            let reply = try await fixture.send(.GET, "/v2/a/manifests/v1")
            #expect(Array(reply.body) == two)
            let already = [("if-none-match", "\"\(Digest(hashing: two))\"")]
            #expect(try await fixture.putManifest(two, to: "a", as: "v1", headers: already).status == 412)
            #expect(try await fixture.putManifest(two, to: "a", as: "v2", headers: already).status == 201)
        }
    }

    @Test("readers racing with pushes of one tag never see an older manifest than one acknowledged before they asked")
    func readYourWrites() async throws {
        try await RegistryFixture.run { fixture in
            var contents: [[UInt8]] = []
            for number in 0..<20 { contents.append(try await fixture.imageContent("n\(number)", to: "a")) }
            let order = Dictionary(uniqueKeysWithValues: contents.enumerated().map { ($1, $0) })
            let acknowledged = Acknowledged()
            try await withThrowingTaskGroup(of: Void.self) { group in
                let pushes = contents
                group.addTask {
                    for (number, content) in pushes.enumerated() {
                        let put = try await fixture.putManifest(content, to: "a", as: "latest")
                        #expect(put.status == 201)
                        acknowledged.set(number)
                    }
                }
                for _ in 0..<4 {
                    group.addTask {
                        while acknowledged.value < pushes.count - 1 {
                            // A reply from memory takes no turn of its own.
                            await Task.yield()
                            let before = acknowledged.value
                            let reply = try await fixture.send(.GET, "/v2/a/manifests/latest")
                            guard reply.status == 200 else { continue }
                            let number = try #require(order[Array(reply.body)])
                            #expect(number >= before)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("with the memory for replies turned off everything is read from the database")
    func withoutCache() async throws {
        try await RegistryFixture.run(.set(\.cacheSize, 0)) { fixture in
            let digest = try await fixture.pushImage("one", to: "a", as: "v1")
            for _ in 0..<2 { #expect(try await fixture.send(.GET, "/v2/a/manifests/v1").status == 200) }
            let request = HTTPRequest(method: .GET, path: "/v2/a/manifests/v1")
            #expect(fixture.registry.responder.immediateResponse(to: request) == nil)
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(digest)").status == 202)
        }
    }

    @Test("the second read of a manifest and the second HEAD of a blob need no waiting")
    func immediate() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushImage("one", to: "a", as: "v1")
            let layer = "/v2/a/blobs/\(Digest(hashing: Array("layer of one".utf8)))"
            for (method, path) in [(HTTPMethod.GET, "/v2/a/manifests/v1"), (.HEAD, layer)] {
                let request = HTTPRequest(method: method, path: path)
                #expect(fixture.registry.responder.immediateResponse(to: request) == nil)
                try await fixture.send(method, path)
                let response = try #require(fixture.registry.responder.immediateResponse(to: request))
                #expect(response.status == .ok)
            }
            let delete = HTTPRequest(method: .DELETE, path: "/v2/a/manifests/v1")
            #expect(fixture.registry.responder.immediateResponse(to: delete) == nil)
        }
    }
}

/// The number of the last push that was acknowledged.
private final class Acknowledged: Sendable {
    private let number = Mutex(-1)
    var value: Int { self.number.withLock { $0 } }
    func set(_ value: Int) { self.number.withLock { $0 = value } }
}
