// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Slows down those who guess passwords: after a few failures each further one doubles the wait, up to some minutes.
///
/// Failures are counted for a user from one address, for a user from anywhere, and for an address whoever it claims to be. Who
/// logged in from an address not long ago is held to the first count alone: strangers cannot lock a user out by failing in
/// the user's name, nor one of a company's people the others.
///
/// The counts are in tables of fixed size, at places that a random key chooses; nothing is evicted, so nobody can fill them
/// to have a count forgotten. Each is kept at two places and the lower one counts.
final class LoginLimiter: Sendable {
    /// How many failures are free, and how long the wait becomes.
    struct Policy: Sendable {
        var free: Int
        var longest: Duration
    }

    struct Policies: Sendable {
        var pair = Policy(free: 5, longest: .seconds(300))
        var user = Policy(free: 30, longest: .seconds(60))
        var address = Policy(free: 60, longest: .seconds(300))
        /// A quiet time after which failures are forgotten.
        var memory = Duration.seconds(900)
    }

    private struct Count {
        var failures = 0
        var last = Duration.zero
    }

    /// One table for all kinds; each count at a place in each row.
    private struct State {
        var rows = [[Count]](repeating: [Count](repeating: Count(), count: LoginLimiter.size), count: 2)
        /// When a pair logged in, at its place, with what tells it from others there.
        var known = [(tag: Int, at: Duration)](repeating: (0, .zero), count: LoginLimiter.size)
    }

    private enum Subject: Hashable {
        case pair(String, String)
        case user(String)
        case address(String)
    }

    private static let size = 8_192
    private static let knownLifetime = Duration.seconds(86_400)

    private let policies: Policies
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// - Parameter now: the time since any fixed point.
    init(_ policies: Policies = Policies(), now: @escaping @Sendable () -> Duration) {
        self.policies = policies
        self.now = now
    }

    /// Asks for an attempt, which counts as failed from here on: many at once are no way around the limit.
    /// - Returns: nil when it may be made, else how long to wait. A refused attempt does not count.
    func begin(user: String, address: String) -> Duration? {
        let now = self.now()
        return self.state.withLock { state in
            var counted: [Subject: Policy] = [.pair(user, address): self.policies.pair]
            if !Self.isKnown(user, address, now, state) {
                counted[.user(user)] = self.policies.user
                counted[.address(address)] = self.policies.address
            }
            let waits = counted.map { subject, policy in self.wait(for: subject, policy, now, state) }
            if let wait = waits.max(), wait > .zero { return wait }
            for subject in self.subjects(user, address) { self.add(1, to: subject, now, &state) }
            return nil
        }
    }

    /// The attempt was right.
    func succeeded(user: String, address: String) {
        let now = self.now()
        self.state.withLock { state in
            for subject in self.subjects(user, address) { self.add(-1, to: subject, now, &state) }
            let pair = Subject.pair(user, address)
            self.add(-self.failures(of: pair, now, state), to: pair, now, &state)
            state.known[Self.place(of: pair, 2)] = (Self.place(of: pair, 3, within: Int.max), now)
        }
    }

    /// The attempt came to nothing, neither right nor wrong.
    func abandoned(user: String, address: String) {
        let now = self.now()
        self.state.withLock { state in
            for subject in self.subjects(user, address) { self.add(-1, to: subject, now, &state) }
        }
    }

    private func subjects(_ user: String, _ address: String) -> [Subject] {
        [.pair(user, address), .user(user), .address(address)]
    }

    private static func isKnown(_ user: String, _ address: String, _ now: Duration, _ state: borrowing State) -> Bool {
        let pair = Subject.pair(user, address)
        let known = state.known[self.place(of: pair, 2)]
        return known.tag == self.place(of: pair, 3, within: Int.max) && now - known.at < self.knownLifetime
            && known.tag != 0
    }

    private func wait(for subject: Subject, _ policy: Policy, _ now: Duration, _ state: borrowing State) -> Duration {
        let failures = self.failures(of: subject, now, state)
        guard failures >= policy.free else { return .zero }
        let wait = min(policy.longest, .seconds(1 << min(failures - policy.free, 20)))
        // Of the two places the one with fewer failures: what else is counted there can only prolong the wait.
        let last = state.rows.indices.map { state.rows[$0][Self.place(of: subject, $0)] }.min {
            $0.failures < $1.failures
        }
        return max(.zero, (last?.last ?? now) + wait - now)
    }

    private func failures(of subject: Subject, _ now: Duration, _ state: borrowing State) -> Int {
        state.rows.indices.map { row in
            let count = state.rows[row][Self.place(of: subject, row)]
            return now - count.last < self.policies.memory ? count.failures : 0
        }.min() ?? 0
    }

    private func add(_ change: Int, to subject: Subject, _ now: Duration, _ state: inout State) {
        for row in state.rows.indices {
            let place = Self.place(of: subject, row)
            var count = state.rows[row][place]
            if now - count.last >= self.policies.memory { count.failures = 0 }
            count.failures = min(max(0, count.failures + change), 1 << 20)
            if change > 0 { count.last = now }
            state.rows[row][place] = count
        }
    }

    /// Keyed by what the runtime chooses at random for each process.
    private static func place(of subject: Subject, _ row: Int, within size: Int = LoginLimiter.size) -> Int {
        var hasher = Hasher()
        hasher.combine(row)
        hasher.combine(subject)
        return Int(UInt(bitPattern: hasher.finalize()) % UInt(size))
    }
}
