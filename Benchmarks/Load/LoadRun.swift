// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Where the server is.
struct LoadTarget {
    let host: String
    let port: Int
    let tls: NIOSSLContext?

    /// - Parameters:
    ///   - url: `http://host:port` or `https://host:port`.
    ///   - authority: the PEM file of the CA that an https server's certificate leads to.
    init(url: String, authority: String?) throws {
        guard let components = URLComponents(string: url), let host = components.host, let port = components.port else {
            throw LoadError("\(url): expected http[s]://HOST:PORT")
        }
        self.host = host
        self.port = port
        guard components.scheme == "https" else {
            self.tls = nil
            return
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let authority { configuration.trustRoots = .file(authority) }
        self.tls = try NIOSSLContext(configuration: configuration)
    }
}

/// Holds conversations with a server, each over a connection of its own, all at the same time, from one thread.
struct LoadRun {
    let target: LoadTarget

    /// - Returns: how long it took from first to last, and each operation of it, in nanoseconds.
    func run(_ conversations: [any Conversation]) async throws -> (elapsed: Int64, durations: [Int64]) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let started = NIODeadline.now()
        var connections: [(LoadConnection, EventLoopFuture<Void>)] = []
        for conversation in conversations {
            let ended = loop.makePromise(of: Void.self)
            let connection = LoadConnection(
                host: "\(target.host):\(target.port)",
                conversation: conversation,
                ended: ended
            )
            connections.append((connection, ended.futureResult))
            self.connect(connection, on: loop).cascadeFailure(to: ended)
        }
        var durations: [Int64] = []
        for (_, future) in connections { try await future.get() }
        let elapsed = (NIODeadline.now() - started).nanoseconds
        for (connection, _) in connections { durations += connection.durations }
        return (elapsed, durations.sorted())
    }

    private func connect(_ connection: LoadConnection, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
        let target = self.target
        return ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = target.tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: nil)
                        )
                    }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(host: target.host, port: target.port)
    }
}
