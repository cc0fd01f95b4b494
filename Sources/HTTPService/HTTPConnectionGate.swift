// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Sees a connection's bytes before the parser does: counts them for the time limits, and tells TLS from HTTP.
final class HTTPConnectionGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: HTTPConnection

    init(connection: HTTPConnection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if self.connection.admits(self.unwrapInboundIn(data)) {
            context.fireChannelRead(data)
        }
    }
}
