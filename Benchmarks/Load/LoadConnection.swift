// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Holds one conversation over one connection, and notes how long each operation took.
///
/// `@unchecked Sendable`: its state is touched on the connection's event loop only, and read after its end.
final class LoadConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// How long each operation took, in nanoseconds.
    private(set) var durations: [Int64] = []
    private let host: String
    private var conversation: any Conversation
    private let ended: EventLoopPromise<Void>
    private var request: LoadRequest?
    private var started = NIODeadline.now()
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()

    init(host: String, conversation: any Conversation, ended: EventLoopPromise<Void>) {
        self.host = host
        self.conversation = conversation
        self.ended = ended
    }

    func channelActive(context: ChannelHandlerContext) {
        self.advance(after: nil, context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head) where head.status.code >= 200:
            self.head = head
            self.body.clear()
        case .head:
            break
        case .body(var bytes):
            self.body.writeBuffer(&bytes)
        case .end:
            guard let head = self.head else { return }
            self.head = nil
            self.receive(LoadReply(status: head.status.code, headers: head.headers, body: self.body), context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.end(error, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.ended.fail(LoadError("the server closed a connection in mid-conversation"))
    }

    private func receive(_ reply: LoadReply, _ context: ChannelHandlerContext) {
        guard let request = self.request else { return }
        if request.endsOperation { self.durations.append((NIODeadline.now() - self.started).nanoseconds) }
        guard reply.status == request.expectedStatus else {
            let text = String(buffer: reply.body).prefix(300)
            self.end(LoadError("\(request.method) \(request.path): \(reply.status) \(text)"), context)
            return
        }
        self.advance(after: reply, context)
    }

    private func advance(after reply: LoadReply?, _ context: ChannelHandlerContext) {
        do {
            guard let request = try self.conversation.next(after: reply) else {
                self.end(nil, context)
                return
            }
            self.send(request, context)
        } catch {
            self.end(error, context)
        }
    }

    private func send(_ request: LoadRequest, _ context: ChannelHandlerContext) {
        self.request = request
        if request.beginsOperation { self.started = .now() }
        var headers = request.headers
        headers.add(name: "host", value: self.host)
        if request.method != .GET { headers.add(name: "content-length", value: "\(request.body.readableBytes)") }
        let head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.path, headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        if request.body.readableBytes > 0 {
            context.write(self.wrapOutboundOut(.body(.byteBuffer(request.body))), promise: nil)
        }
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    private func end(_ error: (any Error)?, _ context: ChannelHandlerContext) {
        if let error { self.ended.fail(error) } else { self.ended.succeed() }
        context.close(promise: nil)
    }
}
