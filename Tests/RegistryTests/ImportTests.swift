// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// A storage as docker-registry writes it, in a directory of the test's own.
private struct Storage {
    let directory: String
    private var root: String { self.directory + "/docker/registry/v2" }

    init(_ directory: String) throws {
        self.directory = directory
        try FileManager.default.createDirectory(atPath: self.root + "/repositories", withIntermediateDirectories: true)
    }

    func write(_ path: String, _ bytes: [UInt8]) throws {
        let file = "\(self.root)/\(path)"
        let folder = (file as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: file))
    }

    private func data(_ digest: Digest) -> String {
        "blobs/\(digest.algorithm.rawValue)/\(digest.encoded.prefix(2))/\(digest.encoded)/data"
    }

    func blob(_ bytes: [UInt8], in repository: String, algorithm: Digest.Algorithm = .sha256) throws -> Digest {
        let stored = Digest(hashing: bytes)
        let named = Digest(hashing: bytes, algorithm: algorithm)
        try self.write(self.data(stored), bytes)
        for digest in Set([stored, named]) {
            let path = "repositories/\(repository)/_layers/\(digest.algorithm.rawValue)/\(digest.encoded)/link"
            try self.write(path, Array(stored.description.utf8))
        }
        return named
    }

    func manifest(_ bytes: [UInt8], in repository: String, tags: [String]) throws -> Digest {
        let digest = Digest(hashing: bytes)
        try self.write(self.data(digest), bytes)
        let text = Array(digest.description.utf8)
        try self.write("repositories/\(repository)/_manifests/revisions/sha256/\(digest.encoded)/link", text)
        for tag in tags { try self.write("repositories/\(repository)/_manifests/tags/\(tag)/current/link", text) }
        return digest
    }

    /// An image of one layer.
    func image(_ layer: [UInt8], in repository: String, tags: [String]) throws -> Digest {
        let config = try self.blob(Array("{}".utf8), in: repository)
        let blob = try self.blob(layer, in: repository)
        return try self.manifest(Self.image(config, blob, layer.count), in: repository, tags: tags)
    }

    static func image(_ config: Digest, _ layer: Digest, _ size: Int) -> [UInt8] {
        Array(
            """
            {"schemaVersion":2,"mediaType":"\(MediaType.dockerManifest)",\
            "config":{"mediaType":"\(MediaType.dockerConfig)","digest":"\(config)","size":2},\
            "layers":[{"mediaType":"\(MediaType.dockerLayerGzip)","digest":"\(layer)","size":\(size)}]}
            """.utf8
        )
    }

    func remove(_ digest: Digest) throws {
        try FileManager.default.removeItem(atPath: "\(self.root)/\(self.data(digest))")
    }

    func replace(_ digest: Digest, with bytes: [UInt8]) throws { try self.write(self.data(digest), bytes) }
}

extension RegistryFixture {
    private func storage() throws -> Storage { try Storage(self.directory + "/old-\(UUID().uuidString)") }

    fileprivate static func importing(
        _ prepare: (Storage) throws -> Void,
        _ body: (RegistryFixture, Storage) async throws -> Void
    ) async throws {
        try await RegistryFixture.run { fixture in
            let storage = try fixture.storage()
            try prepare(storage)
            try await body(fixture, storage)
        }
    }

    /// As a command beside the server does it.
    fileprivate func take(
        _ storage: Storage,
        _ configure: (inout RegistryImport.Options) -> Void = { _ in }
    ) async throws -> ImportReport {
        var options = RegistryImport.Options()
        configure(&options)
        let directory = self.directory + "/blobs"
        let files = try await FileBlobStore(root: directory, takesUploads: false)
        let run = try await RegistryImport(
            directory: storage.directory,
            blobs: files,
            foreign: ForeignChanges(directory: directory),
            database: self.database,
            options: options,
            clock: { self.clock.now }
        )
        return try await run.run()
    }
}

