// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import GRPCNIOTransportHTTP2
package import HTTPService
package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
package import SignerAPI
import Synchronization

/// The signer as a server: notary-signer's gRPC services and gRPC's health service, with TLS.
///
/// `bind()` first, to know the address; then ``run()``, as a service or directly. Runs once.
package final class SignerServer: Service {
    package struct Configuration: Sendable {
        package var address: SignerAddress
        /// The certificate it shows, and the authorities that its clients' certificates must lead to.
        package var tls: TLSContextSource
        /// The most connections at once: each trust server has a few.
        package var maximumConnections = 512
        /// The most calls of one connection at once.
        package var maximumStreams = 256
        /// The most calls that are worked on at once, of all connections.
        package var maximumCalls = 1024
        /// The most bytes of one request. A snapshot of 8 MiB has more than 20,000 roles.
        package var requestLimit = 8 << 20
        /// How long a client may take to shake hands, in seconds.
        package var handshakeLimit: Int64 = 10
        /// How long calls may take to finish when it shuts down, in seconds.
        package var grace: Int64 = 10

        package init(address: SignerAddress, tls: TLSContextSource) {
            self.address = address
            self.tls = tls
        }
    }

    private let configuration: Configuration
    private let signer: LocalSigner
    private let metrics: Metrics
    private let logger: Logger
    private let socket = Mutex<ListeningSocket?>(nil)

    /// - Parameter metrics: what it counts in.
    package init(
        _ configuration: Configuration,
        signer: LocalSigner,
        metrics: Metrics = Metrics(),
        logger: Logger
    ) {
        self.metrics = metrics
        self.configuration = configuration
        self.signer = signer
        self.logger = logger
    }

    /// Opens the listening socket. Connections wait in the kernel's queue until ``run()``.
    /// - Returns: the address, with the port that the system chose.
    /// - Throws: an `IOError` when the address is taken or not ours.
    @discardableResult
    package func bind() async throws -> SignerAddress {
        let address = self.configuration.address
        let socket = try await NIOThreadPool.singleton.runIfActive {
            try ListeningSocket(host: address.host, port: address.port)
        }
        self.socket.withLock { $0 = socket }
        return SignerAddress(host: address.host, port: socket.port)
    }

    /// Serves until the surrounding service group shuts down gracefully, which lets calls finish, or the task is cancelled.
    package func run() async throws {
        if self.socket.withLock({ $0 }) == nil { try await self.bind() }
        guard let socket = self.socket.withLock({ $0 }) else { return }
        let calls = SignerCalls(limit: self.configuration.maximumCalls, metrics: self.metrics, logger: self.logger)
        let health = SignerHealth(signer: self.signer, logger: self.logger)
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(
                listenerFactory: SignerListener(
                    socket: socket,
                    tls: self.configuration.tls,
                    connections: SignerListener.Connections(limit: self.configuration.maximumConnections),
                    handshakeLimit: .seconds(self.configuration.handshakeLimit),
                    eventLoopGroup: .singletonMultiThreadedEventLoopGroup
                ),
                config: self.transport
            ),
            services: [
                KeyManagementService(signer: self.signer, calls: calls),
                SigningService(signer: self.signer, calls: calls), health,
            ]
        )
        let grace = Duration.seconds(self.configuration.grace)
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.serve() }
                group.addTask {
                    try? await gracefulShutdown()
                    try? await Task.sleep(for: grace)
                }
                try await group.next()
                group.cancelAll()
            }
        } onGracefulShutdown: {
            health.beginGracefulShutdown()
            server.beginGracefulShutdown()
        }
    }

    private var transport: HTTP2ServerTransport.Custom<SignerListener>.Config {
        var transport = HTTP2ServerTransport.Custom<SignerListener>.Config.defaults
        transport.http2.maxConcurrentStreams = self.configuration.maximumStreams
        transport.http2.targetWindowSize = 1 << 20
        transport.rpc.maxRequestPayloadSize = self.configuration.requestLimit
        // Connections to a peer that is gone are given up; a client may ask for signs of life as often as this.
        transport.connection.maxIdleTime = .seconds(3600)
        transport.connection.maxGraceTime = .seconds(self.configuration.grace)
        transport.connection.keepalive = .init(
            time: .seconds(60),
            timeout: .seconds(20),
            clientBehavior: .init(minPingIntervalWithoutCalls: .seconds(10), allowWithoutCalls: true)
        )
        return transport
    }
}
