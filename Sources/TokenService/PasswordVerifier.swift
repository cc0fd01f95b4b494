// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Synchronization

/// Compares passwords with their hashes, and remembers the verdict for a while: clients send the same password for each
/// repository, and hashing it is meant to be slow.
///
/// What is remembered is a MAC of user, hash and password under a key that only this process has; so a verdict is about this one
/// password as it is stored now. A verdict that is being worked out is waited for, not worked out twice.
final class PasswordVerifier: Sendable {
    enum Verdict: Sendable, Equatable {
        case right
        case wrong
        /// Too many others wait.
        case busy
        /// Whoever asked was not admitted; the value says when to ask again.
        case refused(Duration)
    }

    private struct State {
        /// Until when right and wrong passwords are remembered.
        var right: [[UInt8]: Duration] = [:]
        var wrong: [[UInt8]: Duration] = [:]
        /// Those who wait for a verdict that another works out.
        var pending: [[UInt8]: [CheckedContinuation<Verdict?, Never>]] = [:]
    }

    private static let maximumRemembered = 8_192
    private static let wrongLifetime = Duration.seconds(10)

    private let key = SymmetricKey(size: .bits256)
    private let workers: PasswordWorkers
    private let lifetime: Duration
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - lifetime: how long a right password is remembered.
    ///   - now: the time since any fixed point.
    init(workers: PasswordWorkers, lifetime: Duration, now: @escaping @Sendable () -> Duration) {
        self.workers = workers
        self.lifetime = lifetime
        self.now = now
    }

    /// Whether a password is a user's.
    /// - Parameters:
    ///   - hash: what is stored for the user; nil when there is no such user, which takes as long as if there were.
    ///   - costs: the costs of all users' hashes.
    ///   - admit: asked before a password is hashed, and not where the verdict is known or another is working it out.
    ///     Not nil is how long to wait instead.
    func verify(
        _ password: String,
        of user: String,
        hash: BcryptHash?,
        costs: [Int],
        admit: () -> Duration?
    ) async -> Verdict {
        let stored = hash ?? self.stranger(user, costs)
        let id = self.identity([user, stored.text, password])
        let known: Verdict? = await withCheckedContinuation { continuation in
            switch self.begin(id, admit, continuation) {
            case .known(let verdict): continuation.resume(returning: verdict)
            case .mine: continuation.resume(returning: nil)
            case .waiting: break
            }
        }
        if let known { return known }
        let isRight = await self.workers.run { stored.matches(password) }
        let verdict: Verdict = isRight.map { $0 && hash != nil ? .right : .wrong } ?? .busy
        self.end(id, verdict)
        return verdict
    }

    private enum Start {
        case known(Verdict)
        case mine
        case waiting
    }

    private func begin(
        _ id: [UInt8],
        _ admit: () -> Duration?,
        _ continuation: CheckedContinuation<Verdict?, Never>
    ) -> Start {
        let now = self.now()
        return self.state.withLock { state in
            if let end = state.right[id], end > now { return .known(.right) }
            if let end = state.wrong[id], end > now { return .known(.wrong) }
            if state.pending[id] != nil {
                state.pending[id]?.append(continuation)
                return .waiting
            }
            if let wait = admit() { return .known(.refused(wait)) }
            state.pending[id] = []
            return .mine
        }
    }

    private func end(_ id: [UInt8], _ verdict: Verdict) {
        let now = self.now()
        let waiting = self.state.withLock { state in
            switch verdict {
            case .right: Self.remember(id, until: now + self.lifetime, now, in: &state.right)
            case .wrong: Self.remember(id, until: now + Self.wrongLifetime, now, in: &state.wrong)
            case .busy, .refused: break
            }
            return state.pending.removeValue(forKey: id) ?? []
        }
        for continuation in waiting { continuation.resume(returning: verdict) }
    }

    private static func remember(
        _ id: [UInt8],
        until end: Duration,
        _ now: Duration,
        in verdicts: inout [[UInt8]: Duration]
    ) {
        if verdicts.count >= self.maximumRemembered {
            verdicts = verdicts.filter { $0.value > now }
            if verdicts.count >= self.maximumRemembered { verdicts.removeAll() }
        }
        verdicts[id] = end
    }

    private func identity(_ parts: [String]) -> [UInt8] {
        var mac = HMAC<SHA256>(key: self.key)
        for part in parts {
            withUnsafeBytes(of: UInt64(part.utf8.count)) { mac.update(data: $0) }
            mac.update(data: Array(part.utf8))
        }
        return Array(mac.finalize())
    }

    /// Of a user who is not there: a hash that costs as much as some user's does, always the same for a name.
    private func stranger(_ user: String, _ costs: [Int]) -> BcryptHash {
        let number = self.identity([user]).prefix(4).reduce(0) { $0 << 8 | Int($1) }
        return BcryptHash.unknown(cost: costs.isEmpty ? BcryptHash.defaultCost : costs[number % costs.count])
    }
}
