// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import SignerAPI
import Testing

@Suite("Answering PINGs")
struct PingResponderTests {
    private static func frame(type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8]) -> [UInt8] {
        let length = UInt32(payload.count)
        return [UInt8(length >> 16), UInt8(length >> 8 & 0xff), UInt8(length & 0xff), type, flags]
            + [24, 16, 8, 0].map { UInt8(stream >> $0 & 0xff) } + payload
    }

    private static let ping: [UInt8] = Self.frame(type: 6, [1, 2, 3, 4, 5, 6, 7, 8])
    private static let acknowledgement: [UInt8] = Self.frame(type: 6, flags: 1, [1, 2, 3, 4, 5, 6, 7, 8])
    private static let data: [UInt8] = Self.frame(type: 0, flags: 1, stream: 1, Self.ping + Self.ping)
    private static let settings: [UInt8] = Self.frame(type: 4, [])
    /// PINGs that are not questions, or not well-formed: the library's to judge.
    private static let others: [UInt8] =
        Self.acknowledgement + Self.frame(type: 6, [1, 2, 3])
        + Self.frame(type: 6, stream: 3, [8, 7, 6, 5, 4, 3, 2, 1])

    private static func read(_ channel: EmbeddedChannel) throws -> (inbound: [UInt8], outbound: [UInt8]) {
        var inbound: [UInt8] = []
        var outbound: [UInt8] = []
        while let buffer = try channel.readInbound(as: ByteBuffer.self) { inbound += buffer.readableBytesView }
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { outbound += buffer.readableBytesView }
        return (inbound, outbound)
    }

    @Test("PINGs are answered in order and everything else passes, however the bytes are cut", arguments: 1...40)
    func cutting(size: Int) throws {
        let channel = EmbeddedChannel(handler: PingResponder(isServer: false))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let input = Self.settings + Self.ping + Self.data + Self.ping + Self.ping + Self.others + Self.ping + Self.data
        for start in stride(from: 0, to: input.count, by: size) {
            try channel.writeInbound(ByteBuffer(bytes: input[start..<min(start + size, input.count)]))
        }
        let (inbound, outbound) = try Self.read(channel)
        #expect(inbound == Self.settings + Self.data + Self.others + Self.data)
        #expect(outbound == Self.acknowledgement + Self.acknowledgement + Self.acknowledgement + Self.acknowledgement)
        _ = try channel.finish()
    }

    @Test("a server lets the client's preface pass")
    func preface() throws {
        let channel = EmbeddedChannel(handler: PingResponder(isServer: true))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        try channel.writeInbound(ByteBuffer(bytes: preface + Self.settings + Self.ping))
        let (inbound, outbound) = try Self.read(channel)
        #expect(inbound == preface + Self.settings)
        #expect(outbound == Self.acknowledgement)
        _ = try channel.finish()
    }

    @Test("a peer that does not read the answers meets the library's limit")
    func unread() throws {
        let channel = EmbeddedChannel(handler: PingResponder(isServer: false))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        channel.isWritable = false
        try channel.writeInbound(ByteBuffer(bytes: Self.ping))
        let (inbound, outbound) = try Self.read(channel)
        #expect(inbound == Self.ping)
        #expect(outbound.isEmpty)
        _ = try channel.finish()
    }
}
