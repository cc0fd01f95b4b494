// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import NIOSSL

/// A connection that sends exactly what a test says, and hands back exactly what came.
final class RawClient {
    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let arrived: AsyncStream<ByteBuffer>.Continuation

        init(_ arrived: AsyncStream<ByteBuffer>.Continuation) {
            self.arrived = arrived
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.arrived.yield(self.unwrapInboundIn(data))
        }

        func channelInactive(context: ChannelHandlerContext) {
            self.arrived.finish()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event as? ChannelEvent == .inputClosed { self.arrived.finish() }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    struct Reply {
        var status: Int
        var headers: [String: String]
        var body: ByteBuffer
        var text: String { String(buffer: self.body) }
    }

    struct EndOfConnection: Error {}

    let channel: any Channel
    private var iterator: AsyncStream<ByteBuffer>.Iterator
    private var buffer = ByteBuffer()

    private init(channel: any Channel, arrived: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.iterator = arrived.makeAsyncIterator()
    }

    /// - Parameter halfClosure: Whether the client's side stays open when the server has ended its own.
    static func connect(
        to address: SocketAddress,
        tls: NIOSSLContext? = nil,
        halfClosure: Bool = false,
        receiveBuffer: Int32? = nil
    ) async throws -> RawClient {
        let (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: halfClosure)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: "localhost")
                        )
                    }
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(receiveBuffer))
        }
        let channel = try await bootstrap.connect(to: address).get()
        return RawClient(channel: channel, arrived: stream)
    }

    func send(_ text: String) async throws {
        try await self.channel.writeAndFlush(ByteBuffer(string: text))
    }

    func send(_ bytes: ByteBuffer) async throws {
        try await self.channel.writeAndFlush(bytes)
    }

    func close() async {
        try? await self.channel.close()
    }

    /// - Returns: false at the end of the connection.
    private func readMore() async -> Bool {
        guard var more = await self.iterator.next(isolation: nil) else { return false }
        self.buffer.writeBuffer(&more)
        return true
    }

    /// All that still comes.
    func readToEnd() async -> String {
        while await self.readMore() {}
        defer { self.buffer.clear() }
        return String(buffer: self.buffer)
    }

    func read(_ count: Int) async throws -> ByteBuffer {
        while self.buffer.readableBytes < count {
            guard await self.readMore() else { throw EndOfConnection() }
        }
        return self.buffer.readSlice(length: count) ?? ByteBuffer()
    }

    func readLine() async throws -> String {
        while true {
            let view = self.buffer.readableBytesView
            if let end = view.firstIndex(of: UInt8(ascii: "\n")) {
                let line = self.buffer.readString(length: end - view.startIndex + 1) ?? ""
                return line.hasSuffix("\r\n") ? String(line.dropLast()) : line
            }
            guard await self.readMore() else { throw EndOfConnection() }
        }
    }

    func readHead() async throws -> Reply {
        let statusLine = try await self.readLine().split(separator: " ")
        var reply = Reply(status: Int(statusLine.dropFirst().first ?? "") ?? 0, headers: [:], body: ByteBuffer())
        while true {
            let line = try await self.readLine()
            guard let colon = line.firstIndex(of: ":") else { return reply }
            reply.headers[line[..<colon].lowercased()] =
                String(line[line.index(after: colon)...]).trimmed
        }
    }

    /// One whole reply, by its Content-Length or its chunks.
    func readReply(toHead: Bool = false) async throws -> Reply {
        var reply = try await self.readHead()
        guard !toHead else { return reply }
        if let length = reply.headers["content-length"].flatMap({ Int($0) }) {
            reply.body = try await self.read(length)
        } else if reply.headers["transfer-encoding"] == "chunked" {
            while let count = Int(try await self.readLine().trimmed, radix: 16) {
                var chunk = try await self.read(count)
                reply.body.writeBuffer(&chunk)
                _ = try await self.readLine()
                if count == 0 { break }
            }
        }
        return reply
    }
}

extension String {
    var trimmed: String {
        String(self.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
