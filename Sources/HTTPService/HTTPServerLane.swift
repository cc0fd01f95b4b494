// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

/// One event loop's share of a server: its connections, the tasks that answer their requests, and its timers.
///
/// `@unchecked Sendable`: all `var`s are touched on the event loop only.
final class HTTPServerLane: @unchecked Sendable {
    /// Something to be done in a task of its own.
    enum Work {
        case answer(HTTPConnection, HTTPRequest)
        case send(HTTPConnection, HTTPResponse)
    }

    let eventLoop: any EventLoop
    let executor: EventLoopExecutor
    let context: HTTPServerContext
    let fileIO: NonBlockingFileIO
    /// The `Date` of replies, as of the last tick.
    private(set) var date: String
    private(set) var isShuttingDown = false

    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    private var work = CircularBuffer<Work>()
    private var dispatcher: CheckedContinuation<Work?, Never>?
    private var hasFinished = false
    private var ticker: RepeatedTask?
    private var deadline: Scheduled<Void>?

    init(eventLoop: any EventLoop, context: HTTPServerContext) {
        self.eventLoop = eventLoop
        self.executor = EventLoopExecutor(eventLoop)
        self.context = context
        self.fileIO = NonBlockingFileIO(threadPool: .singleton)
        self.date = HTTPDate.format(context.configuration.now())
    }

    // MARK: Tasks

    /// Answers requests until the last connection is gone after a shutdown. Runs on ``executor``.
    ///
    /// Every request's task is a child of this one, so none outlives the server.
    func run() async {
        self.startTicking()
        await withDiscardingTaskGroup { group in
            while let work = await self.nextWork() {
                group.addTask { await Self.perform(work) }
            }
        }
        self.ticker?.cancel()
        self.deadline?.cancel()
    }

    func submit(_ work: Work) {
        self.eventLoop.assertInEventLoop()
        if let dispatcher = self.dispatcher {
            self.dispatcher = nil
            dispatcher.resume(returning: work)
        } else {
            self.work.append(work)
        }
    }

    private func nextWork() async -> Work? {
        self.eventLoop.assertInEventLoop()
        if let work = self.work.popFirst() { return work }
        if self.hasFinished { return nil }
        return await withCheckedContinuation { self.dispatcher = $0 }
    }

    private static func perform(_ work: Work) async {
        switch work {
        case .answer(let connection, let request): await connection.answer(request)
        case .send(let connection, let response): await connection.sendInTask(response)
        }
    }

    // MARK: Connections

    func add(_ connection: HTTPConnection) {
        self.connections[ObjectIdentifier(connection)] = connection
    }

    func remove(_ connection: HTTPConnection) {
        guard self.connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        self.context.connectionClosed()
        self.finishIfDone()
    }

    // MARK: Time

    private func startTicking() {
        let interval = self.context.configuration.tickInterval
        self.ticker = self.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            self.tick()
        }
    }

    private func tick() {
        self.date = HTTPDate.format(self.context.configuration.now())
        let now = NIODeadline.now()
        for connection in Array(self.connections.values) {
            connection.checkTime(now)
        }
    }

    // MARK: Shutdown

    /// Closes what is idle and lets the rest end within the grace time.
    func beginShutdown() {
        self.eventLoop.assertInEventLoop()
        guard !self.isShuttingDown else { return }
        self.isShuttingDown = true
        for connection in Array(self.connections.values) {
            connection.shutDown()
        }
        self.deadline = self.eventLoop.scheduleTask(in: self.context.configuration.shutdownGrace) {
            self.closeAll()
        }
        self.finishIfDone()
    }

    /// Closes all connections and cancels what answers them.
    func closeAll() {
        for connection in Array(self.connections.values) {
            connection.cut()
        }
    }

    private func finishIfDone() {
        guard self.isShuttingDown, self.connections.isEmpty, !self.hasFinished else { return }
        self.hasFinished = true
        self.dispatcher?.resume(returning: nil)
        self.dispatcher = nil
    }
}

extension HTTPServerConfiguration {
    /// Often enough for each limit to be met within a quarter of itself, once a second otherwise.
    var tickInterval: TimeAmount {
        let limits = [
            self.idleTimeout, self.headerTimeout, self.writeTimeout, self.bodyRateWindow, self.lingerTimeout,
        ]
        let shortest = limits.map { $0.nanoseconds / 4 }.min() ?? 1_000_000_000
        return .nanoseconds(min(max(shortest, 5_000_000), 1_000_000_000))
    }
}
