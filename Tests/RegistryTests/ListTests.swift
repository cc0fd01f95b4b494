// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import HTTPService
import NIOHTTP1
import OCI
import Testing

@testable import Registry

@Suite(.onEveryDatabase)
struct ListTests {
    private struct Tags: Decodable {
        let name: String
        let tags: [String]
    }

    private struct Catalog: Decodable {
        let repositories: [String]
    }

    private struct Index: Decodable {
        struct Entry: Decodable {
            let mediaType: String
            let digest: String
            let size: Int
            let artifactType: String?
            let annotations: [String: String]?
        }
        let schemaVersion: Int
        let mediaType: String
        let manifests: [Entry]
    }

    /// The target of a `Link` to the next page.
    private func next(_ reply: RegistryFixture.Reply) throws -> String? {
        guard let link = reply["link"] else { return nil }
        #expect(link.hasSuffix(#">; rel="next""#))
        return String(link.dropFirst().prefix(while: { $0 != ">" }))
    }

    @Test("tags are sorted by bytes and come in pages that link to the next")
    func tags() async throws {
        try await RegistryFixture.run { fixture in
            let names = ["Z", "_x", "a", "a-b", "a.b", "a_b", "b", "0"]
            for name in names { try await fixture.pushImage("same", to: "x/tags/list", as: name) }
            let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            let all = try await fixture.send(.GET, "/v2/x/tags/list/tags/list")
            let list = try JSONDecoder().decode(Tags.self, from: all.body)
            #expect(list.name == "x/tags/list")
            #expect(list.tags == sorted)
            #expect(all["link"] == nil)

            var found: [String] = []
            var target: String? = "/v2/x/tags/list/tags/list?n=3"
            var pages = 0
            while let page = target {
                let reply = try await fixture.send(.GET, page)
                found += try JSONDecoder().decode(Tags.self, from: reply.body).tags
                target = try self.next(reply)
                pages += 1
            }
            #expect(found == sorted)
            #expect(pages == 3)
        }
    }

    @Test(
        "what n and last ask for",
        arguments: [
            ("?n=0", ["tags": [String]()], false), ("?n=2", ["tags": ["a", "b"]], true),
            ("?n=3", ["tags": ["a", "b", "c"]], false), ("?last=a", ["tags": ["b", "c"]], false),
            ("?last=aa&n=1", ["tags": ["b"]], true), ("?last=zzz", ["tags": []], false),
            ("?n=99999", ["tags": ["a", "b", "c"]], false), ("?last=%00", ["tags": ["a", "b", "c"]], false),
        ]
    )
    func pages(query: String, expected: [String: [String]], hasNext: Bool) async throws {
        try await RegistryFixture.run { fixture in
            for name in ["a", "b", "c"] { try await fixture.pushImage("same", to: "r", as: name) }
            let reply = try await fixture.send(.GET, "/v2/r/tags/list" + query)
            #expect(reply.status == 200)
            #expect(try JSONDecoder().decode(Tags.self, from: reply.body).tags == expected["tags"])
            #expect((reply["link"] != nil) == hasNext)
        }
    }

