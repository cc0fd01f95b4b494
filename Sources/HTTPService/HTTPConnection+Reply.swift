// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

extension HTTPConnection {
    /// Replies are copied behind their head up to this size, to leave in one buffer.
    private static var joinedBodySize: Int { 16 * 1024 }

    // MARK: In a task

    /// Asks the responder and sends what it says. Runs on the event loop, in the request's task.
    func answer(_ request: HTTPRequest) async {
        await withUnsafeCurrentTask { task in
            self.runningTask = HTTPRunningTask(task)
            defer { self.runningTask = nil }
            guard self.phase == .responding else { return }
            do {
                let response = try await self.lane.context.responder.respond(to: request)
                await self.finish(with: response)
            } catch {
                guard let response = self.response(for: error) else { return }
                await self.finish(with: response)
            }
        }
    }

    /// Sends a reply that takes time.
    func sendInTask(_ response: HTTPResponse) async {
        await withUnsafeCurrentTask { task in
            self.runningTask = HTTPRunningTask(task)
            defer { self.runningTask = nil }
            await self.finish(with: response)
        }
    }

    private func finish(with response: HTTPResponse) async {
        self.eventLoop.assertInEventLoop()
        guard self.phase == .responding else {
            Self.discard(response)
            return
        }
        guard self.needsTask(response) else {
            self.reply(response)
            return
        }
        let keepsAlive = self.keepsAlive(after: response)
        let framing = self.framing(of: response)
        self.writeHead(response, framing: framing, keepsAlive: keepsAlive)
        let writer = HTTPConnectionWriter(connection: self, sequence: self.sequence, framing: framing)
        do {
            try await self.produce(response, into: writer)
            try writer.finish()
            self.replyIsWritten(keepsAlive: keepsAlive && framing != .untilClose)
        } catch {
            self.streamFailed(error)
        }
    }

    private func produce(_ response: HTTPResponse, into writer: HTTPConnectionWriter) async throws {
        switch response.body {
        case .stream(_, let produce):
            try await produce(writer)
        case .file(let body):
            try await self.sendChunks(of: body, into: writer)
        case .empty, .bytes, .absent:
            break
        }
        self.eventLoop.assertInEventLoop()
    }

    /// Sends a file through memory: what encrypts a connection needs to see the bytes.
    private func sendChunks(of body: HTTPFileBody, into writer: HTTPConnectionWriter) async throws {
        defer { Self.close(body.file, self.lane.context.logger) }
        var offset = body.range.lowerBound
        while offset < body.range.upperBound {
            let count = Int(clamping: min(body.range.upperBound - offset, 256 * 1024))
            let chunk = try await self.lane.fileIO.read(
                fileHandle: body.file,
                fromOffset: offset,
                byteCount: count,
                allocator: ByteBufferAllocator(),
                eventLoop: self.eventLoop
            ).get()
            guard chunk.readableBytes > 0 else { throw HTTPFileEndedError(expected: body.range.upperBound, at: offset) }
            offset += Int64(chunk.readableBytes)
            try await writer.write(chunk)
        }
    }

    /// A reply whose head is out already cannot become an error reply: the connection's end tells the peer.
    private func streamFailed(_ error: any Error) {
        guard self.phase == .responding else { return }
        let isPeersDoing =
            error is HTTPConnectionClosedError || error is IOError || error is ChannelError
            || error is CancellationError
        if let exchange = self.exchange {
            self.lane.context.logger.log(
                level: isPeersDoing ? .debug : .error,
                "reply ended early",
                metadata: ["request": "\(exchange.id)", "error": "\(error)"]
            )
        }
        self.abort()
    }

    /// The reply to a request whose responder threw; nil when nobody is there to read it.
    private func response(for error: any Error) -> HTTPResponse? {
        guard self.phase == .responding, let exchange = self.exchange else { return nil }
        switch error {
        case let error as any HTTPErrorConvertible:
            return error.response
        case is HTTPBodyTooLargeError:
            return .plainText(.payloadTooLarge, closesConnection: false)
        default:
            self.lane.context.logger.error(
                "request failed",
                metadata: [
                    "request": "\(exchange.id)", "method": "\(exchange.method)", "path": "\(exchange.target)",
                    "error": "\(error)",
                ]
            )
            return HTTPResponse(status: .internalServerError)
        }
    }

    // MARK: At once

