// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import NIOCore

/// How one ``HTTPServer`` listens and what it allows its peers.
package struct HTTPServerConfiguration: Sendable {
    /// The address or name to listen on.
    package var host: String
    /// The port to listen on; 0 lets the system choose one, which ``HTTPServer/bind()`` returns.
    package var port: Int
    /// Where new connections get their TLS from; nil for plain HTTP.
    package var tls: TLSContextSource?
    /// How many threads serve connections.
    package var threadCount: Int

    /// The most bytes of request line and header fields together. More is refused with 431.
    package var maximumHeaderSize = 64 * 1024
    /// The most header fields of one request. More is refused with 431.
    package var maximumHeaderCount = 128
    /// The most connections open at once. Further ones wait in the kernel's queue.
    package var maximumConnections = 16_384
    /// The kernel's queue of connections not accepted yet.
    package var backlog: Int32 = 4_096

    /// How long a connection may stay open without a request.
    package var idleTimeout: TimeAmount = .seconds(120)
    /// How long a peer may take from its first byte (or the connection's start) to the end of a request's head.
    package var headerTimeout: TimeAmount = .seconds(20)
    /// How long a peer may accept no byte of a reply.
    package var writeTimeout: TimeAmount = .seconds(120)
    /// The slowest that a body may arrive, in bytes a second, over ``bodyRateWindow``. Time in which the server itself
    /// does not read does not count.
    package var minimumBodyRate = 128
    /// Over how long ``minimumBodyRate`` is measured.
    package var bodyRateWindow: TimeAmount = .seconds(30)

    /// Reading from the socket pauses when this many bytes of a body wait for the responder. The true bound is this
    /// plus what one readiness event delivers (``maximumReadSize`` four times).
    package var bodyHighWaterMark = 512 * 1024
    /// How many bytes of all bodies together may wait for their responders. When many are received at once, each has its
    /// share of it, 32 KiB at least.
    package var bodyMemory = 8 << 20
    /// The most bytes of one read from the socket.
    package var maximumReadSize = 128 * 1024
    /// The most bytes of a body nobody reads that are read and dropped to keep a connection usable. Beyond it, the
    /// connection is closed.
    package var maximumDrainedBytes = 256 * 1024
    /// How long a closed connection's peer may go on sending before it is cut off.
    package var lingerTimeout: TimeAmount = .seconds(5)
    /// Bytes of a reply that may wait for the peer before its source is suspended.
    package var writeHighWaterMark = 512 * 1024

    /// How long requests in flight may take to end once the server is told to stop.
    package var shutdownGrace: TimeAmount = .seconds(20)
    /// Tells one run from another in request ids.
    package var instance: UInt32 = .random(in: 1...UInt32.max)
    /// Where it counts; nil for nowhere.
    package var metrics: HTTPServerMetrics?
    /// What one client may do; nil for no limits.
    package var clientLimiter: HTTPClientLimiter?
    /// Seconds since 1970, for the `Date` of replies.
    package var now: @Sendable () -> Int64 = WallClock.seconds

    /// The cores that this process may run on: fewer than the machine's for one that is pinned, or in a small container.
    package static var usableCoreCount: Int {
        min(System.coreCount, ProcessInfo.processInfo.activeProcessorCount)
    }

    package init(
        host: String = "127.0.0.1",
        port: Int,
        tls: TLSContextSource? = nil,
        threadCount: Int = Self.usableCoreCount
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.threadCount = threadCount
    }
}
