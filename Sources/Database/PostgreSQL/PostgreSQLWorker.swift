// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Logging
import Synchronization

/// A thread with a connection, which it makes when there is work, and makes again when it is lost.
///
/// Unchecked, because what changes (the session) is touched by its own thread alone.
final class PostgreSQLWorker: @unchecked Sendable {
    /// How often a block is run again because prepared statements did not fit.
    private static let maximumStalePlans = 2

    private let configuration: PostgreSQLConfiguration
    private let counts: PostgreSQLCounts
    private let logger: Logger?
    private let wake = DispatchSemaphore(value: 0)
    private var session: PostgreSQLSession?

    init(_ configuration: PostgreSQLConfiguration, _ counts: PostgreSQLCounts, _ logger: Logger?) {
        self.configuration = configuration
        self.counts = counts
        self.logger = logger
    }

    /// Runs what there is to do, until there will be no more.
    func start(
        next: @escaping @Sendable (PostgreSQLWorker) -> PostgreSQLRequest?,
        ended: @escaping @Sendable () -> Void
    ) {
        let thread = Thread {
            while let request = next(self) { self.perform(request) }
            self.session = nil
            ended()
        }
        thread.name = "hallmark.postgresql"
        thread.start()
    }

    /// Called by the thread when there is nothing to do.
    func sleep() { self.wake.wait() }
    /// Called by whoever brings work.
    func wakeUp() { self.wake.signal() }

    // MARK: - One request

    private enum Outcome {
        case finished
        case failed(any Error)
        case retry(PostgreSQLFailure)
    }

    private func perform(_ request: PostgreSQLRequest) {
        let deadline = request.deadline
        var backoff = Backoff()
        var stalePlans = 0
        while true {
            switch self.attempt(request) {
            case .finished: return
            case .failed(let error): return request.fail(error)
            case .retry(let failure):
                if failure.kind == .stalePlan { stalePlans += 1 }
                guard stalePlans <= Self.maximumStalePlans, ContinuousClock.now < deadline else {
                    return request.fail(failure.error)
                }
                self.counts.retries.wrappingAdd(1, ordering: .relaxed)
                backoff.wait(after: failure.kind, until: deadline)
            }
        }
    }

    private func attempt(_ request: PostgreSQLRequest) -> Outcome {
        let session: PostgreSQLSession
        do {
            session = try self.connected()
        } catch let failure as PostgreSQLFailure {
            self.logger?.warning("cannot connect to the database", metadata: ["error": "\(failure.error.message)"])
            return .retry(failure)
        } catch {
            return .failed(error)
        }
        let transaction = PostgreSQLTransaction(on: session, request.kind)
        let finish: @Sendable () -> Void
        do {
            finish = try request.run(transaction)
            if let failure = transaction.failure { throw failure }
        } catch {
            transaction.rollback()
            return self.outcome(of: transaction.failure, error, isWrite: request.isWrite)
        }
        guard request.isWrite else {
            // The caller has what it read; the rest is between us and the server.
            finish()
            do { try transaction.commit() } catch { transaction.rollback() }
            return .finished
        }
        do {
            try transaction.commit()
            finish()
            return .finished
        } catch let failure as PostgreSQLFailure where failure.kind == .disconnected {
            self.drop(failure)
            return .failed(
                DatabaseError(
                    code: .unknownOutcome,
                    message: "whether the transaction was stored is not known: \(failure.error.message)"
                )
            )
        } catch {
            transaction.rollback()
            return self.outcome(of: error as? PostgreSQLFailure, error, isWrite: true)
        }
    }

    /// What becomes of a block that did not get to its end. Nothing of it was stored, so it may be run again.
    private func outcome(of failure: PostgreSQLFailure?, _ error: any Error, isWrite: Bool) -> Outcome {
        if self.session?.isBroken == true { self.drop(failure) }
        guard let failure else { return .failed(error) }
        switch failure.kind {
        case .disconnected, .lostRace:
            return .retry(failure)
        case .stalePlan:
            do { try self.session?.forgetPlans() } catch { self.drop(failure) }
            return .retry(failure)
        case .readOnly where isWrite:
            // What we write to has become a standby: another connection may lead to the server that took over.
            self.drop(failure)
            return .retry(failure)
        case .refused, .readOnly:
            return .failed((error as? PostgreSQLFailure)?.error ?? error)
        }
    }

    private func connected() throws -> PostgreSQLSession {
        if let session, !session.isBroken { return session }
        let session = try PostgreSQLSession(self.configuration)
        self.session = session
        return session
    }

    private func drop(_ failure: PostgreSQLFailure?) {
        self.session = nil
        self.counts.lostConnections.wrappingAdd(1, ordering: .relaxed)
        self.logger?.warning(
            "a connection to the database was lost",
            metadata: ["error": "\(failure?.error.message ?? "it is out of step")"]
        )
    }
}

/// Waits longer each time, by a random part so that those who collided do not do so again.
private struct Backoff {
    private var tries = 0

    mutating func wait(after kind: PostgreSQLFailure.Kind, until deadline: ContinuousClock.Instant) {
        self.tries += 1
        // A race is over in a moment. The first connection that is lost may just have been idle when the server restarted.
        let (first, most) = kind == .lostRace ? (0.001, 0.05) : (0.02, 1.0)
        let limit = min(first * Double(1 << min(self.tries - 1, 10)), most)
        let left = ContinuousClock.now.duration(to: deadline) / .seconds(1)
        Thread.sleep(forTimeInterval: max(0, min(Double.random(in: limit / 2...limit), left)))
    }
}

/// A block that waits for its turn, with its result type hidden.
struct PostgreSQLRequest: Sendable {
    /// What keeps it apart from others: the database, or where locks are named, these.
    enum Kind: Sendable {
        /// Statements that read, outside any transaction.
        case query
        case read([SQLLock]?)
        case write([SQLLock]?)
    }

    let kind: Kind
    /// Until when it is run again; the first time counts whenever that is.
    let deadline: ContinuousClock.Instant
    /// Runs the block; what it returns tells the caller.
    let run: @Sendable (PostgreSQLTransaction) throws -> @Sendable () -> Void
    /// Tells the caller that it failed.
    let fail: @Sendable (any Error) -> Void

    var isWrite: Bool {
        if case .write = self.kind { true } else { false }
    }

    init<Result: Sendable>(
        _ kind: Kind,
        patience: Int64,
        _ block: @escaping @Sendable (any SQLConnection) throws -> Result,
        _ continuation: CheckedContinuation<Result, any Error>
    ) {
        self.kind = kind
        self.deadline = ContinuousClock.now + .milliseconds(patience)
        self.run = { transaction in
            let result = try block(transaction)
            return { continuation.resume(returning: result) }
        }
        self.fail = { continuation.resume(throwing: ($0 as? PostgreSQLFailure)?.error ?? $0) }
    }
}
