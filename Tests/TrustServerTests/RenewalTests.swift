// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Renewal", .onEveryDatabase)
struct RenewalTests {
    @Test("an expired timestamp is signed again when it is read, once for all who read it at once")
    func onRead() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            server.clock.advance(days: 13.9)
            #expect(try await server.update("g").timestamp?.payload.version == 1)
            server.clock.advance(days: 0.2)
            let signatures = server.signer.signatures
            let bodies = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for _ in 0..<8 { group.addTask { try await server.get("timestamp.json", of: "g").body } }
                return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
            }
            #expect(bodies.count == 1)
            #expect(server.signer.signatures == signatures + 1)
            let collection = try await server.update("g")
            #expect(collection.timestamp?.payload.version == 2)
            #expect(collection.snapshot?.payload.version == 1)
        }
    }

    @Test("an expired snapshot of the server's is signed again when it is read")
    func snapshotOnRead() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files[1].bytes = try await publisher.targets(version: 2, days: 3000)
            _ = try await server.publish(files, to: "g")
            server.clock.advance(days: 1100)
            let collection = try await server.update("g")
            #expect(collection.snapshot?.payload.version == 2)
            #expect(collection.timestamp?.payload.version == 2)
        }
    }

    @Test("an expired snapshot of the publisher's makes nothing unreadable")
    func clientSnapshot() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            var files = Array(try await publisher.first().prefix(2))
            files.append((.snapshot, try await publisher.snapshot(version: 2, of: files, days: 5)))
            #expect(try await server.publish(files, to: "g").status == 200)
            server.clock.advance(days: 20)
            for leaf in ["root.json", "targets.json", "snapshot.json", "timestamp.json"] {
                #expect(try await server.get(leaf, of: "g").status == 200)
            }
            #expect(try await server.get("snapshot.json", of: "g").body == files[2].bytes)
            #expect(try await server.get("2.timestamp.json", of: "g").status == 200)
            let again = try await publisher.snapshot(version: 3, of: Array(files.prefix(2)))
            #expect(try await server.publish([(.snapshot, again)], to: "g").status == 200)
            _ = try await server.update("g")
        }
    }

    @Test("under an expired root nothing is signed, and what is stored is served")
    func expiredRoot() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files[0].bytes = try await publisher.root(days: 3)
            _ = try await server.publish(files, to: "g")
            server.clock.advance(days: 4)
            #expect(try await server.get("timestamp.json", of: "g").status == 200)
            let signatures = server.signer.signatures
            server.clock.advance(days: 20)
            for leaf in ["timestamp.json", "snapshot.json", "root.json"] {
                #expect(try await server.get(leaf, of: "g").status == 200)
            }
            #expect(server.signer.signatures == signatures)
            // Its owner can mend that.
            let root = try await publisher.root(version: 2)
            #expect(try await server.publish([(.root, root)], to: "g").status == 200)
            _ = try await server.update("g")
        }
    }

    @Test("an expired timestamp is an error while the signer is away, and is not after")
    func signerAway() async throws {
        try await TestServer.with { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            server.clock.advance(days: 15)
            server.signer.setUnavailable(true)
            let reply = try await server.get("timestamp.json", of: "g")
            #expect(reply.status == 503)
            #expect(reply.error?.code == .unavailable)
            #expect(try await server.get("root.json", of: "g").status == 200)
            server.signer.setUnavailable(false)
            #expect(try await server.get("timestamp.json", of: "g").status == 200)
        }
    }

    @Test("everything whose time comes is renewed in the background, before any reader sees it expire")
    func background() async throws {
        try await TestServer.with {
            $0.renewalBatch = 2
        } _: { server in
            let names = (0..<5).map { "g\($0)" }
            for name in names { _ = try await server.publish(try await server.publisher(name).first(), to: name) }
            #expect(try await server.server.renewal.renewAll() == 0)
            server.clock.advance(days: 11)
            #expect(try await server.server.renewal.renewAll() == 5)
            #expect(try await server.server.renewal.renewAll() == 0)
            for name in names { #expect(try await server.update(name).timestamp?.payload.version == 2) }
        }
    }

    @Test("a collection that cannot be renewed does not keep others from it, and gets its turn again")
    func failures() async throws {
        try await TestServer.with {
            $0.renewalBatch = 1
        } _: { server in
            let publisher = try await server.publisher("bad")
            var files = try await publisher.first()
            files[0].bytes = try await publisher.root(days: 5)
            _ = try await server.publish(files, to: "bad")
            _ = try await server.publish(try await server.publisher("good").first(), to: "good")
            server.clock.advance(days: 11)
            #expect(try await server.server.renewal.renewAll() == 2)
            #expect(try await server.update("good").timestamp?.payload.version == 2)
            #expect(try await server.get("2.timestamp.json", of: "bad").status == 404)
            #expect(try await server.publish([(.root, try await publisher.root(version: 2))], to: "bad").status == 200)
            server.signer.setUnavailable(true)
            server.clock.advance(days: 11)
            #expect(try await server.server.renewal.renewAll() == 2)
            server.signer.setUnavailable(false)
            server.clock.advance(days: 0.1)
            #expect(try await server.server.renewal.renewAll() == 2)
            #expect(try await server.get("3.timestamp.json", of: "bad").status == 200)
            #expect(try await server.get("3.timestamp.json", of: "good").status == 200)
        }
    }

    @Test("two servers of one database renew a collection once")
    func twoServers() async throws {
        try await TestServer.with {
            $0.revalidation = .zero
        } _: { server in
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            let other = try await server.another { $0.revalidation = .zero }
            server.clock.advance(days: 15)
            async let first = server.get("timestamp.json", of: "g")
            async let second = other.get("timestamp.json", of: "g")
            let bodies = try await [first.body, second.body]
            #expect(bodies[0] == bodies[1])
            #expect(try await server.update("g").timestamp?.payload.version == 2)
        }
    }
}
