// SPDX-License-Identifier: Apache-2.0

import GRPCNIOTransportHTTP2
import HTTPService
import NIOCore
import NIOPosix
import NIOSSL
import SignerAPI
import Synchronization

/// Accepts the signer's connections: each with the TLS context of the moment, at most so many, and each with a bounded time
/// to shake hands.
struct SignerListener: HTTP2ServerTransport.ListenerFactory {
    /// The connections that are open.
    final class Connections: Sendable {
        private let limit: Int
        private let count = Mutex(0)

        init(limit: Int) {
            self.limit = limit
        }

        /// - Returns: false when there are as many as there may be.
        func add() -> Bool {
            self.count.withLock { count in
                guard count < self.limit else { return false }
                count += 1
                return true
            }
        }

        func remove() { self.count.withLock { $0 -= 1 } }
    }

    let socket: ListeningSocket
    let tls: TLSContextSource
    let connections: Connections
    let handshakeLimit: TimeAmount
    let eventLoopGroup: any EventLoopGroup

    func makeListeningChannel(
        listenerConfigurator: HTTP2ServerTransport.ListenerConfigurator,
        connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        guard let descriptor = self.socket.take() else { throw ChannelError.alreadyClosed }
        return try await ServerBootstrap(group: self.eventLoopGroup)
            .serverChannelInitializer { listenerConfigurator.configure(channel: $0) }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .bind(NIOBSDSocket.Handle(descriptor)) { channel in
                channel.eventLoop.makeCompletedFuture { try self.secure(channel) }.flatMap {
                    connectionConfigurator.configure(channel: channel, tls: .configured(requireALPN: false))
                }
            }
    }

    private func secure(_ channel: any Channel) throws {
        guard self.connections.add() else { throw ChannelError.connectTimeout(.zero) }
        channel.closeFuture.whenComplete { _ in self.connections.remove() }
        let handshake = HandshakeLimit(within: self.handshakeLimit)
        try channel.pipeline.syncOperations.addHandlers([
            NIOSSLServerHandler(context: self.tls.current), handshake, PingResponder(isServer: true),
        ])
    }
}

/// Closes a connection over which nothing has come within some time: its TLS handshake takes too long, or it is of no use.
private final class HandshakeLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let limit: TimeAmount
    private var timer: Scheduled<Void>?

    init(within limit: TimeAmount) {
        self.limit = limit
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        self.timer = context.eventLoop.scheduleTask(in: self.limit) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.timer?.cancel()
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.timer?.cancel() }
}
