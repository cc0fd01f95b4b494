// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import ServiceLifecycle
import Synchronization

/// An HTTP/1.1 server: accepts connections, reads requests, has a responder answer them on the connection's own thread.
///
/// ``bind()`` first, to know the address; then ``run()``, as a service or directly. Runs once.
package final class HTTPServer: Service, Sendable {
    private enum State {
        case new
        case bound(Listening)
        /// Told to stop before it ran.
        case abandoned(Listening)
        case running(Listening)
        case stopped
    }

    private struct Listening {
        let group: MultiThreadedEventLoopGroup
        let channel: any Channel
        let address: SocketAddress
        let lanes: [HTTPServerLane]
    }

    private let context: HTTPServerContext
    private let state = Mutex<State>(.new)

    /// - Parameters:
    ///   - configuration: Where it listens, and its limits.
    ///   - responder: Answers requests.
    ///   - logger: Takes failures of requests and of the server itself.
    ///   - accessLogger: Takes one line for each request, at level info; `logger` when nil.
    package init(
        configuration: HTTPServerConfiguration,
        responder: any HTTPResponder,
        logger: Logger,
        accessLogger: Logger? = nil
    ) {
        self.context = HTTPServerContext(
            configuration: configuration,
            responder: responder,
            logger: logger,
            accessLogger: accessLogger ?? logger
        )
    }

    /// How many connections are open now.
    package var openConnectionCount: Int { self.context.openConnectionCount }

    // MARK: Binding

    /// Opens the listening socket. Connections wait in the kernel's queue until ``run()``.
    /// - Returns: the address that peers connect to, with the port that the system chose.
    /// - Throws: an `IOError` when the address is taken or not ours; ``HTTPServerError`` when bound before.
    @discardableResult
    package func bind() async throws -> SocketAddress {
        try self.state.withLock { state throws(HTTPServerError) in
            guard case .new = state else { throw HTTPServerError() }
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, self.context.configuration.threadCount))
        do {
            let listening = try await self.listen(on: group)
            self.state.withLock { $0 = .bound(listening) }
            return listening.address
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func listen(on group: MultiThreadedEventLoopGroup) async throws -> Listening {
        let lanes = Array(group.makeIterator()).map { HTTPServerLane(eventLoop: $0, context: self.context) }
        let laneOfLoop = Dictionary(uniqueKeysWithValues: lanes.map { (ObjectIdentifier($0.eventLoop), $0) })
        let configuration = self.context.configuration
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: configuration.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: false)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(HTTPAcceptGate(context: self.context))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let lane = laneOfLoop[ObjectIdentifier(channel.eventLoop)] else { throw HTTPServerError() }
                    try Self.setUp(channel, in: lane)
                }
            }
            .bind(host: configuration.host, port: configuration.port)
            .get()
        guard let address = channel.localAddress else { throw HTTPServerError() }
        return Listening(group: group, channel: channel, address: address, lanes: lanes)
    }

    private static func setUp(_ channel: any Channel, in lane: HTTPServerLane) throws {
        let configuration = lane.context.configuration
        if let options = channel.syncOptions {
            try options.setOption(.autoRead, value: false)
            // A socket of another family than TCP has no such option, and needs none.
            try? options.setOption(.tcpOption(.tcp_nodelay), value: 1)
            try options.setOption(
                .recvAllocator,
                value: HTTPReceiveAllocator(windows: lane.context.windows, maximum: configuration.maximumReadSize)
            )
            try options.setOption(
                .writeBufferWaterMark,
                value: .init(low: configuration.writeHighWaterMark / 4, high: configuration.writeHighWaterMark)
            )
        }
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = configuration.maximumHeaderSize
        limits.maxHeaderListSize = configuration.maximumHeaderSize
        limits.maxHeaderFieldCount = configuration.maximumHeaderCount
        let pipeline = channel.pipeline.syncOperations
        if let tls = configuration.tls {
            try pipeline.addHandler(NIOSSLServerHandler(context: tls.current))
        }
        let connection = HTTPConnection(lane: lane, isSecure: configuration.tls != nil)
        try pipeline.addHandler(HTTPConnectionGate(connection: connection))
        try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: limits)))
        try pipeline.addHandler(connection)
    }

    // MARK: Running

    /// Serves until the surrounding service group shuts down gracefully, ``shutDown()`` is called or the task is
    /// cancelled. Returns when every request's task has ended and every connection is closed.
    package func run() async throws {
        if case .new = self.state.withLock({ $0 }) { try await self.bind() }
        let (listening, isAbandoned) = try self.state.withLock { state throws(HTTPServerError) in
            switch state {
            case .bound(let listening):
                state = .running(listening)
                return (listening, false)
            case .abandoned(let listening):
                state = .stopped
                return (listening, true)
            case .new, .running, .stopped:
                throw HTTPServerError()
            }
        }
        if isAbandoned { return try await listening.group.shutdownGracefully() }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await self.serve(listening)
            } onGracefulShutdown: {
                self.shutDown()
            }
        } onCancel: {
            self.shutDown()
            for lane in listening.lanes {
                lane.eventLoop.execute { lane.closeAll() }
            }
        }
        self.state.withLock { $0 = .stopped }
        try await listening.group.shutdownGracefully()
    }

    private func serve(_ listening: Listening) async {
        await withDiscardingTaskGroup { group in
            for lane in listening.lanes {
                group.addTask(executorPreference: lane.executor) { await lane.run() }
            }
            do {
                try await listening.channel.setOption(.autoRead, value: true).get()
            } catch {
                // Told to stop before it began.
                self.context.logger.debug("not accepting", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Stops accepting, closes idle connections, lets requests in flight end within
    /// ``HTTPServerConfiguration/shutdownGrace``; then ``run()`` returns.
    package func shutDown() {
        let running = self.state.withLock { state -> Listening? in
            switch state {
            case .running(let listening):
                return listening
            case .bound(let listening):
                state = .abandoned(listening)
                return nil
            case .new, .abandoned, .stopped:
                return nil
            }
        }
        guard let listening = running else { return }
        listening.channel.close(promise: nil)
        for lane in listening.lanes {
            lane.eventLoop.execute { lane.beginShutdown() }
        }
    }

    /// Gives up the listening socket of a server that was bound and will not run.
    package func close() async throws {
        let listening = self.state.withLock { state -> Listening? in
            switch state {
            case .bound(let listening), .abandoned(let listening):
                state = .stopped
                return listening
            case .new, .running, .stopped:
                return nil
            }
        }
        try await listening?.group.shutdownGracefully()
    }
}

/// A server was bound or run twice.
package struct HTTPServerError: Error, Sendable, CustomStringConvertible {
    package var description: String { "an HTTP server binds and runs once" }
}
