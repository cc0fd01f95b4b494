// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Synchronization

/// A registry in memory on a loopback port, that a test can make misbehave.
final class FakeRegistry: Sendable {
    struct Request: Sendable {
        let method: HTTPMethod
        let path: String
        let query: [String: String]
        let headers: HTTPHeaders
        let body: [UInt8]

        var authorization: String? { self.headers.first(name: "Authorization") }
    }

    struct Reply: Sendable {
        var status: HTTPResponseStatus
        var headers: HTTPHeaders = [:]
        var body: [UInt8] = []
        /// Sends only so much of the body, then cuts the connection.
        var cutsAfter: Int?
        /// Sends the body again and again without a length.
        var isEndless = false
        /// Sends nothing at all.
        var isSilent = false
    }

    struct State: Sendable {
        var blobs: [String: [UInt8]] = [:]
        var manifests: [String: (type: String, bytes: [UInt8])] = [:]
        var uploads: [String: [UInt8]] = [:]
        var requests: [Request] = []
        /// Answers before the registry does, when it gives a reply.
        var intercept: @Sendable (Request, inout State) -> Reply? = { _, _ in nil }
        /// Cuts the connection when so many bytes of a PATCH have come, once.
        var cutsPatchAfter: Int?
    }

    let state = Mutex(State())
    private let channel: Mutex<(any Channel)?> = Mutex(nil)

    var authority: String {
        "127.0.0.1:\(self.channel.withLock { $0?.localAddress?.port ?? 0 })"
    }

    func start() async throws {
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(FakeHandler(self))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        self.channel.withLock { $0 = channel }
    }

    /// Ends it; does nothing the second time.
    func stop() async throws {
        let channel = self.channel.withLock { channel in
            defer { channel = nil }
            return channel
        }
        try await channel?.close()
    }

    /// Runs a test with a registry that listens.
    static func run(_ body: (FakeRegistry) async throws -> Void) async throws {
        let registry = FakeRegistry()
        try await registry.start()
        do {
            try await body(registry)
        } catch {
            try await registry.stop()
            throw error
        }
        try await registry.stop()
    }

    func requests(_ method: HTTPMethod, _ fragment: String = "") -> [Request] {
        self.state.withLock {
            $0.requests.filter { $0.method == method && (fragment.isEmpty || $0.path.contains(fragment)) }
        }
    }

    func intercept(_ body: @escaping @Sendable (Request, inout State) -> Reply?) {
        self.state.withLock { $0.intercept = body }
    }

    func reply(_ request: Request) -> Reply {
        self.state.withLock { state in
            state.requests.append(request)
            let intercept = state.intercept
            return intercept(request, &state) ?? Self.reply(request, &state)
        }
    }

    private static func reply(_ request: Request, _ state: inout State) -> Reply {
        let parts = request.path.split(separator: "/").map(String.init)
        guard parts.first == "v2" else { return Reply(status: .notFound) }
        if parts.count == 1 { return Reply(status: .ok, body: Array("{}".utf8)) }
        if parts.last == "uploads" { return self.start(request, parts, &state) }
        switch parts[parts.count - 2] {
        case "uploads": return self.upload(request, parts, &state)
        case "blobs": return self.blob(request, parts[parts.count - 1], state)
        case "manifests": return self.manifest(request, parts[parts.count - 1], &state)
        default: return Reply(status: .notFound)
        }
    }

    private static func start(_ request: Request, _ parts: [String], _ state: inout State) -> Reply {
        if let digest = request.query["mount"], state.blobs[digest] != nil { return Reply(status: .created) }
        let id = "upload\(state.uploads.count)"
        state.uploads[id] = []
        return Reply(status: .accepted, headers: ["Location": request.path + id + "?_state=x", "Range": "0-0"])
    }

    private static func upload(_ request: Request, _ parts: [String], _ state: inout State) -> Reply {
        let id = parts[parts.count - 1]
        guard let present = state.uploads[id] else { return Self.error(.notFound, "BLOB_UPLOAD_UNKNOWN") }
        let location = request.path + "?_state=\(present.count + request.body.count)"
        switch request.method {
        case .PATCH:
            if let range = request.headers.first(name: "Content-Range"), !range.hasPrefix("\(present.count)-") {
                return Reply(status: .rangeNotSatisfiable)
            }
            state.uploads[id] = present + request.body
            return Reply(status: .accepted, headers: ["Location": location])
        case .GET:
            return Reply(
                status: .noContent,
                headers: ["Location": location, "Range": "0-\(max(0, present.count - 1))"]
            )
        case .PUT:
            state.uploads[id] = nil
            let whole = present + request.body
            guard let text = request.query["digest"], Digest(hashing: whole).description == text else {
                return Self.error(.badRequest, "DIGEST_INVALID")
            }
            state.blobs[text] = whole
            return Reply(status: .created)
        default: return Reply(status: .methodNotAllowed)
        }
    }

