// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// Over real sockets, with a client that is not ours.
struct LiveServerTests {
    private func run(_ body: (RegistryFixture, String, HTTPClient) async throws -> Void) async throws {
        try await RegistryFixture.run { fixture in
            let server = HTTPServer(
                configuration: HTTPServerConfiguration(port: 0, threadCount: 1),
                responder: fixture.registry.responder,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let address = try await server.bind()
            let base = "http://127.0.0.1:\(try #require(address.port))"
            let client = HTTPClient()
            async let serving: Void = server.run()
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(fixture, base, client))
            } catch {
                result = .failure(error)
            }
            try await client.shutdown()
            server.shutDown()
            try await serving
            try result.get()
        }
    }

    private func request(
        _ client: HTTPClient,
        _ method: HTTPMethod,
        _ url: String,
        _ body: HTTPClientRequest.Body? = nil,
        headers: HTTPHeaders = [:]
    ) async throws -> (HTTPClientResponse, ByteBuffer) {
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.headers = headers
        request.body = body
        let response = try await client.execute(request, timeout: .seconds(60))
        return (response, try await response.body.collect(upTo: 64 << 20))
    }

    @Test("push and pull of an image over HTTP: streamed layer, HEAD with its length, ranges, manifest")
    func session() async throws {
        try await self.run { _, base, client in
            let layer = Samples.bytes(5_000_000)
            let config = Array("{}".utf8)
            for content in [layer, config] {
                let digest = Digest(hashing: content)
                let (missing, _) = try await self.request(client, .HEAD, "\(base)/v2/a/b/blobs/\(digest)")
                #expect(missing.status == .notFound)
                let (post, _) = try await self.request(client, .POST, "\(base)/v2/a/b/blobs/uploads/")
                #expect(post.status == .accepted)
                let location = try #require(post.headers.first(name: "location"))
                let (patch, _) = try await self.request(
                    client,
                    .PATCH,
                    base + location,
                    .stream([ByteBuffer(bytes: content)].async, length: .unknown)
                )
                #expect(patch.status == .accepted)
                let (put, _) = try await self.request(client, .PUT, "\(base)\(location)?digest=\(digest)")
                #expect(put.status == .created)
                for _ in 0..<2 {
                    let (head, _) = try await self.request(client, .HEAD, "\(base)/v2/a/b/blobs/\(digest)")
                    #expect(head.status == .ok)
                    #expect(head.headers["content-length"] == ["\(content.count)"])
                }
            }
            let digest = Digest(hashing: layer)
            let (_, whole) = try await self.request(client, .GET, "\(base)/v2/a/b/blobs/\(digest)")
            #expect(Array(whole.readableBytesView) == layer)
            let (part, bytes) = try await self.request(
                client,
                .GET,
                "\(base)/v2/a/b/blobs/\(digest)",
                headers: ["range": "bytes=4000000-"]
            )
            #expect(part.status == .partialContent)
            #expect(Array(bytes.readableBytesView) == Array(layer[4_000_000...]))
            let (parts, multipart) = try await self.request(
                client,
                .GET,
                "\(base)/v2/a/b/blobs/\(digest)",
                headers: ["range": "bytes=1000000-1999999,7-8,4000000-"]
            )
            #expect(parts.status == .partialContent)
            #expect(parts.headers["content-length"] == ["\(multipart.readableBytes)"])
            let type = try #require(parts.headers.first(name: "content-type"))
            let boundary = try #require(type.split(separator: "=").last)
            let body = Data(multipart.readableBytesView)
            #expect(body.suffix(boundary.utf8.count + 8) == Data("\r\n--\(boundary)--\r\n".utf8))
            for range in [1_000_000..<2_000_000, 7..<9, 4_000_000..<5_000_000] {
                let field = "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/5000000\r\n\r\n"
                let head = try #require(body.firstRange(of: Data(field.utf8)))
                #expect(body[head.upperBound...].prefix(range.count).elementsEqual(layer[range]))
            }

            let manifest = Samples.image(config: config, layers: [layer])
            let (put, _) = try await self.request(
                client,
                .PUT,
                "\(base)/v2/a/b/manifests/v1",
                .bytes(ByteBuffer(bytes: manifest)),
                headers: ["content-type": Samples.imageType]
            )
            #expect(put.status == .created)
            for _ in 0..<2 {
                let (get, content) = try await self.request(client, .GET, "\(base)/v2/a/b/manifests/v1")
                #expect(get.headers["content-length"] == ["\(manifest.count)"])
                #expect(Array(content.readableBytesView) == manifest)
                let (head, _) = try await self.request(client, .HEAD, "\(base)/v2/a/b/manifests/v1")
                #expect(head.headers["content-length"] == ["\(manifest.count)"])
                #expect(head.headers["docker-content-digest"] == ["\(Digest(hashing: manifest))"])
            }
        }
    }

    @Test("an upload whose connection broke goes on over another one")
    func brokenConnection() async throws {
        try await self.run { fixture, base, client in
            let content = Samples.bytes(3_000_000)
            let (post, _) = try await self.request(client, .POST, "\(base)/v2/a/blobs/uploads/")
            let location = try #require(post.headers.first(name: "location"))
            struct Broken: Error {}
            let (stream, feed) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
            feed.yield(ByteBuffer(bytes: content[..<2_000_000]))
            async let cut: Void = {
                await #expect(throws: (any Error).self) {
                    _ = try await self.request(
                        client,
                        .PATCH,
                        base + location,
                        .stream(stream, length: .known(Int64(content.count)))
                    )
                }
            }()
            // The first batch is on the disk; the rest of what was sent may still be on its way.
            while try await fixture.send(.GET, location)["range"] == "0-0" { await Task.yield() }
            feed.finish(throwing: Broken())
            await cut
            var offset: Int?
            var patched: HTTPResponseStatus?
            // The server may notice the end of the old connection a moment later than the new one's begin.
            while patched != .accepted {
                let (status, _) = try await self.request(client, .GET, base + location)
                #expect(status.status == .noContent)
                let last = try #require(
                    status.headers.first(name: "range")?.split(separator: "-").last.flatMap { Int($0) }
                )
                offset = last + 1
                let rest = Array(content[(last + 1)...])
                let (patch, _) = try await self.request(
                    client,
                    .PATCH,
                    base + location,
                    .bytes(ByteBuffer(bytes: rest)),
                    headers: ["content-range": "\(last + 1)-\(content.count - 1)"]
                )
                #expect([.accepted, .rangeNotSatisfiable].contains(patch.status))
                patched = patch.status
            }
            #expect(try #require(offset) >= 1_000_000)
            let (put, _) = try await self.request(client, .PUT, "\(base)\(location)?digest=\(Digest(hashing: content))")
            #expect(put.status == .created)
        }
    }
}

extension Array where Element: Sendable {
    /// The elements as a stream.
    fileprivate var async: AsyncStream<Element> {
        AsyncStream { continuation in
            for element in self { continuation.yield(element) }
            continuation.finish()
        }
    }
}
