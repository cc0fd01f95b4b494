// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The body of the request that a connection is answering: filled by the connection, emptied by the responder.
///
/// `@unchecked Sendable`: all state is touched on the connection's event loop only; ``next()``, the one entry for other
/// threads, goes there first.
final class HTTPInboundBody: @unchecked Sendable {
    private enum End {
        case complete
        case failed(any Error)
    }

    /// Tells one wait from the next, so that a late cancellation cannot hit another's.
    private final class Ticket: Sendable {}

    private let eventLoop: any EventLoop
    /// Cleared when the request is over, which also breaks the cycle between the two.
    private var connection: HTTPConnection?
    private var buffered = ByteBuffer()
    private var end: End?
    private var waiter: (continuation: CheckedContinuation<ByteBuffer?, any Error>, ticket: Ticket)?

    init(eventLoop: any EventLoop, connection: HTTPConnection) {
        self.eventLoop = eventLoop
        self.connection = connection
    }

    /// How many bytes have come that nobody has taken yet.
    var bufferedBytes: Int { self.buffered.readableBytes }

    // MARK: The connection's side

    func receive(_ bytes: ByteBuffer) {
        guard self.end == nil, bytes.readableBytes > 0 else { return }
        if let waiter = self.waiter {
            self.waiter = nil
            waiter.continuation.resume(returning: bytes)
        } else if self.buffered.readableBytes == 0 {
            self.buffered = bytes
        } else {
            self.buffered.writeImmutableBuffer(bytes)
        }
    }

    func complete() {
        self.finish(.complete)
    }

    func fail(_ error: any Error) {
        self.finish(.failed(error))
    }

    /// Ends all reading: the reply has been sent.
    func close() {
        self.buffered = ByteBuffer()
        self.finish(.failed(HTTPRequestBodyError(.requestIsOver)))
        self.connection = nil
    }

    private func finish(_ end: End) {
        guard self.end == nil else { return }
        self.end = end
        guard let waiter = self.waiter else { return }
        self.waiter = nil
        switch end {
        case .complete: waiter.continuation.resume(returning: nil)
        case .failed(let error): waiter.continuation.resume(throwing: error)
        }
    }

    // MARK: The responder's side

    func next() async throws -> ByteBuffer? {
        if self.eventLoop.inEventLoop, let outcome = self.take() {
            return try outcome.get()
        }
        let ticket = Ticket()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if self.eventLoop.inEventLoop {
                    self.wait(continuation, ticket)
                } else {
                    self.eventLoop.execute { self.wait(continuation, ticket) }
                }
                // A cancellation before this line may have looked for the waiter before it was there.
                if Task.isCancelled {
                    self.eventLoop.execute { self.cancel(ticket) }
                }
            }
        } onCancel: {
            self.eventLoop.execute { self.cancel(ticket) }
        }
    }

    /// What can be had without waiting; nil when nothing has come.
    private func take() -> Result<ByteBuffer?, any Error>? {
        if self.buffered.readableBytes > 0 {
            let taken = self.buffered
            self.buffered = ByteBuffer()
            self.connection?.bodyWasTaken()
            return .success(taken)
        }
        switch self.end {
        case .complete: return .success(nil)
        case .failed(let error): return .failure(error)
        case nil: return nil
        }
    }

    private func wait(_ continuation: CheckedContinuation<ByteBuffer?, any Error>, _ ticket: Ticket) {
        if let outcome = self.take() {
            continuation.resume(with: outcome)
        } else if self.waiter != nil {
            continuation.resume(throwing: HTTPRequestBodyError(.readTwice))
        } else {
            self.waiter = (continuation, ticket)
            self.connection?.bodyIsAwaited()
        }
    }

    private func cancel(_ ticket: Ticket) {
        guard let waiter = self.waiter, waiter.ticket === ticket else { return }
        self.waiter = nil
        waiter.continuation.resume(throwing: CancellationError())
    }
}