    private static func blob(_ request: Request, _ digest: String, _ state: State) -> Reply {
        guard let bytes = state.blobs[digest] else { return Self.error(.notFound, "BLOB_UNKNOWN") }
        guard let range = request.headers.first(name: "Range"), let first = Int(range.dropFirst(6).dropLast()) else {
            return Reply(status: .ok, body: bytes)
        }
        return Reply(
            status: .partialContent,
            headers: ["Content-Range": "bytes \(first)-\(bytes.count - 1)/\(bytes.count)"],
            body: Array(bytes[first...])
        )
    }

    private static func manifest(_ request: Request, _ reference: String, _ state: inout State) -> Reply {
        if request.method == .PUT {
            let digest = Digest(hashing: request.body).description
            let manifest = (request.headers.first(name: "Content-Type") ?? "", request.body)
            state.manifests[digest] = manifest
            state.manifests[reference] = manifest
            return Reply(status: .created, headers: ["Docker-Content-Digest": digest])
        }
        guard let manifest = state.manifests[reference] else { return Self.error(.notFound, "MANIFEST_UNKNOWN") }
        let digest = Digest(hashing: manifest.bytes).description
        return Reply(
            status: .ok,
            headers: ["Content-Type": manifest.type, "Docker-Content-Digest": digest],
            body: manifest.bytes
        )
    }

    static func error(_ status: HTTPResponseStatus, _ code: String) -> Reply {
        Reply(status: status, body: Array(#"{"errors":[{"code":"\#(code)","message":"no \u001b[2J"}]}"#.utf8))
    }
}

private final class FakeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let registry: FakeRegistry
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ registry: FakeRegistry) {
        self.registry = registry
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head): (self.head, self.body) = (head, [])
        case .body(let buffer):
            self.body.append(contentsOf: buffer.readableBytesView)
            self.cutPatch(context)
        case .end:
            guard let head = self.head else { return }
            self.answer(head, context)
        }
    }

    private func request(_ head: HTTPRequestHead) -> FakeRegistry.Request {
        let components = URLComponents(string: head.uri)
        let items = (components?.queryItems ?? []).map { ($0.name, $0.value ?? "") }
        return FakeRegistry.Request(
            method: head.method,
            path: components?.path ?? head.uri,
            query: Dictionary(items) { first, _ in first },
            headers: head.headers,
            body: self.body
        )
    }

    private func cutPatch(_ context: ChannelHandlerContext) {
        guard let head = self.head, head.method == .PATCH else { return }
        let request = self.request(head)
        let isCut = self.registry.state.withLock { state in
            guard let limit = state.cutsPatchAfter, self.body.count >= limit else { return false }
            state.cutsPatchAfter = nil
            state.requests.append(request)
            state.uploads[String(request.path.split(separator: "/").last ?? "")]?.append(contentsOf: self.body)
            return true
        }
        if isCut {
            self.head = nil
            context.close(promise: nil)
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let reply = self.registry.reply(self.request(head))
        guard !reply.isSilent else { return }
        var headers = reply.headers
        if !reply.isEndless, !headers.contains(name: "Content-Length"), reply.status != .noContent {
            headers.add(name: "Content-Length", value: String(reply.body.count))
        }
        context.write(
            self.wrapOutboundOut(.head(.init(version: .http1_1, status: reply.status, headers: headers))),
            promise: nil
        )
        guard head.method != .HEAD else {
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
            return
        }
        if reply.isEndless {
            self.writeForever(reply.body, context)
            return
        }
        let body = reply.body.prefix(reply.cutsAfter ?? .max)
        context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        if reply.cutsAfter != nil {
            context.close(promise: nil)
        } else {
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    private func writeForever(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        let part = self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(part).whenSuccess { bound.value.0.writeForever(bytes, bound.value.1) }
    }
}
