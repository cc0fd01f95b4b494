// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A streamed reply that waits until the peer has taken enough of it.
struct HTTPWritabilityWaiter {
    let continuation: CheckedContinuation<Void, any Error>
    let ticket: HTTPConnectionWriter.Ticket
}

/// Takes the bytes of one streamed reply, frames them, and waits for slow peers.
///
/// `@unchecked Sendable`: its state is touched on the connection's event loop only.
final class HTTPConnectionWriter: HTTPBodyWriter, @unchecked Sendable {
    /// Tells one wait from the next.
    final class Ticket: Sendable {}

    private let connection: HTTPConnection
    /// The request this is the reply to: a writer kept for longer must not write into another's reply.
    private let sequence: UInt32
    private let framing: HTTPResponseFraming
    private var writtenBytes: Int64 = 0

    init(connection: HTTPConnection, sequence: UInt32, framing: HTTPResponseFraming) {
        self.connection = connection
        self.sequence = sequence
        self.framing = framing
    }

    func write(_ buffer: ByteBuffer) async throws {
        if self.connection.eventLoop.inEventLoop {
            if try self.accept(buffer) { return }
        } else {
            let isWritable = try await self.connection.eventLoop.submit { try self.accept(buffer) }.get()
            if isWritable { return }
        }
        try await self.untilWritable()
    }

    /// Ends the reply.
    /// - Throws: when less was written than the head has promised.
    func finish() throws {
        let context = try self.openContext()
        switch self.framing {
        case .chunked:
            context.write(self.connection.wrapOutboundOut(.byteBuffer(Self.lastChunk)), promise: nil)
        case .length(let length) where length != self.writtenBytes:
            throw HTTPStreamLengthError(promised: length, written: self.writtenBytes)
        case .none, .length, .untilClose:
            break
        }
    }

    private static let lastChunk = ByteBuffer(string: "0\r\n\r\n")

    private func openContext() throws -> ChannelHandlerContext {
        guard
            self.connection.phase == .responding,
            self.connection.sequence == self.sequence,
            let context = self.connection.context
        else {
            throw HTTPConnectionClosedError()
        }
        return context
    }

    /// - Returns: true when more may be written at once.
    private func accept(_ buffer: ByteBuffer) throws -> Bool {
        let context = try self.openContext()
        let count = buffer.readableBytes
        guard count > 0 else { return context.channel.isWritable }
        let (total, overflows) = self.writtenBytes.addingReportingOverflow(Int64(count))
        if case .length(let length) = self.framing, overflows || total > length {
            throw HTTPStreamLengthError(promised: length, written: total)
        }
        self.writtenBytes = total
        self.connection.exchange?.sentBytes = total
        if self.framing == .chunked {
            let head = ByteBuffer(string: String(count, radix: 16) + "\r\n")
            context.write(self.connection.wrapOutboundOut(.byteBuffer(head)), promise: nil)
            context.write(self.connection.wrapOutboundOut(.byteBuffer(buffer)), promise: nil)
            context.write(self.connection.wrapOutboundOut(.byteBuffer(Self.chunkEnd)), promise: nil)
        } else {
            context.write(self.connection.wrapOutboundOut(.byteBuffer(buffer)), promise: nil)
        }
        self.connection.flush()
        return context.channel.isWritable
    }

    private static let chunkEnd = ByteBuffer(string: "\r\n")

    private func untilWritable() async throws {
        let ticket = Ticket()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let waiter = HTTPWritabilityWaiter(continuation: continuation, ticket: ticket)
                self.connection.eventLoop.execute { self.wait(waiter) }
                // A cancellation before this line may have looked for the waiter before it was there.
                if Task.isCancelled {
                    self.connection.eventLoop.execute { self.cancel(ticket) }
                }
            }
        } onCancel: {
            self.connection.eventLoop.execute { self.cancel(ticket) }
        }
    }

    private func wait(_ waiter: HTTPWritabilityWaiter) {
        do {
            if try self.openContext().channel.isWritable {
                waiter.continuation.resume()
            } else {
                self.connection.writabilityWaiters.append(waiter)
            }
        } catch {
            waiter.continuation.resume(throwing: error)
        }
    }

    private func cancel(_ ticket: Ticket) {
        guard let index = self.connection.writabilityWaiters.firstIndex(where: { $0.ticket === ticket }) else { return }
        self.connection.writabilityWaiters.remove(at: index).continuation.resume(throwing: CancellationError())
    }
}

/// A streamed reply that is not as long as its head said.
struct HTTPStreamLengthError: Error, CustomStringConvertible {
    let promised: Int64
    let written: Int64

    var description: String { "the reply promised \(self.promised) bytes, its source made \(self.written)" }
}
