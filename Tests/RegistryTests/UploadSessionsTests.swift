// SPDX-License-Identifier: Apache-2.0

import Foundation
import OCI
import Testing

@testable import Registry

struct UploadSessionsTests {
    private let start = Date(timeIntervalSince1970: 1_000)
    private var sessions = UploadSessions(maximumLeases: 2, maximumIdle: 4, stallTime: 5)

    private static func key(_ number: Int = 0) throws -> UploadKey {
        let id = try #require(UploadID("00000000-0000-0000-0000-" + String(format: "%012d", number)))
        return try UploadKey(repository: RepositoryName("a"), id: id)
    }

    private mutating func lease(_ key: UploadKey, after seconds: TimeInterval = 0) throws -> UploadSessions.Lease {
        guard case .granted(let lease, _) = self.sessions.acquire(key, at: self.start + seconds) else {
            throw RegistryError.uploadBusy
        }
        return lease
    }

    @Test("a second request finds the upload busy, until the first ends")
    mutating func busy() throws {
        let lease = try self.lease(Self.key())
        #expect(throws: RegistryError.self) { try self.lease(Self.key(), after: 4.9) }
        self.sessions.release(lease, checkpoint: nil)
        _ = try self.lease(Self.key())
    }

    @Test("a request whose client is silent loses its upload, and can write no more")
    mutating func takeover() throws {
        let old = try self.lease(Self.key())
        let new = try self.lease(Self.key(), after: 5)
        let oldWrites = self.sessions.beginWriting(old)
        let newWrites = self.sessions.beginWriting(new)
        #expect(!oldWrites)
        #expect(newWrites)
        self.sessions.release(old, checkpoint: nil)
        self.sessions.endWriting(old, at: self.start)
        self.sessions.endWriting(new, at: self.start)
        let writesOn = self.sessions.beginWriting(new)
        #expect(writesOn, "the old one's end must not touch the new one")
    }

    @Test("bytes that arrive put the takeover off, and nobody takes over in the middle of a write")
    mutating func progress() throws {
        let lease = try self.lease(Self.key())
        let writes = self.sessions.beginWriting(lease)
        #expect(writes)
        #expect(throws: RegistryError.self) { try self.lease(Self.key(), after: 100) }
        let cancelled = try self.sessions.cancel(Self.key())
        #expect(!cancelled)
        self.sessions.endWriting(lease, at: self.start + 100)
        #expect(throws: RegistryError.self) { try self.lease(Self.key(), after: 104) }
        _ = try self.lease(Self.key(), after: 105)
    }

    @Test("the hash is kept for the next request, and for nobody twice")
    mutating func checkpoint() throws {
        let lease = try self.lease(Self.key())
        self.sessions.release(lease, checkpoint: .init(offset: 7, hasher: Digest.Hasher()))
        guard case .granted(let next, let checkpoint) = try self.sessions.acquire(Self.key(), at: self.start) else {
            Issue.record("busy")
            return
        }
        #expect(checkpoint?.offset == 7)
        self.sessions.release(next, checkpoint: nil)
        guard case .granted(_, let none) = try self.sessions.acquire(Self.key(), at: self.start) else {
            Issue.record("busy")
            return
        }
        #expect(none == nil)
    }

    @Test("only so many requests receive at once, and each that ends makes room")
    mutating func full() throws {
        let first = try self.lease(Self.key(1))
        _ = try self.lease(Self.key(2))
        guard case .full = try self.sessions.acquire(Self.key(3), at: self.start) else {
            Issue.record("a third was let in")
            return
        }
        // A takeover needs no more room, a cancelled request makes some, and the end of a lost lease makes none.
        let second = try self.lease(Self.key(1), after: 10)
        self.sessions.release(first, checkpoint: nil)
        guard case .full = try self.sessions.acquire(Self.key(3), at: self.start) else {
            Issue.record("the end of a lost lease made room")
            return
        }
        let cancelled = try self.sessions.cancel(Self.key(2))
        #expect(cancelled)
        _ = try self.lease(Self.key(3))
        self.sessions.release(second, checkpoint: nil)
        _ = try self.lease(Self.key(4))
    }

    @Test("hashes of uploads without a writer are bounded: the oldest go")
    mutating func bounded() throws {
        for number in 0..<100 {
            try self.sessions.prepare(Self.key(number), checkpoint: .init(offset: 0, hasher: Digest.Hasher(.sha512)))
        }
        var kept: [Int] = []
        for number in 0..<100 {
            guard case .granted(let lease, let checkpoint) = try self.sessions.acquire(Self.key(number), at: self.start)
            else {
                Issue.record("busy")
                return
            }
            if checkpoint != nil { kept.append(number) }
            self.sessions.release(lease, checkpoint: nil)
        }
        #expect((1...4).contains(kept.count))
        #expect(kept.last == 99)
    }
}
