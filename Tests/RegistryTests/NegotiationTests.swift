// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import Foundation
import HTTPService
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// What depends on what the client says it takes, and what the registry wants people to know.
@Suite(.onEveryDatabase)
struct NegotiationTests {
    private static let image = Samples.dockerType
    private static let list = Samples.listType

    /// A list of Docker of two platforms.
    private func pushList(_ fixture: RegistryFixture, as tag: String) async throws -> (list: [UInt8], amd64: [UInt8]) {
        let config = Array("{}".utf8)
        try await fixture.pushBlob(config, to: "a")
        var images: [[UInt8]] = []
        for text in ["arm64", "amd64"] {
            let layer = Array(text.utf8)
            try await fixture.pushBlob(layer, to: "a")
            let image = Samples.image(config: config, layers: [layer], type: Self.image)
            let reply = try await fixture.putManifest(image, to: "a", as: "\(Digest(hashing: image))", type: Self.image)
            #expect(reply.status == 201)
            images.append(image)
        }
        let entries = zip(["arm64", "amd64"], images).map { architecture, image in
            Samples.descriptor(
                Self.image,
                image,
                more: #","platform":{"os":"linux","architecture":"\#(architecture)"}"#
            )
        }
        let list = Array(
            #"{"schemaVersion":2,"mediaType":"\#(Self.list)","manifests":[\#(entries.joined(separator: ","))]}"#.utf8
        )
        #expect(try await fixture.putManifest(list, to: "a", as: tag, type: Self.list).status == 201)
        return (list, images[1])
    }

    @Test("a client too old for lists gets the image for linux/amd64 by tag, every other one the list")
    func oldClients() async throws {
        try await RegistryFixture.run { fixture in
            let (list, image) = try await self.pushList(fixture, as: "v1")
            let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
            let cases: [([String], isOld: Bool)] = [
                ([], false), (["*/*"], false), (["\(Self.image), */*;q=0.1"], false), ([Self.list], false),
                ([Self.image, Self.list], false), ([Samples.imageType], false), ([schema1], false),
                ([Self.image], true), (["\(schema1), \(Self.image);q=0.5"], true), ([schema1, Self.image], true),
                (["\(Self.image)", "\(Self.list) ; q=0"], true), ([Self.image.uppercased()], true),
                (["application/*", Self.image], false),
            ]
            // Twice: the second time from memory.
            for (accept, isOld) in cases + cases {
                let headers = accept.map { ("accept", $0) }
                let expected = isOld ? image : list
                for method in [HTTPMethod.GET, .HEAD] {
                    let reply = try await fixture.send(method, "/v2/a/manifests/v1", headers: headers)
                    #expect(reply.status == 200)
                    #expect(Array(reply.body) == expected, "\(accept)")
                    #expect(reply["content-type"] == (isOld ? Self.image : Self.list))
                    #expect(reply["docker-content-digest"] == "\(Digest(hashing: expected))")
                    #expect(reply["etag"] == "\"\(Digest(hashing: expected))\"")
                    #expect(reply["vary"] == "Accept")
                }
                let digest = try await fixture.send(
                    .GET,
                    "/v2/a/manifests/\(Digest(hashing: list))",
                    headers: headers
                )
                #expect(Array(digest.body) == list, "a digest means its bytes")
                #expect(digest["vary"] == nil)
            }
            let known = [("accept", Self.image), ("if-none-match", "\"\(Digest(hashing: image))\"")]
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v1", headers: known).status == 304)
            let other = [("accept", Self.image), ("if-none-match", "\"\(Digest(hashing: list))\"")]
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v1", headers: other).status == 200)
        }
    }