    /// Sends a reply, in a task of its own if it takes time.
    func reply(_ response: HTTPResponse) {
        guard self.phase == .responding, let context = self.context else {
            Self.discard(response)
            return
        }
        guard !self.needsTask(response) else {
            self.lane.submit(.send(self, response))
            return
        }
        let keepsAlive = self.keepsAlive(after: response)
        let framing = self.framing(of: response)
        let sendsBody = self.exchange?.method != .HEAD && !response.status.forbidsBody
        switch response.body {
        case .bytes(let bytes) where sendsBody:
            self.exchange?.sentBytes = Int64(bytes.readableBytes)
            if bytes.readableBytes <= Self.joinedBodySize {
                self.writeHead(response, framing: framing, keepsAlive: keepsAlive, joined: bytes)
            } else {
                self.writeHead(response, framing: framing, keepsAlive: keepsAlive)
                context.write(self.wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
            }
            self.replyIsWritten(keepsAlive: keepsAlive)
        case .file(let body) where sendsBody:
            self.writeHead(response, framing: framing, keepsAlive: keepsAlive)
            self.sendRegion(body, keepsAlive: keepsAlive)
        default:
            Self.discard(response)
            self.writeHead(response, framing: framing, keepsAlive: keepsAlive)
            self.replyIsWritten(keepsAlive: keepsAlive)
        }
    }

    /// How much of a file the kernel is asked to send at once: with all of it in one call the kernel, expecting more, holds
    /// back what it could deliver (half the rate, over loopback).
    private static var regionSize: Int64 { 128 * 1024 }
    /// After so many bytes the loop's other connections have their turn, however fast the peer takes them.
    private static var turnSize: Int64 { 32 * HTTPConnection.regionSize }

    /// Has the kernel send a file from its cache.
    private func sendRegion(_ body: HTTPFileBody, keepsAlive: Bool) {
        let sequence = self.sequence
        self.sendRegions(of: body, from: body.range.lowerBound) { result in
            Self.close(body.file, self.lane.context.logger)
            guard self.phase == .responding, self.sequence == sequence else { return }
            switch result {
            case .success: self.replyIsWritten(keepsAlive: keepsAlive)
            case .failure(let error): self.streamFailed(error)
            }
        }
    }

    private func sendRegions(
        of body: HTTPFileBody,
        from start: Int64,
        completion: @escaping (Result<Void, any Error>) -> Void
    ) {
        guard let context = self.context else { return completion(.failure(ChannelError.ioOnClosedChannel)) }
        let end = start + min(body.range.upperBound - start, Self.regionSize)
        let region = FileRegion(
            fileHandle: body.file,
            readerIndex: Int(clamping: start),
            endIndex: Int(clamping: end)
        )
        let written = self.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { result in
            guard case .success = result else { return completion(result) }
            let sent = end - body.range.lowerBound
            self.exchange?.sentBytes = sent
            guard end < body.range.upperBound else { return completion(result) }
            guard sent % Self.turnSize == 0 else {
                return self.sendRegions(of: body, from: end, completion: completion)
            }
            // Not `execute`: the loop runs what is due at once before it looks at its sockets.
            self.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(10)) {
                self.sendRegions(of: body, from: end, completion: completion)
            }
        }
        context.write(self.wrapOutboundOut(.fileRegion(region)), promise: written)
        self.flush()
    }

    // MARK: The head

    private func needsTask(_ response: HTTPResponse) -> Bool {
        guard self.exchange?.method != .HEAD, !response.status.forbidsBody else { return false }
        return switch response.body {
        case .stream: true
        case .file: self.isSecure
        case .empty, .bytes, .absent: false
        }
    }

    private func framing(of response: HTTPResponse) -> HTTPResponseFraming {
        guard !response.status.forbidsBody else { return .none }
        return switch response.body {
        case .empty: .length(0)
        case .bytes(let bytes): .length(Int64(bytes.readableBytes))
        case .file(let body): .length(body.range.upperBound - body.range.lowerBound)
        case .absent(let length): .length(length)
        case .stream(let length?, _): .length(length)
        case .stream(nil, _): self.exchange?.isHTTP10 == true ? .untilClose : .chunked
        }
    }

    private func keepsAlive(after response: HTTPResponse) -> Bool {
        guard let exchange = self.exchange, exchange.keepsAlive, !response.closesConnection else { return false }
        guard !self.inputIsBroken, !self.lane.isShuttingDown else { return false }
        if case .stream(nil, _) = response.body, exchange.isHTTP10 { return false }
        guard !self.requestEnded else { return true }
        // The peer that waits for `100 Continue` may send its body or not: the next byte could mean either.
        guard !exchange.awaitsContinue else { return false }
        guard let declaredLength = exchange.declaredLength else { return true }
        return declaredLength - exchange.receivedBytes <= self.configuration.maximumDrainedBytes
    }

