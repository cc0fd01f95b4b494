// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// Where blobs are, and what becomes of bytes that are not needed.
@Suite(.onEveryDatabase)
struct BlobLocationTests {
    private static let content = Samples.bytes(5_000, seed: 3)
    private static let digest = Digest(hashing: content)

    private static func trash(_ fixture: RegistryFixture) async throws -> [String] {
        try await fixture.database.read { try $0.query("SELECT location FROM trash").map { try $0.text(0) } }
    }

    @Test(
        "a location leads nowhere else",
        arguments: ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", ".hidden", "a b", "a\0", "sha256/é"]
    )
    func bad(text: String) {
        #expect(throws: BlobLocationError.self) { try BlobLocation(text) }
    }

    @Test("the same blob from two repositories is one file")
    func once() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let path = try await fixture.path(of: Self.digest)
            try await fixture.pushBlob(Self.content, to: "b")
            #expect(try await fixture.path(of: Self.digest) == path)
            #expect(try fixture.files("blobs").count == 1)
            #expect(try await Self.trash(fixture) == [])
        }
    }

    @Test("a blob that is known to be damaged counts as missing; a push brings it back and discards the old bytes")
    func damaged() async throws {
        try await RegistryFixture.run { fixture in
            let image = try await fixture.pushImage("one", to: "a")
            let digest = Digest(hashing: Array("layer of one".utf8))
            let old = try fixture.files("blobs")
            try await fixture.database.write {
                try $0.execute("UPDATE blobs SET damaged_at = 1 WHERE digest = ?", .text(digest.description))
            }
            let responder = fixture.registry.responder
            responder.cache.invalidateAll()
            #expect(try await fixture.send(.HEAD, "/v2/a/blobs/\(digest)").status == 404)
            #expect(try await fixture.send(.POST, "/v2/b/blobs/uploads/?mount=\(digest)&from=a").status == 202)
            // The manifest itself is known, so its layers are not looked for; under another repository they are.
            #expect(try await fixture.send(.HEAD, "/v2/a/manifests/\(image)").status == 200)
            try await fixture.pushBlob(Array("layer of one".utf8), to: "a")
            #expect(try await fixture.send(.HEAD, "/v2/a/blobs/\(digest)").status == 200)
            let trash = try await Self.trash(fixture)
            #expect(trash.count == 1 && old.contains(where: trash.contains))
        }
    }

    @Test("the files of a registry from before blobs had locations are found")
    func migration() async throws {
        try await DatabaseDriver.current.withDatabases { opener in
            let database = try await opener.open()
            try await database.migrate(Array(RegistrySchema.migrations.prefix(1)))
            let digests = [Self.digest, Digest(hashing: Self.content, algorithm: .sha512)]
            try await database.write { connection in
                for digest in digests {
                    try connection.execute(
                        "INSERT INTO blobs (digest, size, created_at, seen_at) VALUES (?, 5000, 7, 8)",
                        .text(digest.description)
                    )
                }
            }
            let store = try await RegistryStore(database: database)
            for digest in digests {
                let old = "\(digest.algorithm.rawValue)/\(digest.encoded.prefix(2))/\(digest.encoded)"
                let blob = try await store.blob(digest)
                #expect(try blob == StoredBlob(size: 5_000, location: BlobLocation(old), seenAt: 8))
            }
            try await database.close()
        }
    }

    @Test("the store lists what it holds, page by page, in order")
    func pages() async throws {
        try await RegistryFixture.run { fixture in
            for number in 0..<60 {
                try await fixture.pushBlob(
                    Array("blob \(number)".utf8),
                    to: "a",
                    algorithm: number.isMultiple(of: 3) ? .sha512 : .sha256
                )
            }
            try await fixture.registry.close()
            let store = try await FileBlobStore(root: fixture.directory + "/blobs", takesUploads: false)
            for limit in [1, 7, 60, 100] {
                var found: [BlobLocation] = []
                while true {
                    let page = try await store.page(after: found.last, limit: limit)
                    #expect(page.count <= limit)
                    if page.isEmpty { break }
                    found += page.map(\.location)
                }
                #expect(found.map(\.description) == (try fixture.files("blobs")))
                #expect(found == found.sorted())
            }
        }
    }
}
