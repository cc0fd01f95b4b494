// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PercentEncoding
package import S3Client

/// Serves a bucket over HTTP on a free port of this machine.
package struct BucketServer: Sendable {
    package let bucket: MemoryBucket
    package let port: Int

    /// The configuration of a client that reaches the bucket, and never waits.
    package var configuration: S3Configuration {
        var configuration = S3Configuration(
            bucket: self.bucket.name,
            endpoint: HTTPURL("http://127.0.0.1:\(self.port)")
        )
        configuration.sleep = { _ in }
        configuration.readTimeout = .seconds(20)
        return configuration
    }

    /// A setting that differs from the standard.
    package struct Option {
        let apply: (inout S3Configuration) -> Void

        package static func set<Value>(_ path: WritableKeyPath<S3Configuration, Value>, _ value: Value) -> Option {
            Option { $0[keyPath: path] = value }
        }
    }

    /// A client of the bucket. Whoever makes it shuts it down.
    package func makeClient(_ options: [Option] = []) throws -> S3Client {
        var configuration = self.configuration
        for option in options { option.apply(&configuration) }
        return try S3Client(
            configuration,
            credentials: .fixed(S3Credentials(accessKey: "key", secretKey: "secret")),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    /// Runs a server as long as the body.
    package static func run<Value>(
        name: String = "bucket",
        _ body: (BucketServer) async throws -> Value
    ) async throws -> Value {
        let bucket = MemoryBucket(name: name)
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(BucketHandler(bucket: bucket))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(BucketServer(bucket: bucket, port: channel.localAddress?.port ?? 0)))
        } catch {
            result = .failure(error)
        }
        try await channel.close()
        return try result.get()
    }

    /// Runs a server and a client of it as long as the body.
    package static func withClient<Value>(
        _ options: Option...,
        body: (S3Client, MemoryBucket) async throws -> Value
    ) async throws -> Value {
        try await self.run { server in
            let client = try server.makeClient(options)
            let result: Result<Value, any Error>
            do {
                result = .success(try await body(client, server.bucket))
            } catch {
                result = .failure(error)
            }
            try await client.shutdown()
            return try result.get()
        }
    }
}

private final class BucketHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let bucket: MemoryBucket
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(bucket: MemoryBucket) { self.bucket = bucket }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): (self.head, self.body) = (head, [])
        case .body(let buffer): self.body += buffer.readableBytesView
        case .end:
            guard let head = self.head else { return }
            self.answer(head, context)
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let parts = head.uri.split(separator: "?", maxSplits: 1)
        var path = parts.first ?? ""
        // Path style or the bucket in the host's name.
        if !(head.headers.first(name: "Host") ?? "").hasPrefix(self.bucket.name + ".") {
            path = path.dropFirst(self.bucket.name.utf8.count + 1)
        }
        let items = PercentCoding.items(of: parts.count > 1 ? String(parts[1]) : "", limit: 100).map {
            (PercentCoding.decode($0.name) ?? "", PercentCoding.decode($0.value) ?? "")
        }
        let request = BucketRequest(
            method: head.method,
            key: PercentCoding.decode(path.drop { $0 == "/" }) ?? "",
            query: Dictionary(items) { first, _ in first },
            headers: head.headers,
            body: self.body
        )
        var reply = self.bucket.answer(request)
        guard reply.cut != 0 else { return context.close(promise: nil) }
        if head.method == .HEAD || reply.status != .noContent {
            reply.headers.replaceOrAdd(name: "Content-Length", value: String(reply.body.count))
        }
        let answer = HTTPResponseHead(version: .http1_1, status: reply.status, headers: reply.headers)
        context.write(self.wrapOutboundOut(.head(answer)), promise: nil)
        if head.method != .HEAD {
            let bytes = reply.body.prefix(reply.cut ?? .max)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
        }
        if reply.cut != nil {
            let channel = context.channel
            context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer())))).whenComplete { _ in
                channel.close(promise: nil)
            }
        } else {
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
