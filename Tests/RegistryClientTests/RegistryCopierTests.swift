// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import RegistryClient

private let layer = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 37 / 19) }

/// Two registries, and what copies between them without ever really waiting.
private struct Sides {
    let source: FakeRegistry
    let destination: FakeRegistry
    let from: RegistryClient
    let to: RegistryClient

    func copier(_ configure: (inout RegistryCopier.Options) -> Void = { _ in }) -> RegistryCopier {
        var options = RegistryCopier.Options()
        configure(&options)
        return RegistryCopier(from: self.from, to: self.to, options: options)
    }

    static func run(_ body: (Sides) async throws -> Void) async throws {
        try await FakeRegistry.run { source in
            try await FakeRegistry.run { destination in
                var configuration = RegistryClientConfiguration()
                configuration.sleep = { _ in }
                configuration.scheme = .http
                let from = try Self.client(source, configuration)
                let to = try Self.client(destination, configuration)
                let sides = Sides(source: source, destination: destination, from: from, to: to)
                let result: Result<Void, any Error>
                do {
                    result = .success(try await body(sides))
                } catch {
                    result = .failure(error)
                }
                try await from.shutdown()
                try await to.shutdown()
                try result.get()
            }
        }
    }

    private static func client(
        _ registry: FakeRegistry,
        _ configuration: RegistryClientConfiguration
    ) throws -> RegistryClient {
        try RegistryClient(registry: registry.authority, configuration: configuration, logger: Logger(label: "test"))
    }
}

private let name: RepositoryName = {
    guard let name = try? RepositoryName("team/app") else { preconditionFailure("the name is valid") }
    return name
}()

/// An image of one layer under a tag.
@discardableResult
private func put(_ layer: [UInt8], as tag: String, _ registry: FakeRegistry) -> Descriptor {
    let blob = Descriptor(mediaType: .layerGzip, content: layer)
    let config = Descriptor(mediaType: .empty, content: Array("{}".utf8))
    let manifest = Array(
        """
        {"schemaVersion":2,"mediaType":"\(MediaType.imageManifest)",\
        "config":{"mediaType":"\(MediaType.empty)","digest":"\(config.digest)","size":2},\
        "layers":[{"mediaType":"\(blob.mediaType)","digest":"\(blob.digest)","size":\(blob.size)}]}
        """.utf8
    )
    let image = Descriptor(mediaType: .imageManifest, content: manifest)
    registry.state.withLock { state in
        state.blobs[blob.digest.description] = layer
        state.blobs[config.digest.description] = Array("{}".utf8)
        state.manifests[tag] = (MediaType.imageManifest.rawValue, manifest)
        state.manifests[image.digest.description] = (MediaType.imageManifest.rawValue, manifest)
    }
    return blob
}

struct RegistryCopierTests {
    @Test("A blob arrives whole although both registries break off, and each byte counts once")
    func cutsOnBothSides() async throws {
        try await Sides.run { sides in
            let blob = put(layer, as: "1.0", sides.source)
            let cuts = Mutex(3)
            sides.source.intercept { request, _ in
                guard request.method == .GET, request.path.hasSuffix(blob.digest.description),
                    cuts.withLock({ cuts in
                        cuts -= 1
                        return cuts >= 0
                    })
                else { return nil }
                let range = request.headers.first(name: "Range")
                let first = range.flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
                let rest = Array(layer[first...])
                return .init(
                    status: range == nil ? .ok : .partialContent,
                    headers: range == nil
                        ? [:] : ["Content-Range": "bytes \(first)-\(layer.count - 1)/\(layer.count)"],
                    body: rest,
                    cutsAfter: 700_000
                )
            }
            sides.destination.state.withLock { $0.cutsPatchAfter = 1_200_000 }
            let report = try await sides.copier().copyImage(.tag(try Tag("1.0")), of: name, to: name, as: [.latest])
            let repository = try #require(report.repositories.first)
            #expect(report.failures.map { "\($0.error)" } == [])
            #expect(repository.copied.blobs == 2)
            #expect(repository.bytes == blob.size + 2)
            let stored = sides.destination.state.withLock { $0 }
            #expect(stored.blobs[blob.digest.description] == layer)
            #expect(stored.manifests["latest"]?.bytes == sides.source.state.withLock { $0.manifests["1.0"]?.bytes })
            #expect(cuts.withLock { $0 } < 0)
            #expect(stored.cutsPatchAfter == nil)
        }
    }

