// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import HTTPService
import Logging
import NotaryAPI
import Synchronization

/// What all of the signer's calls have in common: how many there may be at once, a log line each, and errors as statuses.
///
/// A log line tells what was asked, by key id, collection and role. What is signed and what signs is never in it.
struct SignerCalls: Sendable {
    private final class Count: Sendable {
        let value = Mutex(0)
    }

    private static let textLimit = 255

    private let limit: Int
    private let requests: MetricCounter
    private let seconds: MetricHistogram
    private let running = Count()
    private let logger: Logger

    init(limit: Int, metrics: Metrics, logger: Logger) {
        self.limit = limit
        self.requests = metrics.counter(
            "hallmark_signer_requests_total",
            help: "Calls that the signer was asked for, by status.",
            labels: ["method", "status"]
        )
        self.seconds = metrics.histogram(
            "hallmark_signer_request_seconds",
            help: "Time taken by calls that the signer was asked for.",
            labels: ["method"]
        )
        self.logger = logger
    }

    /// Runs one call.
    /// - Parameter status: what the client is told of an error that is not an `RPCError`.
    func perform<Reply: Sendable>(
        _ context: ServerContext,
        _ details: [String: String],
        _ body: () async throws -> Reply,
        status: (any Error) -> RPCError
    ) async throws -> Reply {
        guard self.enter() else {
            self.requests.add(1, context.descriptor.method, "\(RPCError.Code.resourceExhausted)")
            throw RPCError(code: .resourceExhausted, message: "the signer has too much to do; try again")
        }
        defer { self.running.value.withLock { $0 -= 1 } }
        let start = ContinuousClock.now
        var metadata: Logger.Metadata = [
            "method": "\(context.descriptor.method)", "peer": "\(context.remotePeer)",
        ]
        for (name, text) in details { metadata[name] = "\(Self.printable(text))" }
        do {
            let reply = try await body()
            self.count(context, "ok", since: start)
            metadata["status"] = "ok"
            metadata["microseconds"] = "\(Self.microseconds(since: start))"
            self.logger.info("call", metadata: metadata)
            return reply
        } catch {
            let answer = error as? RPCError ?? status(error)
            self.count(context, "\(answer.code)", since: start)
            metadata["status"] = "\(answer.code)"
            metadata["microseconds"] = "\(Self.microseconds(since: start))"
            metadata["error"] = "\(error)"
            self.logger.log(level: answer.code == .notFound ? .info : .error, "call", metadata: metadata)
            throw answer
        }
    }

    private func count(_ context: ServerContext, _ status: String, since start: ContinuousClock.Instant) {
        self.requests.add(1, context.descriptor.method, status)
        self.seconds.observe((ContinuousClock.now - start).seconds, context.descriptor.method)
    }

    private func enter() -> Bool {
        self.running.value.withLock { running in
            guard running < self.limit else { return false }
            running += 1
            return true
        }
    }

    private static func microseconds(since start: ContinuousClock.Instant) -> Int64 {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
    }

    /// What a client sent, as one short line.
    private static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(Self.textLimit).map {
                    $0.properties.generalCategory == .control || $0.properties.generalCategory == .format ? "?" : $0
                }
            )
        )
    }
}
