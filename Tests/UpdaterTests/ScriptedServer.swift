// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A web server that answers each request as its script says, the last line for ever.
final class ScriptedServer: Sendable {
    enum Answer: Sendable {
        /// A whole reply, of which only the part of a range is sent if one was asked for.
        case file([UInt8])
        /// The same without ranges.
        case whole([UInt8])
        case status(HTTPResponseStatus, headers: HTTPHeaders = [:])
        /// The beginning of a file; then the connection breaks.
        case cut([UInt8], of: Int)
        /// Bytes for ever, without saying how many.
        case endless
    }

    struct Request: Sendable, Equatable {
        let uri: String
        let range: String?
    }

    private let channel: any Channel
    private let state: Mutex<(answers: [Answer], requests: [Request])>

    var url: String { "http://127.0.0.1:\(self.channel.localAddress?.port ?? 0)" }
    var requests: [Request] { self.state.withLock { $0.requests } }

    private init(_ channel: any Channel, _ state: consuming sending (answers: [Answer], requests: [Request])) {
        self.channel = channel
        self.state = Mutex(state)
    }

    static func with(_ answers: [Answer], _ body: (ScriptedServer) async throws -> Void) async throws {
        let holder = Holder()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(Handler(holder))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(channel, (answers, []))
        holder.server.withLock { $0 = server }
        do {
            try await body(server)
            try await channel.close()
        } catch {
            try? await channel.close()
            throw error
        }
        holder.server.withLock { $0 = nil }
    }

    private final class Holder: Sendable {
        let server = Mutex<ScriptedServer?>(nil)
    }

    private func answer(_ head: HTTPRequestHead) -> Answer {
        self.state.withLock { state in
            state.requests.append(Request(uri: head.uri, range: head.headers.first(name: "Range")))
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let holder: Holder
        private var head: HTTPRequestHead?

        init(_ holder: Holder) { self.holder = holder }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body: break
            case .end:
                guard let head = self.head, let server = self.holder.server.withLock({ $0 }) else { return }
                self.reply(server.answer(head), head, context)
            }
        }

        private func reply(_ answer: Answer, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
            switch answer {
            case .file(let bytes):
                let start = head.headers.first(name: "Range").flatMap {
                    Int($0.dropFirst("bytes=".count).dropLast())
                }
                guard let start else { return self.send(.ok, [:], bytes, context) }
                guard start < bytes.count else { return self.send(.rangeNotSatisfiable, [:], [], context) }
                let range: HTTPHeaders = ["Content-Range": "bytes \(start)-\(bytes.count - 1)/\(bytes.count)"]
                self.send(.partialContent, range, Array(bytes[start...]), context)
            case .whole(let bytes): self.send(.ok, [:], bytes, context)
            case .status(let status, let headers): self.send(status, headers, [], context)
            case .cut(let bytes, let count):
                self.head(.ok, ["Content-Length": "\(count)"], context)
                context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
                context.close(promise: nil)
            case .endless:
                self.head(.ok, ["Transfer-Encoding": "chunked"], context)
                self.flood(context)
            }
        }

        private func flood(_ context: ChannelHandlerContext) {
            let bytes = ByteBuffer(repeating: 0x20, count: 64 << 10)
            let written = context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(bytes))))
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.whenSuccess { bound.value.0.flood(bound.value.1) }
        }

        private func head(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ context: ChannelHandlerContext) {
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
            context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        }

        private func send(
            _ status: HTTPResponseStatus,
            _ headers: HTTPHeaders,
            _ bytes: [UInt8],
            _ context: ChannelHandlerContext
        ) {
            var headers = headers
            headers.add(name: "Content-Length", value: "\(bytes.count)")
            self.head(status, headers, context)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