    private func writeHead(
        _ response: HTTPResponse,
        framing: HTTPResponseFraming,
        keepsAlive: Bool,
        joined body: ByteBuffer? = nil
    ) {
        guard let context = self.context else { return }
        self.exchange?.status = response.status
        self.exchange?.operation = response.operation
        if !response.logMetadata.isEmpty { self.exchange?.logMetadata = response.logMetadata }
        var buffer = context.channel.allocator.buffer(capacity: 512 + (body?.readableBytes ?? 0))
        buffer.writeResponseHead(
            response,
            in: HTTPResponseHeadContext(
                framing: framing,
                keepsAlive: keepsAlive,
                isHTTP10: self.exchange?.isHTTP10 ?? false,
                date: self.lane.date,
                id: self.exchange?.id
            )
        )
        if let body { buffer.writeImmutableBuffer(body) }
        context.write(self.wrapOutboundOut(.byteBuffer(buffer)), promise: nil)
    }

    // MARK: After the reply

    private func replyIsWritten(keepsAlive: Bool) {
        self.logAccess(aborted: false)
        self.body?.close()
        self.body = nil
        guard keepsAlive else {
            self.closeAfterWrites()
            return
        }
        self.flush()
        guard self.phase == .responding else { return }
        if self.requestEnded {
            self.becomeIdle()
        } else {
            self.enter(.draining)
            self.readIfWanted()
        }
    }

    /// Closes once the peer's kernel has the reply; first lets the peer finish if it is still sending.
    private func closeAfterWrites() {
        guard let context = self.context else { return }
        self.enter(.lingering)
        let written = self.eventLoop.makePromise(of: Void.self)
        let lingers = !self.requestEnded
        written.futureResult.whenComplete { _ in
            guard self.phase == .lingering, let context = self.context else { return }
            guard lingers else {
                context.close(promise: nil)
                return
            }
            // Half-closing TLS would send close_notify, on which some peers drop the reply they have not read.
            if !self.isSecure { context.close(mode: .output, promise: nil) }
            self.readIfWanted()
        }
        context.write(self.wrapOutboundOut(.byteBuffer(ByteBuffer())), promise: written)
        self.flush()
    }

    func logAccess(aborted: Bool) {
        self.exchange?.upload = nil
        self.countRequest()
        let logger = self.lane.context.accessLogger
        guard logger.logLevel <= .info, let exchange = self.exchange else { return }
        var metadata: Logger.Metadata = [
            "method": "\(exchange.method)",
            "path": "\(exchange.target)",
            "status": "\(exchange.status?.code ?? 0)",
            "bytes": "\(exchange.sentBytes)",
            "microseconds": "\((NIODeadline.now() - exchange.started).nanoseconds / 1_000)",
            "received": "\(exchange.receivedBytes)",
            "peer": "\(self.peer)",
            "request": "\(exchange.id)",
        ]
        if aborted { metadata["aborted"] = "true" }
        metadata.merge(exchange.logMetadata) { own, _ in own }
        logger.info("request", metadata: metadata)
    }

    private func countRequest() {
        guard let metrics = self.configuration.metrics, let exchange = self.exchange else { return }
        let status = exchange.status?.code ?? 0
        metrics.count(
            operation: exchange.operation,
            status: status,
            seconds: Double((NIODeadline.now() - exchange.started).nanoseconds) / 1e9,
            received: exchange.receivedBytes,
            sent: exchange.sentBytes
        )
        switch status {
        case 408: metrics.refused(.slow)
        case 413: metrics.refused(.body)
        case 431: metrics.refused(.header)
        default: break
        }
    }

    // MARK: Files

    private static func discard(_ response: HTTPResponse) {
        guard case .file(let body) = response.body else { return }
        try? body.file.close()
    }

    private static func close(_ file: NIOFileHandle, _ logger: Logger) {
        do {
            try file.close()
        } catch {
            logger.error("a file that was sent cannot be closed", metadata: ["error": "\(error)"])
        }
    }
}

/// A file is shorter than the part of it that was to be sent.
struct HTTPFileEndedError: Error, CustomStringConvertible {
    let expected: Int64
    let at: Int64

    var description: String { "the file ends at byte \(self.at), before byte \(self.expected) that was promised" }
}

/// The task of the request being answered, to be cancelled when the peer goes away.
///
/// Touched on the connection's event loop only, and cleared before the task ends, as `UnsafeCurrentTask` demands;
/// `cancel()` is among what it allows from outside the task.
struct HTTPRunningTask {
    private let task: UnsafeCurrentTask?

    init(_ task: UnsafeCurrentTask?) {
        self.task = task
    }

    func cancel() {
        self.task?.cancel()
    }
}
