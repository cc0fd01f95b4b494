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
    private var buffered = CircularBuffer<ByteBuffer>()
    /// The last of them holds small pieces in memory of its own.
    private var isGathering = false
    private var end: End?
    private var waiter: (continuation: CheckedContinuation<ByteBuffer?, any Error>, ticket: Ticket)?

    private let windows: HTTPReceiveWindows
    /// How many bytes have come that nobody has taken yet.
    private(set) var bufferedBytes = 0
    /// How much memory small pieces are gathered in.
    private static let gatheredSize = 16 << 10

    init(eventLoop: any EventLoop, connection: HTTPConnection, windows: HTTPReceiveWindows) {
        self.eventLoop = eventLoop
        self.connection = connection
        self.windows = windows
        windows.bodyBegan()
    }

    deinit {
        if self.end == nil { self.windows.bodyEnded() }
    }

    // MARK: The connection's side

    func receive(_ bytes: ByteBuffer) {
        guard self.end == nil, bytes.readableBytes > 0 else { return }
        if let waiter = self.waiter {
            self.waiter = nil
            waiter.continuation.resume(returning: bytes)
        } else {
            self.keep(bytes)
        }
    }

    /// A piece that came in a small part of the memory it was read into would keep all of that: it is copied to others of its
    /// kind.
    private func keep(_ bytes: ByteBuffer) {
        self.bufferedBytes += bytes.readableBytes
        guard bytes.readableBytes < bytes.storageCapacity / 2 else {
            self.buffered.append(bytes)
            self.isGathering = false
            return
        }
        if self.isGathering, let last = self.buffered.indices.last,
            self.buffered[last].writableBytes >= bytes.readableBytes
        {
            self.buffered[last].writeImmutableBuffer(bytes)
        } else {
            var gathered = ByteBuffer()
            gathered.reserveCapacity(max(Self.gatheredSize, bytes.readableBytes))
            gathered.writeImmutableBuffer(bytes)
            self.buffered.append(gathered)
            self.isGathering = true
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
        self.buffered.removeAll()
        self.bufferedBytes = 0
        self.finish(.failed(HTTPRequestBodyError(.requestIsOver)))
        self.connection = nil
    }

    private func finish(_ end: End) {
        guard self.end == nil else { return }
        self.end = end
        self.windows.bodyEnded()
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
        if let taken = self.buffered.popFirst() {
            self.bufferedBytes -= taken.readableBytes
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
