// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import GRPCNIOTransportHTTP2
import NIOCore
import NIOSSL
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// One HTTP/2 connection to a signer, made when it is needed and made again when it is lost.
final class SignerConnection: Sendable {
    let address: SignerAddress
    let keys: Proto_KeyManagement.Client<HTTP2ClientTransport.Posix>
    let signer: Proto_Signer.Client<HTTP2ClientTransport.Posix>
    let health: Grpc_Health_V1_Health.Client<HTTP2ClientTransport.Posix>
    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    /// When a call over it failed, others are preferred until then.
    private let restingUntil = Mutex<ContinuousClock.Instant?>(nil)

    /// - Parameter context: makes the TLS context of each new connection.
    init(_ address: SignerAddress, context: @escaping @Sendable () throws -> NIOSSLContext) throws {
        self.address = address
        var configuration = HTTP2ClientTransport.Posix.Config.defaults
        configuration.backoff = .init(initial: .milliseconds(50), max: .seconds(1), multiplier: 2, jitter: 0.2)
        configuration.connection.maxIdleTime = .seconds(30 * 60)
        configuration.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
            channel.eventLoop.makeCompletedFuture {
                try Self.secure(channel, as: address.host, context: context())
            }.flatMap { Self.limitSilence(of: channel) }
        }
        self.client = GRPCClient(
            transport: try HTTP2ClientTransport.Posix(
                target: address.host.contains(":")
                    ? .ipv6(address: address.host, port: address.port) as any ResolvableTarget
                    : .dns(host: address.host, port: address.port),
                transportSecurity: .customSecure,
                config: configuration
            )
        )
        self.keys = Proto_KeyManagement.Client(wrapping: self.client)
        self.signer = Proto_Signer.Client(wrapping: self.client)
        self.health = Grpc_Health_V1_Health.Client(wrapping: self.client)
    }

    /// Works until ``beginGracefulShutdown()``, or until cancelled.
    func run() async throws {
        try await self.client.runConnections()
    }

    /// Lets calls finish, and takes no more.
    func beginGracefulShutdown() {
        self.client.beginGracefulShutdown()
    }

    func rest(for duration: Duration) {
        self.restingUntil.withLock { $0 = .now + duration }
    }

    var isResting: Bool {
        self.restingUntil.withLock { instant in
            guard let until = instant else { return false }
            if until <= .now { instant = nil }
            return instant != nil
        }
    }

    // MARK: The channel

    /// TLS first, so that nothing goes out in the clear; then what answers PINGs; then what gRPC has put there.
    private static func secure(_ channel: any Channel, as host: String, context: NIOSSLContext) throws {
        let isAddress = (try? NIOCore.SocketAddress(ipAddress: host, port: 0)) != nil
        // Without a name the certificate must be for the address that the connection leads to.
        let tls = try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
        try channel.pipeline.syncOperations.addHandlers([tls, PingResponder(isServer: false)], position: .first)
    }

    /// A signer's machine that is gone without a word is noticed when it has not acknowledged what was sent for this long.
    private static func limitSilence(of channel: any Channel) -> EventLoopFuture<Void> {
        #if os(Linux)
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_USER_TIMEOUT))
        return channel.setOption(option, value: 10_000)
        #else
        return channel.eventLoop.makeSucceededVoidFuture()
        #endif
    }
}
