// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Testing

@testable import Registry

@Suite(.onEveryDatabase)
struct LargeManifestTests {
    private static let name = "a"
    private static let config = Array("{}".utf8)
    private static let layers = 2_000

    private static func layer(_ number: Int) -> [UInt8] { Array("layer \(number)".utf8) }

    private static func image(layers: Range<Int>) -> [UInt8] {
        Samples.image(config: Self.config, layers: layers.map(Self.layer))
    }

    /// Makes the repository have the blobs as far as the database knows, which is all that manifests ask.
    private static func addBlobs(_ numbers: Range<Int>, to fixture: RegistryFixture) async throws {
        try await fixture.pushBlob(Self.config, to: Self.name)
        try await fixture.database.write { connection in
            for number in numbers {
                let content = Self.layer(number)
                let digest = SQLValue.text(Digest(hashing: content).description)
                try connection.execute(
                    "INSERT INTO blobs (digest, size, created_at, seen_at) VALUES (?, ?, 0, 0)",
                    digest,
                    .integer(Int64(content.count))
                )
                try connection.execute(
                    "INSERT INTO repository_blobs (repository, digest, linked_at) VALUES (?, ?, 0)",
                    .text(Self.name),
                    digest
                )
            }
        }
    }

    private static func references(_ fixture: RegistryFixture) async throws -> Int64 {
        let rows = try await fixture.database.read { try $0.query("SELECT COUNT(*) FROM manifest_references") }
        return try #require(rows.first).integer(0)
    }

    /// What takes manifests in, over a database of the test's.
    private static func service(_ database: any SQLDatabase) async throws -> ManifestService {
        ManifestService(
            store: try await RegistryStore(database: database),
            threads: .singleton,
            sparse: .none,
            clock: { Date(timeIntervalSince1970: 1_800_000_000) }
        )
    }

    private static func request(
        _ content: [UInt8],
        as tag: String
    ) throws -> ManifestService.Request {
        ManifestService.Request(
            repository: try RepositoryName(Self.name),
            reference: .tag(try Tag(tag)),
            tags: [],
            contentType: Samples.imageType,
            content: ByteBuffer(bytes: content),
            condition: nil
        )
    }

    @Test("a manifest that lists thousands of blobs takes the writer a handful of statements, and holds on to each")
    func writer() async throws {
        try await RegistryFixture.run { fixture in
            try await Self.addBlobs(0..<Self.layers, to: fixture)
            let database = WatchedDatabase(fixture.database)
            let service = try await Self.service(database)
            _ = try await service.put(Self.request(Self.image(layers: 0..<Self.layers), as: "v1"))
            #expect(database.writerStatements < 30)
            #expect(try await Self.references(fixture) == Int64(Self.layers) + 1)
        }
    }

    @Test("a manifest that is there already only gets its tag")
    func again() async throws {
        try await RegistryFixture.run { fixture in
            try await Self.addBlobs(0..<Self.layers, to: fixture)
            let database = WatchedDatabase(fixture.database)
            let service = try await Self.service(database)
            let content = Self.image(layers: 0..<Self.layers)
            _ = try await service.put(Self.request(content, as: "v1"))
            let before = database.writerStatements
            _ = try await service.put(Self.request(content, as: "v2"))
            #expect(database.writerStatements - before < 5)
            #expect(try await Self.references(fixture) == Int64(Self.layers) + 1)
            let reply = try await fixture.send(.GET, "/v2/a/manifests/v2")
            #expect(Array(reply.body) == content)
        }
    }

    @Test("a blob that is deleted while a push looks for it is missed all the same")
    func race() async throws {
        try await RegistryFixture.run { fixture in
            try await Self.addBlobs(0..<3, to: fixture)
            let victim = Digest(hashing: Self.layer(1))
            let database = WatchedDatabase(fixture.database) {
                try await fixture.send(.DELETE, "/v2/a/blobs/\(victim)")
            }
            let service = try await Self.service(database)
            let error = await #expect(throws: RegistryError.self) {
                _ = try await service.put(Self.request(Self.image(layers: 0..<3), as: "v1"))
            }
            #expect(error?.code == .manifestBlobUnknown)
            #expect(error?.description.contains(victim.description) == true)
            #expect(try await Self.references(fixture) == 0)
            #expect(try await fixture.send(.GET, "/v2/a/manifests/v1").status == 404)
        }
    }

    @Test("of thousands of missing blobs the reply names some, and says how many more there are")
    func missing() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.config, to: Self.name)
            let reply = try await fixture.putManifest(Self.image(layers: 0..<Self.layers), to: "a", as: "v1")
            #expect(reply.status == 400)
            #expect(Set(reply.codes) == ["MANIFEST_BLOB_UNKNOWN"])
            #expect(reply.body.count < 16_384)
            let named = reply.codes.count - 1
            #expect(reply.text.contains("and \(Self.layers - named) more"))
        }
    }
}
