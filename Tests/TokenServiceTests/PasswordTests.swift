// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import Testing

@testable import TokenService

@Suite("Passwords")
struct PasswordTests {
    /// From the tests of crypt_blowfish, which every bcrypt must pass.
    @Test(
        "bcrypt hashes of other programs match their passwords, and no others",
        arguments: [
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
            ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        ]
    )
    func knownHashes(password: String, text: String) throws {
        let hash = try BcryptHash(text)
        #expect(hash.cost == 5)
        #expect(hash.matches(password))
        #expect(!hash.matches(password + "x"))
        #expect(!hash.matches(""))
        // The same algorithm under the letter that htpasswd writes.
        #expect(try BcryptHash(text.replacing("$2a$", with: "$2y$")).matches(password))
    }

    @Test("what is made here matches, with a salt of its own each time")
    func madeHashes() throws {
        let hash = try BcryptHash.make("correct horse", cost: 4)
        #expect(hash.text.hasPrefix("$2y$04$"))
        #expect(try BcryptHash(hash.text) == hash)
        #expect(hash.matches("correct horse"))
        #expect(!hash.matches("correct horsf"))
        #expect(try BcryptHash.make("correct horse", cost: 4) != hash)
    }

    @Test(
        "passwords that bcrypt would cut off are not stored",
        arguments: ["", "zero\0byte", String(repeating: "x", count: 73)]
    )
    func refusedPasswords(password: String) {
        #expect(throws: UsersFileError(.password, "")) { try BcryptHash.make(password, cost: 4) }
    }

    @Test("a zero byte does not end the comparison early")
    func zeroByte() throws {
        #expect(try !BcryptHash.make("password", cost: 4).matches("password\0more"))
    }

    @Test("no password belongs to a user who is not there")
    func stranger() {
        let hash = BcryptHash.unknown(cost: 4)
        #expect(!hash.matches(""))
        #expect(!hash.matches("password"))
    }

    @Test(
        "other kinds of hashes are refused by their name",
        arguments: [
            ("$apr1$abc$def", "Apache's MD5"), ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
            ("$6$abc$def", "SHA-512"), ("rOlyGqVpMYlOs", "not stored with bcrypt"), ("", "not stored with bcrypt"),
            ("$2y$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "cost 15"),
            ("$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "cost 31"),
            ("$2y$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "cost 3"),
            ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe", "cut off"),
            ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO W", "other characters"),
            ("$2y$0x$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "other characters"),
        ]
    )
    func refusedHashes(text: String, reason: String) {
        #expect {
            try BcryptHash(text)
        } throws: { error in
            error as? UsersFileError == UsersFileError(.hash, "") && "\(error)".contains(reason)
        }
    }
}

final class Counter: Sendable {
    private let value = Mutex(0)

    var count: Int { self.value.withLock { $0 } }

    func add() {
        self.value.withLock { $0 += 1 }
    }
}

@Suite("Verdicts on passwords")
struct PasswordVerifierTests {
    private let clock = TestClock()
    private let hash: BcryptHash
    private let verifier: PasswordVerifier

    init() throws {
        self.hash = try BcryptHash.make("password", cost: 4)
        let clock = self.clock
        self.verifier = PasswordVerifier(
            workers: PasswordWorkers(threads: 1),
            lifetime: .seconds(60),
            now: { clock.elapsed }
        )
    }

    /// - Returns: the verdict, and whether a password had to be hashed for it.
    private func verify(
        _ password: String,
        of user: String = "alice",
        hash: BcryptHash?
    ) async -> (verdict: PasswordVerifier.Verdict, isNew: Bool) {
        var isNew = false
        let verdict = await self.verifier.verify(password, of: user, hash: hash, costs: [4]) {
            isNew = true
            return nil
        }
        return (verdict, isNew)
    }

    @Test("a right password is hashed once a minute, and again when the stored one has changed")
    func rememberedRight() async throws {
        #expect(await self.verify("password", hash: self.hash) == (.right, true))
        #expect(await self.verify("password", hash: self.hash) == (.right, false))
        let other = try BcryptHash.make("other", cost: 4)
        #expect(await self.verify("password", hash: other) == (.wrong, true))
        #expect(await self.verify("password", hash: nil) == (.wrong, true))
        self.clock.advance(.seconds(61))
        #expect(await self.verify("password", hash: self.hash) == (.right, true))
    }

    @Test("what is remembered of one user and password says nothing of another")
    func separateVerdicts() async {
        #expect(await self.verify("password", hash: self.hash) == (.right, true))
        #expect(await self.verify("password", of: "bob", hash: nil) == (.wrong, true))
        #expect(await self.verify("passwore", hash: self.hash) == (.wrong, true))
        #expect(await self.verify("passwore", hash: self.hash) == (.wrong, false))
        // The parts are told apart by their lengths.
        #expect(await self.verify("\(self.hash.text)password", of: "alic", hash: nil) == (.wrong, true))
    }

    @Test("many who ask the same at once are admitted once")
    func singleFlight() async {
        let admitted = Counter()
        await withTaskGroup { group in
            for _ in 0..<32 {
                group.addTask { [verifier, hash] in
                    let verdict = await verifier.verify("password", of: "alice", hash: hash, costs: [4]) {
                        admitted.add()
                        return nil
                    }
                    #expect(verdict == .right)
                }
            }
        }
        #expect(admitted.count == 1)
    }

    @Test("who is not admitted gets no verdict, not even on the right password")
    func refused() async {
        let verdict = await self.verifier.verify("password", of: "alice", hash: self.hash, costs: [4]) { .seconds(7) }
        #expect(verdict == .refused(.seconds(7)))
    }

    @Test("beyond the queue's length nobody waits")
    func busy() async {
        let workers = PasswordWorkers(threads: 1, limit: 1)
        let (release, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        async let first = workers.run {
            gate.signal()
            release.wait()
            return true
        }
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                gate.wait()
                continuation.resume()
            }
        }
        #expect(await workers.run { true } == nil)
        release.signal()
        #expect(await first == true)
        #expect(await workers.run { true } == true)
    }
}