struct ImportTests {
    @Test("Images, their tags and nested repositories are served as they were, and a second import has nothing to do")
    func everything() async throws {
        let layer = Samples.bytes(300_000)
        var images: [String: Digest] = [:]
        var index: Digest?
        try await RegistryFixture.importing { storage in
            images["a"] = try storage.image(layer, in: "a", tags: ["1", "latest"])
            images["a/b"] = try storage.image(layer, in: "a/b", tags: ["1"])
            images["deep/er/still"] = try storage.image([1, 2, 3], in: "deep/er/still", tags: ["v_1.0-x"])
            let child = try #require(images["a"])
            let text = """
                {"schemaVersion":2,"mediaType":"\(MediaType.imageIndex)","manifests":[{"mediaType":\
                "\(MediaType.dockerManifest)","digest":"\(child)","size":\(Storage.image(Digest(hashing: Array("{}".utf8)), Digest(hashing: layer), layer.count).count)}]}
                """
            index = try storage.manifest(Array(text.utf8), in: "a", tags: ["multi"])
        } _: { fixture, storage in
            // What the server remembers from before must not hide what comes.
            #expect(try await fixture.send(.GET, "/v2/a/manifests/latest").status == 404)
            let first = try await fixture.take(storage)
            #expect(first.problems == [])
            #expect(first.repositories == 3)
            #expect(first.manifests == 4)
            #expect(first.presentManifests == 0)
            #expect(first.tags == 5)
            #expect(first.blobs == 3)
            #expect(first.linkedBlobs == 3)
            #expect(first.sharedBlobs == 3)
            for (name, digest) in images {
                let tag = name == "deep/er/still" ? "v_1.0-x" : "1"
                let reply = try await fixture.send(.GET, "/v2/\(name)/manifests/\(tag)")
                #expect(reply.status == 200)
                #expect(reply["docker-content-digest"] == digest.description)
                #expect(reply["content-type"] == MediaType.dockerManifest.rawValue)
            }
            #expect(
                try await fixture.send(.GET, "/v2/a/manifests/multi")["docker-content-digest"] == index?.description
            )
            let blob = try await fixture.send(.GET, "/v2/a/b/blobs/\(Digest(hashing: layer))")
            #expect(Array(blob.body) == layer)
            // What is removed there is not removed here.
            try FileManager.default.removeItem(atPath: storage.directory + "/docker/registry/v2/blobs")
            #expect(try await Array(fixture.send(.GET, "/v2/a/blobs/\(Digest(hashing: layer))").body) == layer)
            let second = try await fixture.take(storage)
            #expect(second.problems == [])
            #expect(second.blobs + second.sharedBlobs + second.manifests + second.tags == 0)
            #expect(second.presentBlobs == 6)
            #expect(second.presentManifests == 4)
            #expect(second.presentTags == 5)
        }
    }

    @Test("What is broken is told and left, and the rest is imported")
    func damage() async throws {
        let (lost, rotten) = (Samples.bytes(1000), Samples.bytes(2000))
        try await RegistryFixture.importing { storage in
            _ = try storage.image([1], in: "good", tags: ["1"])
            let one = try storage.image(lost, in: "lost", tags: ["1"])
            try storage.remove(Digest(hashing: lost))
            let two = try storage.image(rotten, in: "rotten", tags: ["1"])
            try storage.replace(Digest(hashing: rotten), with: Array(rotten.dropLast()))
            #expect(one != two)
            let empty = try storage.image([2], in: "empty", tags: ["1", "2"])
            try storage.replace(empty, with: [])
            try storage.write("repositories/good/_manifests/tags/halfway/current/link", [])
            try storage.write("repositories/good/_layers/sha256/nonsense/link", [1])
            try storage.write("repositories/Not_A_Name/_manifests/tags/x/current/link", [])
            let old = Array(#"{"schemaVersion":1,"name":"old","tag":"1","fsLayers":[],"history":[]}"#.utf8)
            _ = try storage.manifest(old, in: "old", tags: ["1"])
        } _: { fixture, storage in
            let report = try await fixture.take(storage)
            let told = Set(report.problems.map { "\($0.repository) \($0.item.prefix(10))" })
            let digest = { (bytes: [UInt8]) in Digest(hashing: bytes).description.prefix(10) }
            #expect(told.contains("lost \(digest(lost))"))
            #expect(told.contains("lost 1"))
            #expect(told.contains("rotten \(digest(rotten))"))
            #expect(told.contains("rotten 1"))
            #expect(told.contains("empty 2"))
            #expect(told.contains("good halfway"))
            #expect(told.contains("good nonsense"))
            #expect(told.contains(" Not_A_Name"))
            #expect(told.contains("old 1"))
            #expect(report.problemCount == report.problems.count)
            #expect(try await fixture.send(.GET, "/v2/good/manifests/1").status == 200)
            for name in ["lost", "rotten", "empty", "old"] {
                #expect(try await fixture.send(.GET, "/v2/\(name)/manifests/1").status == 404)
            }
            // Nothing that was refused lies about.
            let files = try await FileBlobStore(root: fixture.directory + "/blobs", takesUploads: false)
            let rows = try await fixture.database.query("SELECT location FROM blobs").map { try $0.text(0) }
            #expect(try await files.page(after: nil, limit: 1000).map(\.location.description).sorted() == rows.sorted())
        }
    }

    @Test("Tags that stand for something else here are kept, or moved if that is asked for")
    func movedTags() async throws {
        try await RegistryFixture.importing { storage in
            _ = try storage.image([1], in: "a", tags: ["1"])
        } _: { fixture, storage in
            _ = try await fixture.take(storage)
            let moved = try storage.image([2], in: "a", tags: ["1"])
            let kept = try await fixture.take(storage)
            #expect(kept.keptTags == 1)
            #expect(try await fixture.send(.GET, "/v2/a/manifests/1")["docker-content-digest"] != moved.description)
            let report = try await fixture.take(storage) { $0.movesTags = true }
            #expect(report.tags == 1)
            #expect(try await fixture.send(.GET, "/v2/a/manifests/1")["docker-content-digest"] == moved.description)
        }
    }

    @Test("What was pushed by SHA-512 is there by both digests, once on the disk")
    func sha512() async throws {
        let content = Samples.bytes(5000)
        try await RegistryFixture.importing { storage in
            _ = try storage.blob(content, in: "a", algorithm: .sha512)
            try storage.write("repositories/a/_manifests/placeholder", [])
        } _: { fixture, storage in
            let report = try await fixture.take(storage)
            #expect(report.problems == [])
            #expect(report.linkedBlobs == 2)
            for algorithm in Digest.Algorithm.allCases {
                let digest = Digest(hashing: content, algorithm: algorithm)
                #expect(try await Array(fixture.send(.GET, "/v2/a/blobs/\(digest)").body) == content)
            }
        }
    }

    @Test("A rehearsal changes nothing")
    func rehearsal() async throws {
        try await RegistryFixture.importing { storage in
            _ = try storage.image([1], in: "a", tags: ["1"])
        } _: { fixture, storage in
            let report = try await fixture.take(storage) { $0.isRehearsal = true }
            #expect(report.blobs == 2)
            #expect(report.manifests == 1)
            #expect(report.tags == 1)
            #expect(try await fixture.database.query("SELECT name FROM repositories").isEmpty)
            _ = try await fixture.take(storage)
            let again = try await fixture.take(storage) { $0.isRehearsal = true }
            #expect(again.blobs + again.manifests + again.tags == 0)
            #expect(again.presentBlobs == 2)
            #expect(again.presentManifests == 1)
            #expect(again.presentTags == 1)
        }
    }
}
