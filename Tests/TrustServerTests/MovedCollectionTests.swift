// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Collections from another server", .onEveryDatabase)
struct MovedCollectionTests {
    @Test(
        "versions begin above that of a timestamp which comes with the first update, and take no notice of one that comes later"
    )
    func floor() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let old = Array(
                #"{"signed":{"_type":"Timestamp","version":41},"signatures":[{"keyid":"a","method":"ecdsa","sig":""}]}"#
                    .utf8
            )
            let first = try await publisher.first() + [(.timestamp, old)]
            #expect(try await server.publish(first, to: "g").status == 200)
            var collection = try await server.update("g")
            #expect(collection.timestamp?.payload.version == 42)
            #expect(collection.snapshot?.payload.version == 42)

            let high = Array(
                #"{"signed":{"_type":"Timestamp","version":900},"signatures":[{"keyid":"a","method":"ecdsa","sig":""}]}"#
                    .utf8
            )
            let next: TestPublisher.Files = [(.targets, try await publisher.targets(version: 3)), (.timestamp, high)]
            #expect(try await server.publish(next, to: "g").status == 200)
            collection = try await server.update("g")
            #expect(collection.timestamp?.payload.version == 43)
        }
    }

    @Test("one that would leave no room for versions to come counts for nothing")
    func bounded() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let old = Array(
                #"{"signed":{"_type":"Timestamp","version":2147483000},"signatures":[{"keyid":"a","method":"ecdsa","sig":""}]}"#
                    .utf8
            )
            #expect(try await server.publish(try await publisher.first() + [(.timestamp, old)], to: "g").status == 200)
            #expect(try await server.update("g").timestamp?.payload.version == 1)
        }
    }
}
