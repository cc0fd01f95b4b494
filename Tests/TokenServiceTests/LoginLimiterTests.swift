// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TokenService

@Suite("Limits of logins")
struct LoginLimiterTests {
    private let clock = TestClock()
    private let limiter: LoginLimiter

    init() {
        let clock = self.clock
        self.limiter = LoginLimiter(now: { clock.elapsed })
    }

    private func fail(_ count: Int, user: String = "alice", address: String = "192.0.2.1") {
        for _ in 0..<count { #expect(self.limiter.begin(user: user, address: address) == nil) }
    }

    @Test("five failures are free, then the wait doubles up to five minutes")
    func backOff() {
        self.fail(5)
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            #expect(self.limiter.begin(user: "alice", address: "192.0.2.1") == .seconds(wait))
            // To be refused does not make it longer.
            #expect(self.limiter.begin(user: "alice", address: "192.0.2.1") == .seconds(wait))
            self.clock.advance(.seconds(wait))
            self.fail(1)
        }
    }

    @Test("attempts at the same time count before their outcome is known")
    func reservation() {
        self.fail(5)
        #expect(self.limiter.begin(user: "alice", address: "192.0.2.1") != nil)
        for _ in 0..<5 { self.limiter.abandoned(user: "alice", address: "192.0.2.1") }
        self.fail(5)
    }

    @Test("a login ends the wait of that user from that address")
    func success() {
        self.fail(4)
        self.fail(1)
        self.limiter.succeeded(user: "alice", address: "192.0.2.1")
        self.fail(5)
        #expect(self.limiter.begin(user: "alice", address: "192.0.2.1") != nil)
    }

    @Test("after a quarter of an hour without failures they are forgotten")
    func memory() {
        self.fail(5)
        self.clock.advance(.seconds(900))
        self.fail(5)
    }

    @Test("one user is guessed at from many addresses: others there and elsewhere are not held up")
    func manyAddresses() {
        for number in 0..<30 { self.fail(1, address: "192.0.2.\(number)") }
        #expect(self.limiter.begin(user: "alice", address: "198.51.100.1") == .seconds(1))
        #expect(self.limiter.begin(user: "bob", address: "192.0.2.1") == nil)
    }

    @Test("strangers cannot lock out who has logged in from an address before")
    func knownPair() {
        self.fail(1, address: "203.0.113.5")
        self.limiter.succeeded(user: "alice", address: "203.0.113.5")
        for number in 0..<30 { self.fail(1, address: "192.0.2.\(number)") }
        #expect(self.limiter.begin(user: "alice", address: "198.51.100.1") != nil)
        #expect(self.limiter.begin(user: "alice", address: "203.0.113.5") == nil)
        self.clock.advance(.seconds(86_400))
        for number in 0..<30 { self.fail(1, address: "192.0.2.\(number)") }
        #expect(self.limiter.begin(user: "alice", address: "203.0.113.5") != nil)
    }

    @Test("an address that tries many users is slowed down for all of them")
    func manyUsers() {
        for number in 0..<60 { self.fail(1, user: "user\(number)") }
        #expect(self.limiter.begin(user: "another", address: "192.0.2.1") == .seconds(1))
        #expect(self.limiter.begin(user: "another", address: "192.0.2.2") == nil)
    }

    @Test("failures in a thousand other names make nobody's forgotten")
    func noEviction() {
        self.fail(5)
        for number in 0..<1_000 { self.fail(1, user: "user\(number)", address: "2001:db8:\(number)::/64") }
        #expect(self.limiter.begin(user: "alice", address: "192.0.2.1") != nil)
    }
}
