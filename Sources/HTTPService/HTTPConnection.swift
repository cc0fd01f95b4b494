// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1

/// One connection of a server: takes its requests one after the other, and writes their replies.
///
/// `@unchecked Sendable`: all state is touched on the connection's event loop only. Request tasks run on that loop too
/// (``EventLoopExecutor``); what a responder may call from elsewhere (reading the body, writing a stream) goes to the
/// loop first.
final class HTTPConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = IOData

    enum Phase {
        /// Between two requests.
        case idle
        /// A request is being answered.
        case responding
        /// The reply is on its way; the rest of the request's body is read and dropped.
        case draining
        /// Nothing more will be sent. What the peer still sends is read and dropped, since closing on it would make
        /// the kernel reset the connection and the peer lose the reply.
        case lingering
        case closed
    }

    let lane: HTTPServerLane
    let number: UInt64
    let isSecure: Bool
    let eventLoop: any EventLoop
    var configuration: HTTPServerConfiguration { self.lane.context.configuration }

    var context: ChannelHandlerContext?
    var phase = Phase.idle
    var exchange: HTTPExchange?
    var sequence: UInt32 = 0
    /// The whole body of the current request has come.
    var requestEnded = true
    /// The parser has still to report the end of a request without a body.
    private var skipsEnd = false
    var body: HTTPInboundBody?
    /// Requests that came before the current one was answered, in parts.
    var pipelined = CircularBuffer<HTTPServerRequestPart>()
    private var isAdvancing = false
    /// No request after the current one can be read from this connection.
    var inputIsBroken = false

    /// Writes wait for the end of the current read event, to leave in one system call.
    private var isInRead = false
    private var needsFlush = false
    var runningTask: HTTPRunningTask?
    private var isReading = false
    private var readsInTurn: UInt?

    // What the time limits are measured by.
    var hasSeenBytes = false
    var phaseStarted = NIODeadline.now()
    /// When the first byte of the next head came.
    var headStarted: NIODeadline?
    /// Bytes of the next request came before the current one was answered.
    private var hasEarlyBytes = false
    private var droppedBytes = 0
    var rate = HTTPRateWindow()
    var unsent: (bytes: Int, sent: Int64?, since: NIODeadline)?

    var writabilityWaiters: [HTTPWritabilityWaiter] = []

    init(lane: HTTPServerLane, isSecure: Bool) {
        self.lane = lane
        self.eventLoop = lane.eventLoop
        self.number = lane.context.connectionOpened()
        self.isSecure = isSecure
        self.headStarted = self.phaseStarted
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.lane.add(self)
        if context.channel.isActive { self.channelActive(context: context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        if self.lane.isShuttingDown {
            context.close(promise: nil)
        } else {
            self.readIfWanted()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = self.unwrapInboundIn(data)
        self.isInRead = true
        if self.mustWait(part) {
            self.pipelined.append(part)
        } else {
            self.handle(part)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.isInRead = false
        self.isReading = false
        if self.needsFlush {
            self.needsFlush = false
            context.flush()
        }
        self.readIfWanted()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        let waiters = self.writabilityWaiters
        self.writabilityWaiters.removeAll()
        for waiter in waiters { waiter.continuation.resume() }
        self.advance()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.connectionIsGone()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.connectionIsGone()
        self.context = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError {
            self.inputIsMalformed(error)
        } else {
            if self.isSecure, !self.hasSeenBytes, self.phase == .idle { self.configuration.metrics?.handshakeFailed() }
            self.lane.context.logger.debug(
                "connection failed",
                metadata: ["peer": "\(self.peer)", "error": "\(error)"]
            )
            context.close(promise: nil)
        }
    }

    private func connectionIsGone() {
        guard self.phase != .closed else { return }
        if self.phase == .responding { self.logAccess(aborted: true) }
        self.enter(.closed)
        self.pipelined.removeAll()
        self.body?.fail(HTTPConnectionClosedError())
        self.body = nil
        self.runningTask?.cancel()
        let waiters = self.writabilityWaiters
        self.writabilityWaiters.removeAll()
        for waiter in waiters { waiter.continuation.resume(throwing: HTTPConnectionClosedError()) }
        self.lane.remove(self)
    }

    // MARK: Reading

    /// Sees bytes before the parser does.
    /// - Returns: false when they are not for the parser.
    func admits(_ bytes: ByteBuffer) -> Bool {
        switch self.phase {
        case .closed:
            return false
        case .lingering:
            self.drop(bytes.readableBytes)
            return false
        case .draining:
            self.drop(bytes.readableBytes)
            return self.phase == .draining
        case .idle:
            if !self.hasSeenBytes, !self.isSecure, bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == 0x16 {
                self.refuseTLS()
                return false
            }
            self.hasSeenBytes = true
            if self.headStarted == nil { self.headStarted = .now() }
            return true
        case .responding:
            if self.requestEnded { self.hasEarlyBytes = true }
            return true
        }
    }

    private func drop(_ count: Int) {
        self.droppedBytes += count
        if self.droppedBytes > self.configuration.maximumDrainedBytes { self.cut() }
    }

    private func mustWait(_ part: HTTPServerRequestPart) -> Bool {
        guard self.pipelined.isEmpty else { return true }
        switch part {
        case .head: return self.phase != .idle || !self.canAdvance
        case .body, .end: return false
        }
    }

    private func handle(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head):
            self.begin(head)
        case .body(let bytes):
            guard !self.requestEnded else { return }
            self.exchange?.receivedBytes += bytes.readableBytes
            self.rate.add(bytes.readableBytes)
            self.body?.receive(bytes)
        case .end:
            if self.skipsEnd {
                self.skipsEnd = false
            } else {
                self.requestHasEnded()
            }
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        guard !self.inputIsBroken else {
            self.abort()
            return
        }
        self.sequence &+= 1
        let id = HTTPRequestID(
            instance: self.configuration.instance,
            connection: self.number,
            sequence: self.sequence
        )
        let exchange = HTTPExchange(head: head, id: id)
        self.exchange = exchange
        self.enter(.responding)
        self.requestEnded = !exchange.hasBody
        self.skipsEnd = !exchange.hasBody
        if let status = HTTPExchange.refusal(of: head) {
            self.inputIsBroken = true
            self.reply(.plainText(status, closesConnection: true))
            return
        }

        let (path, query) = HTTPExchange.split(target: head.uri)
        var body = HTTPRequestBody()
        if exchange.hasBody {
            let inbound = HTTPInboundBody(
                eventLoop: self.eventLoop,
                connection: self,
                windows: self.lane.context.windows
            )
            self.body = inbound
            self.rate = HTTPRateWindow()
            body = HTTPRequestBody(connection: inbound)
        }
        let request = HTTPRequest(
            method: head.method,
            path: path,
            query: query,
            headers: head.headers,
            body: body,
            remoteAddress: self.context?.channel.remoteAddress,
            isSecure: self.isSecure,
            id: id
        )
        if let refusal = self.refusal(of: request) {
            self.reply(refusal)
        } else if let response = self.lane.context.responder.immediateResponse(to: request) {
            self.reply(response)
        } else {
            self.lane.submit(.answer(self, request))
        }
    }

    /// The reply to a client that has had its share.
    private func refusal(of request: HTTPRequest) -> HTTPResponse? {
        guard let limiter = self.configuration.clientLimiter else { return nil }
        switch limiter.admit(request) {
        case .admitted(let upload):
            self.exchange?.upload = upload
            return nil
        case .refused(let excess):
            self.configuration.metrics?.refused(excess.limit)
            var response = self.lane.context.responder.response(toExcess: excess, request)
            response.headers.replaceOrAdd(name: "Retry-After", value: "\(excess.retryAfter)")
            return response
        }
    }

    private func requestHasEnded() {
        guard !self.requestEnded else { return }
        self.requestEnded = true
        self.body?.complete()
        if self.phase == .draining { self.becomeIdle() }
    }

    /// The responder has taken bytes, so there is room for more.
    func bodyWasTaken() {
        self.readIfWanted()
    }

    /// The responder waits for bytes: the moment to ask a polite peer for them.
    func bodyIsAwaited() {
        if self.exchange?.awaitsContinue == true, self.phase == .responding {
            self.exchange?.awaitsContinue = false
            if self.exchange?.receivedBytes == 0, let context = self.context {
                context.write(self.wrapOutboundOut(.byteBuffer(Self.continueHead)), promise: nil)
                self.flush()
            }
        }
        self.readIfWanted()
    }

    private static let continueHead = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")

    var wantsToRead: Bool {
        switch self.phase {
        case .idle: self.canAdvance && !self.inputIsBroken
        case .responding where self.requestEnded:
            // Looking for one more event costs less than telling the kernel twice, and shows when the peer leaves.
            self.pipelined.isEmpty && !self.inputIsBroken
        case .responding:
            (self.body?.bufferedBytes ?? 0) < self.lane.context.windows.window
        case .draining, .lingering: true
        case .closed: false
        }
    }

    func readIfWanted() {
        guard !self.isReading, !self.isInRead, let context = self.context, context.channel.isActive else { return }
        guard self.wantsToRead else {
            self.rate.pause()
            return
        }
        self.isReading = true
        self.adaptReads(context)
        context.read()
    }

    /// Has as much read at a time as there is memory for; what the channel keeps for further reads shrinks along.
    private func adaptReads(_ context: ChannelHandlerContext) {
        let reads = self.lane.context.windows.readsInTurn
        guard reads != self.readsInTurn else { return }
        self.readsInTurn = reads
        // A channel without the option reads as it does.
        try? context.channel.syncOptions?.setOption(.maxMessagesPerRead, value: reads)
    }

    // MARK: From one request to the next

    func enter(_ phase: Phase) {
        self.phase = phase
        self.phaseStarted = .now()
        self.headStarted = nil
    }

    /// The next request may begin: replies do not pile up before a peer that does not take them.
    private var canAdvance: Bool {
        self.context?.channel.isWritable ?? false
    }

    func becomeIdle() {
        self.exchange = nil
        self.enter(.idle)
        if self.hasEarlyBytes {
            self.hasEarlyBytes = false
            self.headStarted = self.phaseStarted
        }
        if self.lane.isShuttingDown || self.inputIsBroken {
            self.context?.close(promise: nil)
            return
        }
        self.advance()
    }

    /// Goes on with requests that came early.
    private func advance() {
        // A reply made at once ends its request inside this loop: no recursion.
        guard !self.isAdvancing else { return }
        self.isAdvancing = true
        while let part = self.pipelined.first {
            if case .head = part, self.phase != .idle || !self.canAdvance { break }
            self.pipelined.removeFirst()
            self.handle(part)
        }
        self.isAdvancing = false
        self.readIfWanted()
    }

    // MARK: Writing

    func flush() {
        if self.isInRead {
            self.needsFlush = true
        } else {
            self.context?.flush()
        }
    }

    var peer: String {
        self.context?.channel.remoteAddress.map { "\($0)" } ?? "-"
    }
}
