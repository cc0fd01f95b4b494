// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Answers the HTTP/2 PINGs of a peer before the HTTP/2 library sees them.
///
/// grpc-go measures each connection's bandwidth by a PING after a DATA frame, several in a second while calls are made. The
/// library takes more than 200 in 30 s for an attack and closes the connection, and has no setting for it. Here, between TLS
/// and the library, a PING costs one frame of 17 bytes, as RFC 9113 section 6.7 asks. One whose answers the peer does not
/// read is left to the library and its limit.
///
/// On a server's side it expects the client's connection preface first.
package final class PingResponder: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private static let headerSize = 9
    private static let pingPayloadSize = 8
    private static let pingType: UInt8 = 6
    private static let acknowledged: UInt8 = 1
    /// "PRI * HTTP/2.0" and so on, RFC 9113 section 3.4.
    private static let prefaceSize = 24

    /// The beginning of a frame of which too little has come to say what it is: at most 16 bytes.
    private var held = ByteBuffer()
    /// How much of what comes next passes through: the rest of a frame or preface.
    private var passing: Int
    private var hasAnswered = false

    /// - Parameter isServer: whether the peer is the client of the connection.
    package init(isServer: Bool) {
        self.passing = isServer ? Self.prefaceSize : 0
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = self.unwrapInboundIn(data)
        if self.held.readableBytes > 0 {
            self.held.writeBuffer(&input)
            input = self.held
            self.held = ByteBuffer()
        }
        // What lies between here and the reader index goes on to the library, in one piece if it can.
        let whole = input
        var start = input.readerIndex
        while input.readableBytes > 0 {
            if self.passing > 0 {
                let count = min(self.passing, input.readableBytes)
                input.moveReaderIndex(forwardBy: count)
                self.passing -= count
                continue
            }
            guard let frame = Self.header(of: input) else { break }
            guard frame.isPing, context.channel.isWritable else {
                self.passing = Self.headerSize + frame.length
                continue
            }
            guard input.readableBytes >= Self.headerSize + Self.pingPayloadSize else { break }
            self.pass(whole, start..<input.readerIndex, context)
            input.moveReaderIndex(forwardBy: Self.headerSize)
            if let payload = input.readSlice(length: Self.pingPayloadSize) { self.answer(payload, context) }
            start = input.readerIndex
        }
        self.pass(whole, start..<input.readerIndex, context)
        if input.readableBytes > 0 { self.held = ByteBuffer(buffer: input) }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        if self.hasAnswered {
            self.hasAnswered = false
            context.flush()
        }
        context.fireChannelReadComplete()
    }

    /// RFC 9113, section 4.1.
    private static func header(of input: ByteBuffer) -> (length: Int, isPing: Bool)? {
        let index = input.readerIndex
        guard input.readableBytes >= Self.headerSize,
            let high = input.getInteger(at: index, as: UInt8.self),
            let low = input.getInteger(at: index + 1, as: UInt16.self),
            let type = input.getInteger(at: index + 3, as: UInt8.self),
            let flags = input.getInteger(at: index + 4, as: UInt8.self),
            let stream = input.getInteger(at: index + 5, as: UInt32.self)
        else { return nil }
        let length = Int(high) << 16 | Int(low)
        // What is not a well-formed question is the library's to judge.
        let isPing =
            type == Self.pingType && flags & Self.acknowledged == 0 && length == Self.pingPayloadSize
            && stream & 0x7fff_ffff == 0
        return (length, isPing)
    }

    private func pass(_ input: ByteBuffer, _ range: Range<Int>, _ context: ChannelHandlerContext) {
        guard !range.isEmpty, let slice = input.getSlice(at: range.lowerBound, length: range.count) else { return }
        context.fireChannelRead(self.wrapInboundOut(slice))
    }

    private func answer(_ payload: ByteBuffer, _ context: ChannelHandlerContext) {
        var frame = context.channel.allocator.buffer(capacity: Self.headerSize + Self.pingPayloadSize)
        frame.writeInteger(UInt8(0))
        frame.writeInteger(UInt16(Self.pingPayloadSize))
        frame.writeInteger(Self.pingType)
        frame.writeInteger(Self.acknowledged)
        frame.writeInteger(UInt32(0))
        frame.writeImmutableBuffer(payload)
        self.hasAnswered = true
        context.write(self.wrapOutboundOut(frame), promise: nil)
    }
}
