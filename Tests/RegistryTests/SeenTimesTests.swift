// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// What the collector knows of what clients were told.
@Suite(.onEveryDatabase)
struct SeenTimesTests {
    private static let layer = Array("layer of one".utf8)

    private static func seenAt(_ table: String, _ digest: Digest, _ fixture: RegistryFixture) async throws -> Int64 {
        let rows = try await fixture.database.read {
            try $0.query("SELECT seen_at FROM \(table) WHERE digest = ?", .text(digest.description))
        }
        return try #require(rows.first).integer(0)
    }

    @Test(
        "whatever a client is told of has been seen within a quarter of the grace time",
        arguments: ["HEAD blob", "GET blob", "HEAD manifest", "GET manifest", "HEAD tag"]
    )
    func seen(request: String) async throws {
        try await RegistryFixture.run(.set(\.graceTime, 4_000)) { fixture in
            let image = try await fixture.pushImage("one", to: "a", as: "latest")
            let layer = Digest(hashing: Self.layer)
            let isBlob = request.hasSuffix("blob")
            let (table, digest) = isBlob ? ("blobs", layer) : ("manifests", image)
            let path =
                isBlob
                ? "/v2/a/blobs/\(layer)" : "/v2/a/manifests/\(request.hasSuffix("tag") ? "latest" : "\(image)")"
            for _ in 0..<12 {
                fixture.clock.advance(by: 300)
                #expect(try await fixture.send(request.hasPrefix("HEAD") ? .HEAD : .GET, path).status == 200)
                let now = Int64(fixture.clock.now.timeIntervalSince1970)
                #expect(try await Self.seenAt(table, digest, fixture) >= now - 1_000)
            }
        }
    }

    @Test("what is asked for all the time costs one write in a quarter of the grace time")
    func fewWrites() async throws {
        try await RegistryFixture.run(.set(\.graceTime, 4_000)) { fixture in
            let digest = try await fixture.pushBlob(Self.layer, to: "a")
            var times: Set<Int64> = []
            for _ in 0..<40 {
                fixture.clock.advance(by: 100)
                #expect(try await fixture.send(.HEAD, "/v2/a/blobs/\(digest)").status == 200)
                times.insert(try await Self.seenAt("blobs", digest, fixture))
            }
            #expect(times.count <= 5)
        }
    }

    @Test("a mount and a push of the same bytes count as having seen the blob")
    func mountAndPush() async throws {
        try await RegistryFixture.run { fixture in
            let digest = try await fixture.pushBlob(Self.layer, to: "a")
            for target in ["/v2/b/blobs/uploads/?mount=\(digest)&from=a", "/v2/c/blobs/uploads/?digest=\(digest)"] {
                fixture.clock.advance(by: 100)
                let body = target.contains("mount") ? [] : Self.layer
                #expect(try await fixture.send(.POST, target, body).status == 201)
                let now = Int64(fixture.clock.now.timeIntervalSince1970)
                #expect(try await Self.seenAt("blobs", digest, fixture) == now)
            }
        }
    }
}
