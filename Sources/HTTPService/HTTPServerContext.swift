// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Synchronization

/// What all connections of one server share.
final class HTTPServerContext: Sendable {
    let configuration: HTTPServerConfiguration
    let responder: any HTTPResponder
    let logger: Logger
    let accessLogger: Logger
    let windows: HTTPReceiveWindows
    private let openConnections = Atomic<Int>(0)
    private let acceptedConnections = Atomic<UInt64>(0)
    /// Called whenever a connection closes while accepting is paused.
    private let acceptGate = Mutex<(@Sendable () -> Void)?>(nil)
    private let isPaused = Atomic<Bool>(false)

    init(configuration: HTTPServerConfiguration, responder: any HTTPResponder, logger: Logger, accessLogger: Logger) {
        self.configuration = configuration
        self.responder = responder
        self.logger = logger
        self.accessLogger = accessLogger
        self.windows = HTTPReceiveWindows(
            memory: configuration.bodyMemory,
            largest: configuration.bodyHighWaterMark,
            largestRead: configuration.maximumReadSize
        )
    }

    /// - Returns: the connection's number.
    func connectionOpened() -> UInt64 {
        self.openConnections.add(1, ordering: .relaxed)
        self.configuration.metrics?.connectionOpened()
        return self.acceptedConnections.add(1, ordering: .relaxed).newValue
    }

    func connectionClosed() {
        self.configuration.metrics?.connectionClosed()
        self.openConnections.subtract(1, ordering: .sequentiallyConsistent)
        guard self.isPaused.load(ordering: .sequentiallyConsistent) else { return }
        let resume = self.acceptGate.withLock { gate in
            let resume = gate
            gate = nil
            return resume
        }
        self.isPaused.store(false, ordering: .sequentiallyConsistent)
        resume?()
    }

    var openConnectionCount: Int { self.openConnections.load(ordering: .relaxed) }

    /// - Returns: true when one more connection may be accepted now; otherwise `resume` is called once when one may be.
    func mayAccept(orResumeWith resume: @escaping @Sendable () -> Void) -> Bool {
        let limit = self.configuration.maximumConnections
        guard self.openConnections.load(ordering: .sequentiallyConsistent) >= limit else { return true }
        self.acceptGate.withLock { $0 = resume }
        self.isPaused.store(true, ordering: .sequentiallyConsistent)
        // The last connection may have closed between the two looks.
        if self.openConnections.load(ordering: .sequentiallyConsistent) < limit {
            let mine = self.acceptGate.withLock { gate in
                let mine = gate != nil
                gate = nil
                return mine
            }
            if mine {
                self.isPaused.store(false, ordering: .sequentiallyConsistent)
                return true
            }
        }
        return false
    }
}

/// Stops the listening socket from accepting while the most connections allowed are open.
///
/// `@unchecked Sendable`: its state is touched on the listening channel's event loop only.
final class HTTPAcceptGate: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = Channel
    typealias InboundOut = Channel
    typealias OutboundIn = Never

    private let context: HTTPServerContext

    init(context: HTTPServerContext) {
        self.context = context
    }

    func read(context: ChannelHandlerContext) {
        let channel = context.channel
        if self.context.mayAccept(orResumeWith: { channel.eventLoop.execute { channel.read() } }) {
            context.read()
        }
    }
}