    @Test("a list that nobody asked pages of goes on in as large ones")
    func unpaged() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushImage("one", to: "r")
            try await fixture.database.write { connection in
                for number in 0..<10_002 {
                    try connection.execute(
                        "INSERT INTO tags (repository, name, digest, updated_at) VALUES ('r', ?, ?, 0)",
                        .text("t\(number)"),
                        .text(digest.description)
                    )
                }
            }
            let first = try await fixture.send(.GET, "/v2/r/tags/list")
            #expect(try JSONDecoder().decode(Tags.self, from: first.body).tags.count == 10_000)
            let next = try #require(try self.next(first))
            #expect(!next.contains("n="))
            let second = try await fixture.send(.GET, next)
            #expect(try JSONDecoder().decode(Tags.self, from: second.body).tags.count == 2)
            #expect(second["link"] == nil)
        }
    }

    @Test("n that is no count is refused", arguments: ["-1", "x", "", "99999999999999999999", "1.5"])
    func badCount(text: String) async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushImage("same", to: "r", as: "v1")
            for path in ["/v2/r/tags/list", "/v2/_catalog"] {
                let reply = try await fixture.send(.GET, path + "?n=" + text)
                #expect(reply.status == 400)
                #expect(reply.codes == ["PAGINATION_NUMBER_INVALID"])
            }
        }
    }

    @Test("tags of a repository that is not there: NAME_UNKNOWN")
    func unknown() async throws {
        try await RegistryFixture.run { fixture in
            let reply = try await fixture.send(.GET, "/v2/r/tags/list")
            #expect(reply.status == 404)
            #expect(reply.codes == ["NAME_UNKNOWN"])
        }
    }

    @Test("the catalog lists repositories that have something, by the bytes of their names, in pages")
    func catalog() async throws {
        try await RegistryFixture.run { fixture in
            #expect(try await fixture.send(.GET, "/v2/_catalog").text == #"{"repositories":[]}"#)
            let names = ["b", "a/b", "a-b", "a", "a0"]
            for name in names { try await fixture.pushImage("same", to: name, as: "v1") }
            var found: [String] = []
            var target: String? = "/v2/_catalog?n=2"
            while let page = target {
                let reply = try await fixture.send(.GET, page)
                found += try JSONDecoder().decode(Catalog.self, from: reply.body).repositories
                target = try self.next(reply)
            }
            #expect(found == ["a", "a-b", "a/b", "a0", "b"])
        }
    }

    @Test("referrers: what is about a manifest is listed at once, there or not, and can be filtered")
    func referrers() async throws {
        try await RegistryFixture.run { fixture in
            let subject = Digest(hashing: Array("not here yet".utf8))
            let path = "/v2/a/referrers/\(subject)"
            let none = try await fixture.send(.GET, path)
            #expect(none.status == 200)
            #expect(none.text == #"{"manifests":[],"mediaType":"\#(Samples.indexType)","schemaVersion":2}"#)
            #expect(none["content-type"] == Samples.indexType)

            let about = #","subject":{"mediaType":"\#(Samples.imageType)","digest":"\#(subject)","size":12}"#
            let plain = try await fixture.imageContent("plain", to: "a", more: about)
            let typed = try await fixture.imageContent(
                "typed",
                to: "a",
                more: about + #","artifactType":"application/vnd.example+json","annotations":{"k/\u0000":"v\"</>"}"#
            )
            for content in [plain, typed] {
                let put = try await fixture.putManifest(content, to: "a", as: "\(Digest(hashing: content))")
                #expect(put.status == 201, "\(put.text)")
                #expect(put["oci-subject"] == subject.description)
            }
            let index = String(decoding: Samples.index([plain]), as: UTF8.self).dropLast() + about + "}"
            let put = try await fixture.putManifest(Array(index.utf8), to: "a", as: "idx", type: Samples.indexType)
            #expect(put["oci-subject"] == subject.description)

            let all = try await JSONDecoder().decode(Index.self, from: fixture.send(.GET, path).body)
            #expect(all.schemaVersion == 2)
            #expect(all.mediaType == Samples.indexType)
            let byDigest = Dictionary(uniqueKeysWithValues: all.manifests.map { ($0.digest, $0) })
            #expect(byDigest.count == 3)
            #expect(byDigest["\(Digest(hashing: plain))"]?.artifactType == "application/vnd.oci.image.config.v1+json")
            let entry = try #require(byDigest["\(Digest(hashing: typed))"])
            #expect(entry.artifactType == "application/vnd.example+json")
            #expect(entry.annotations == ["k/\0": "v\"</>"])
            #expect(entry.size == typed.count)
            #expect(entry.mediaType == Samples.imageType)
            #expect(byDigest["\(Digest(hashing: Array(index.utf8)))"]?.artifactType == nil)

            for query in ["application/vnd.example+json", "application%2Fvnd.example%2Bjson"] {
                let reply = try await fixture.send(.GET, path + "?artifactType=" + query)
                #expect(reply["oci-filters-applied"] == "artifactType")
                let filtered = try JSONDecoder().decode(Index.self, from: reply.body)
                #expect(filtered.manifests.map(\.digest) == ["\(Digest(hashing: typed))"])
            }
            let other = try await fixture.send(.GET, path + "?artifactType=%00x")
            #expect(try JSONDecoder().decode(Index.self, from: other.body).manifests.isEmpty)
            #expect(try await fixture.send(.DELETE, "/v2/a/manifests/\(Digest(hashing: typed))").status == 202)
            let after = try await JSONDecoder().decode(Index.self, from: fixture.send(.GET, path).body)
            #expect(after.manifests.count == 2)
            let elsewhere = try await JSONDecoder().decode(
                Index.self,
                from: fixture.send(.GET, "/v2/b/referrers/\(subject)").body
            )
            #expect(elsewhere.manifests.isEmpty)
            #expect(try await fixture.send(.GET, "/v2/a/referrers/sha256:x").status == 400)
        }
    }

    @Test(
        "what clients without the API listed under a fallback tag is listed by the API, once, and the tag stays theirs"
    )
    func fallback() async throws {
        try await RegistryFixture.run { fixture in
            let subject = try await fixture.pushImage("subject", to: "a", as: "v1")
            let about = #","subject":{"mediaType":"\#(Samples.imageType)","digest":"\#(subject)","size":1}"#
            let image = try await fixture.imageContent("sbom", to: "a", more: about)
            let old = Array(
                #"{"mediaType":"\#(Samples.artifactType)","artifactType":"x/y","blobs":[]\#(about)}"#.utf8
            )
            let unrelated = try await fixture.imageContent("unrelated", to: "a")
            for (content, type) in [
                (image, Samples.imageType), (old, Samples.artifactType), (unrelated, Samples.imageType),
            ] {
                let put = try await fixture.putManifest(content, to: "a", as: "\(Digest(hashing: content))", type: type)
                #expect(put.status == 201)
            }
            let list = [
                Samples.descriptor(Samples.imageType, image), Samples.descriptor(Samples.artifactType, old),
                Samples.descriptor(Samples.imageType, unrelated),
            ].joined(separator: ",")
            let index = #"{"schemaVersion":2,"mediaType":"\#(Samples.indexType)","manifests":[\#(list)]}"#
            let tag = "sha256-\(subject.encoded)"
            let put = try await fixture.putManifest(Array(index.utf8), to: "a", as: tag, type: Samples.indexType)
            #expect(put.status == 201)

            let reply = try await fixture.send(.GET, "/v2/a/referrers/\(subject)")
            let found = try JSONDecoder().decode(Index.self, from: reply.body).manifests
            #expect(Set(found.map(\.digest)) == ["\(Digest(hashing: image))", "\(Digest(hashing: old))"])
            #expect(found.count == 2)
            #expect(found.first { $0.mediaType == Samples.artifactType }?.artifactType == "x/y")
            #expect(try await fixture.send(.GET, "/v2/a/manifests/\(tag)").text == index)
            let tags = try await JSONDecoder().decode(Tags.self, from: fixture.send(.GET, "/v2/a/tags/list").body).tags
            #expect(tags == [tag, "v1"])
        }
    }

    @Test("referrers that are too much for one reply come in pages smaller than a manifest may be")
    func manyReferrers() async throws {
        try await RegistryFixture.run { fixture in
            let subject = Digest(hashing: Array("s".utf8))
            let text = String(repeating: "x", count: 700_000)
            let about = #","subject":{"mediaType":"\#(Samples.imageType)","digest":"\#(subject)","size":1}"#
            var pushed: Set<String> = []
            for number in 0..<6 {
                let content = try await fixture.imageContent(
                    "r",
                    to: "a",
                    more: about + #","annotations":{"n":"\#(number)","text":"\#(text)"}"#
                )
                #expect(try await fixture.putManifest(content, to: "a", as: "t\(number)").status == 201)
                pushed.insert("\(Digest(hashing: content))")
            }
            var found: [String] = []
            var target: String? = "/v2/a/referrers/\(subject)?artifactType=application/vnd.oci.image.config.v1%2Bjson"
            while let page = target {
                let reply = try await fixture.send(.GET, page)
                #expect(reply.body.count < Manifest.maximumSize)
                found += try JSONDecoder().decode(Index.self, from: reply.body).manifests.map(\.digest)
                target = try self.next(reply)
            }
            #expect(found.count == 6)
            #expect(Set(found) == pushed)
        }
    }

    @Test("a page of referrers is taken from no more manifests than memory should hold, and the rest comes after it")
    func largeReferrers() async throws {
        try await RegistryFixture.run { fixture in
            let subject = Digest(hashing: Array("s".utf8))
            let repository = try RepositoryName("a")
            try await fixture.database.write { connection in
                for number in 0..<9 {
                    try connection.execute(
                        """
                        INSERT INTO manifests
                        (repository, digest, media_type, size, subject, annotations, pushed_at, content)
                        VALUES (?, ?, ?, ?, ?, ?, 0, ?)
                        """,
                        .text(repository.description),
                        .text(Digest(hashing: [UInt8(number)]).description),
                        .text(Samples.imageType),
                        .integer(number == 4 ? .max : 4 << 20),
                        .text(subject.description),
                        .text("{}"),
                        .blob(Data())
                    )
                }
            }
            var pages: [Int] = []
            var last = ""
            var hasMore = true
            while hasMore {
                let page = try await fixture.registry.responder.store.referrers(
                    of: subject,
                    in: repository,
                    artifactType: nil,
                    after: last,
                    limit: 500
                )
                pages.append(page.elements.count)
                last = page.elements.last?.digest ?? ""
                hasMore = page.hasMore && !last.isEmpty
            }
            #expect(pages.reduce(0, +) == 9)
            #expect(pages.allSatisfy { $0 <= 4 })
        }
    }
}