    @Test("where there is no image that an old client could use, it gets what there is")
    func nothingForOldClients() async throws {
        try await RegistryFixture.run { fixture in
            let (list, image) = try await self.pushList(fixture, as: "v1")
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(Digest(hashing: image))").status == 202)
            let old = [("accept", Self.image)]
            let gone = try await fixture.send(.GET, "/v2/a/manifests/v1", headers: old)
            #expect(Array(gone.body) == list)
            let index = Samples.index([])
            #expect(try await fixture.putManifest(index, to: "a", as: "oci", type: Samples.indexType).status == 201)
            let oci = try await fixture.send(.GET, "/v2/a/manifests/oci", headers: old)
            #expect(Array(oci.body) == index)
            #expect(oci["vary"] == nil)
        }
    }

    @Test("a manifest of Docker schema 1 is refused with what to do about it")
    func schema1() async throws {
        try await RegistryFixture.run { fixture in
            let content =
                #"{"schemaVersion":1,"name":"a","tag":"v1","architecture":"amd64","fsLayers":[],"history":[]}"#
            for type in [
                "application/vnd.docker.distribution.manifest.v1+json",
                "application/vnd.docker.distribution.manifest.v1+prettyjws", Self.image, "application/json",
            ] {
                let reply = try await fixture.putManifest(Array(content.utf8), to: "a", as: "v1", type: type)
                #expect(reply.status == 400)
                #expect(reply.codes == ["MANIFEST_INVALID"])
                if type != "application/json" { #expect(reply.text.contains("schema 1, which is not supported")) }
            }
        }
    }

    @Test("HEAD has every field of GET, whatever is asked for")
    func heads() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushImage("one", to: "a", as: "v1")
            _ = try await self.pushList(fixture, as: "list")
            let layer = Digest(hashing: Array("layer of one".utf8))
            for path in [
                "/v2/", "/v2/_catalog", "/v2/a/tags/list", "/v2/a/tags/list?n=1", "/v2/a/manifests/v1",
                "/v2/a/manifests/\(digest)", "/v2/a/manifests/list", "/v2/a/blobs/\(layer)",
                "/v2/a/referrers/\(digest)",
                "/v2/a/referrers/\(digest)?artifactType=x", "/v2/a/manifests/none", "/v2/a/blobs/\(digest)",
                "/v2/b/tags/list", "/v2/a/blobs/sha256:x", "/v2/nothing",
            ] {
                for _ in 0..<2 {
                    let get = try await fixture.send(.GET, path)
                    let head = try await fixture.send(.HEAD, path)
                    #expect(head.status == get.status)
                    #expect(Set(head.headers.map { "\($0)" }) == Set(get.headers.map { "\($0)" }))
                    #expect(head.absentLength ?? Int64(head.body.count) == Int64(get.body.count))
                }
            }
        }
    }

    @Test("people are told what is deprecated, and what the operator wants them to know")
    func warnings() async throws {
        try await RegistryFixture.run(.set(\.notices, [#"Moves to "new.example"."#, "Grüße"])) { fixture in
            let notices = [#"299 - "Moves to \"new.example\".""#, #"299 - "Gr??e""#]
            #expect(try await fixture.send(.GET, "/v2/").headers["warning"] == notices)
            let artifact = Array(#"{"mediaType":"\#(Samples.artifactType)","artifactType":"x/y"}"#.utf8)
            let put = try await fixture.putManifest(artifact, to: "a", as: "v1", type: Samples.artifactType)
            #expect(put.status == 201)
            #expect(Array(put.headers["warning"].prefix(2)) == notices)
            #expect(put.headers["warning"].count == 3)
            #expect(put.headers["warning"].last?.contains("withdrawn") == true)
        }
        try await RegistryFixture.run { fixture in
            #expect(try await fixture.send(.GET, "/v2/")["warning"] == nil)
            let image = try await fixture.imageContent("one", to: "a")
            #expect(try await fixture.putManifest(image, to: "a", as: "v1")["warning"] == nil)
        }
        let many = WarningField.values((0..<100).map { _ in String(repeating: "x", count: 1_000) })
        #expect(many.count == 4)
        #expect(many.joined().utf8.count <= 4096)
    }
}