    @Test("Wrong content is refused before all of it has been sent, and the tag is not set")
    func wrongContent() async throws {
        try await Sides.run { sides in
            let blob = put(layer, as: "1.0", sides.source)
            var wrong = layer
            wrong[2_999_999] ^= 1
            sides.source.state.withLock { [wrong] in $0.blobs[blob.digest.description] = wrong }
            let report = try await sides.copier().copyImage(.tag(try Tag("1.0")), of: name, to: name, as: [.latest])
            #expect(report.failures.map(\.image) == ["team/app:1.0"])
            #expect((report.failures.first?.error as? RegistryError)?.code == .digestMismatch)
            let stored = sides.destination.state.withLock { $0 }
            #expect(stored.manifests.isEmpty)
            #expect(stored.blobs[blob.digest.description] == nil)
            // It is the registry that is wrong: to ask it again is in vain.
            #expect(sides.source.requests(.GET, blob.digest.description).count == 1)
        }
    }

    @Test("An image that fails keeps no other from being copied, and running it again does only what is missing")
    func failureOfOne() async throws {
        try await Sides.run { sides in
            put([1, 2, 3], as: "good", sides.source)
            let bad = put([4, 5, 6], as: "bad", sides.source)
            sides.source.intercept { request, _ in
                if request.path == "/v2/team/app/tags/list" {
                    return .init(status: .ok, body: Array(#"{"tags":["bad","good"]}"#.utf8))
                }
                return request.method == .GET && request.path.hasSuffix(bad.digest.description)
                    ? FakeRegistry.error(.notFound, "BLOB_UNKNOWN") : nil
            }
            let first = try await sides.copier().copyRepository(name, to: name)
            #expect(first.failures.map(\.image) == ["team/app:bad"])
            #expect(first.repositories.first?.copied.tags == 1)
            sides.source.intercept { request, _ in
                request.path == "/v2/team/app/tags/list"
                    ? .init(status: .ok, body: Array(#"{"tags":["bad","good"]}"#.utf8)) : nil
            }
            let second = try await sides.copier().copyRepository(name, to: name)
            #expect(second.failures.isEmpty)
            #expect(second.repositories.first?.copied.tags == 1)
            #expect(second.repositories.first?.skipped.tags == 1)
            #expect(second.repositories.first?.bytes == 3)
        }
    }

    @Test("A registry that is out of reach again and again is given up")
    func givesUp() async throws {
        try await Sides.run { sides in
            let tags = (0..<100).map { "t\($0)" }
            for tag in tags { put(Array(tag.utf8), as: tag, sides.source) }
            sides.source.intercept { request, _ in
                request.path == "/v2/team/app/tags/list"
                    ? .init(status: .ok, body: Array(#"{"tags":["\#(tags.joined(separator: #"",""#))"]}"#.utf8)) : nil
            }
            try await sides.destination.stop()
            let report = try await sides.copier().copyRepository(name, to: name)
            #expect(report.failures.count == 100)
            #expect(report.failures.contains { "\($0.error)".hasPrefix("not tried") })
            #expect(report.failures.allSatisfy { ($0.error as? RegistryError)?.code == .unreachable })
        }
    }

    @Test("A rehearsal changes nothing")
    func rehearsal() async throws {
        try await Sides.run { sides in
            let blob = put(layer, as: "1.0", sides.source)
            let copier = sides.copier { $0.isRehearsal = true }
            let report = try await copier.copyImage(.tag(try Tag("1.0")), of: name, to: name, as: [.latest])
            #expect(report.repositories.first?.copied.blobs == 2)
            #expect(report.repositories.first?.bytes == blob.size + 2)
            for method: HTTPMethod in [.POST, .PATCH, .PUT] { #expect(sides.destination.requests(method).isEmpty) }
        }
    }
}

struct CopyFilterTests {
    @Test(
        "Patterns choose repositories and tags",
        arguments: [
            ([], [], "team/app", "1", true),
            (["team/*"], [], "team/app", "1", true),
            (["team/*"], [], "team/app/tools", "1", false),
            (["team/**"], [], "team/app/tools", "1", true),
            (["**"], ["**:nightly-*"], "a", "nightly-1", false),
            (["**"], ["**:nightly-*"], "a", "v1", true),
            (["a:v*"], [], "a", "v1", true),
            (["a:v*"], [], "a", "1", false),
            ([], ["team/app"], "team/app", "1", false),
            ([], ["team"], "team/app", "1", true),
        ]
    )
    func admits(_ include: [String], _ exclude: [String], _ repository: String, _ tag: String, _ expected: Bool) throws
    {
        let filter = CopyFilter(
            include: try include.map { try CopyFilter.Rule($0) },
            exclude: try exclude.map { try CopyFilter.Rule($0) }
        )
        #expect(try filter.admits(RepositoryName(repository), Tag(tag)) == expected)
    }
}
