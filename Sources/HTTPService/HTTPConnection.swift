// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

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
    private var pipelined = CircularBuffer<HTTPServerRequestPart>()
    private var isAdvancing = false
    /// No request after the current one can be read from this connection.
    var inputIsBroken = false

    /// Writes wait for the end of the current read event, to leave in one system call.
    private var isInRead = false
    private var needsFlush = false
    var runningTask: HTTPRunningTask?
    private var isReading = false

    // What the time limits are measured by.
    private var hasSeenBytes = false
    private var phaseStarted = NIODeadline.now()
    /// When the first byte of the next head came.
    private var headStarted: NIODeadline?
    /// Bytes of the next request came before the current one was answered.
    private var hasEarlyBytes = false
    private var droppedBytes = 0
    private var rate = HTTPRateWindow()
    private var unsent: (bytes: Int, sent: Int64?, since: NIODeadline)?

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
            let inbound = HTTPInboundBody(eventLoop: self.eventLoop, connection: self)
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
        if let response = self.lane.context.responder.immediateResponse(to: request) {
            self.reply(response)
        } else {
            self.lane.submit(.answer(self, request))
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

    private var wantsToRead: Bool {
        switch self.phase {
        case .idle: self.canAdvance && !self.inputIsBroken
        case .responding where self.requestEnded:
            // Looking for one more event costs less than telling the kernel twice, and shows when the peer leaves.
            self.pipelined.isEmpty && !self.inputIsBroken
        case .responding:
            (self.body?.bufferedBytes ?? 0) < self.configuration.bodyHighWaterMark
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
        context.read()
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

    // MARK: Refusals

    private func inputIsMalformed(_ error: HTTPParserError) {
        // The parser says this of a connection that ends in mid-request: `channelInactive` follows.
        guard error != .invalidEOFState, !self.inputIsBroken else { return }
        self.inputIsBroken = true
        switch self.phase {
        case .idle where self.pipelined.isEmpty:
            self.refuse(error == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest)
        case .responding where !self.requestEnded && self.pipelined.isEmpty:
            self.body?.fail(HTTPRequestBodyError(.malformed))
        case .draining, .lingering:
            self.abort()
        case .idle, .responding, .closed:
            break
        }
    }

    /// Answers what is not a request, and closes.
    func refuse(_ status: HTTPResponseStatus) {
        self.sequence &+= 1
        let id = HTTPRequestID(
            instance: self.configuration.instance,
            connection: self.number,
            sequence: self.sequence
        )
        let head = HTTPRequestHead(version: .http1_1, method: .RAW(value: "-"), uri: "-")
        self.exchange = HTTPExchange(head: head, id: id)
        self.inputIsBroken = true
        self.requestEnded = false
        self.enter(.responding)
        self.reply(.plainText(status, closesConnection: true))
    }

    /// Docker and podman speak plain HTTP to a registry only after its TLS attempt was answered in HTTP.
    private func refuseTLS() {
        self.hasSeenBytes = true
        self.refuse(.badRequest)
    }

    // MARK: Time and shutdown

    func checkTime(_ now: NIODeadline) {
        let isSending = self.checkWriteProgress(now)
        switch self.phase {
        case .responding:
            self.checkBodyRate(now)
        case .idle, .draining, .lingering:
            // A peer that still takes a reply is neither idle nor late with its next request.
            guard !isSending else {
                self.phaseStarted = now
                if self.headStarted != nil { self.headStarted = now }
                return
            }
            self.checkPhaseDuration(now)
        case .closed:
            break
        }
    }

    private func checkPhaseDuration(_ now: NIODeadline) {
        guard self.phase == .idle else {
            if now - self.phaseStarted > self.configuration.lingerTimeout { self.cut() }
            return
        }
        if let headStarted = self.headStarted, now - headStarted > self.configuration.headerTimeout {
            if self.hasSeenBytes { self.refuse(.requestTimeout) } else { self.abort() }
        } else if now - self.phaseStarted > self.configuration.idleTimeout {
            self.abort()
        }
    }

    private func checkBodyRate(_ now: NIODeadline) {
        guard self.exchange?.hasBody == true, !self.requestEnded, self.exchange?.awaitsContinue == false else { return }
        guard self.wantsToRead else {
            self.rate.pause()
            return
        }
        let window = self.configuration.bodyRateWindow
        guard let bytes = self.rate.bytesInWindow(window, now: now) else { return }
        let seconds = Double(window.nanoseconds) / 1_000_000_000
        if Double(bytes) < Double(self.configuration.minimumBodyRate) * seconds {
            self.inputIsBroken = true
            self.body?.fail(HTTPRequestBodyError(.tooSlow))
        }
    }

    /// - Returns: true while bytes of a reply wait for the peer.
    private func checkWriteProgress(_ now: NIODeadline) -> Bool {
        guard
            let options = self.context?.channel.syncOptions,
            let bytes = try? options.getOption(.bufferedWritableBytes),
            bytes > 0
        else {
            self.unsent = nil
            return false
        }
        let sent = self.exchange?.sentBytes
        if let unsent = self.unsent, unsent.bytes == bytes, unsent.sent == sent {
            if now - unsent.since > self.configuration.writeTimeout { self.cut() }
        } else {
            self.unsent = (bytes, sent, now)
        }
        return true
    }

    /// The server stops: closes at once between two requests, one whose head has not come to its end included, after
    /// the reply otherwise.
    func shutDown() {
        if self.phase == .idle, self.pipelined.isEmpty { self.abort() }
    }

    func abort() {
        self.context?.close(promise: nil)
    }

    /// Closes on a peer that does not keep to the rules. TLS's own way to close would go on reading until the peer has
    /// answered it.
    func cut() {
        let tls = try? self.context?.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
        guard let tls else { return self.abort() }
        tls.close(promise: nil)
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

/// How many bytes of a body came since the server began to wait for more.
struct HTTPRateWindow {
    private var started: NIODeadline?
    private var bytes = 0

    mutating func add(_ count: Int) {
        self.bytes += count
    }

    /// The server does not read: what does not come then is not the peer's fault.
    mutating func pause() {
        self.started = nil
        self.bytes = 0
    }

    /// - Returns: nil while the window has not passed; then the bytes, once.
    mutating func bytesInWindow(_ window: TimeAmount, now: NIODeadline) -> Int? {
        guard let started = self.started else {
            self.started = now
            self.bytes = 0
            return nil
        }
        guard now - started >= window else { return nil }
        let bytes = self.bytes
        self.started = now
        self.bytes = 0
        return bytes
    }
}
