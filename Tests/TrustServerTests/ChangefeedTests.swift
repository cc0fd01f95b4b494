// SPDX-License-Identifier: Apache-2.0

import Crypto
import DatabaseTesting
import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Changefeed", .onEveryDatabase)
struct ChangefeedTests {
    private static func ids(_ reply: TestReply) throws -> [Int64] {
        try ChangefeedResponse.decode(reply.body).map(\.id)
    }

    @Test("windows: from the beginning, after a change, before one, and from the newest backwards")
    func windows() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            for _ in 0..<5 { _ = try await server.publish([], to: "g") }
            _ = try await server.publish(try await server.publisher("h").first(), to: "h")
            let cases: [(query: String, all: [Int64], ofG: [Int64])] = [
                ("records=3", [1, 2, 3], [1, 2, 3]), ("records=0", Array(1...7), Array(1...6)),
                ("records=2&change_id=4", [5, 6], [5, 6]), ("records=-2&change_id=4", [2, 3], [2, 3]),
                ("records=2&change_id=-1", [6, 7], [5, 6]), ("records=-2&change_id=0", [6, 7], [5, 6]),
                ("records=-2", [6, 7], [5, 6]), ("records=9&change_id=", Array(1...7), Array(1...6)),
                ("records=5&change_id=7", [], []), ("records=-9223372036854775808", Array(1...7), Array(1...6)),
                ("records=9223372036854775807&change_id=2147483647", [], []),
            ]
            for (query, all, ofG) in cases {
                #expect(try Self.ids(try await server.get("/v2/_trust/changefeed", query: query)) == all, "\(query)")
                #expect(try Self.ids(try await server.get("/v2/g/_trust/changefeed", query: query)) == ofG, "\(query)")
            }
        }
    }

    @Test("a change describes the timestamp that came of it; a deletion has none")
    func records() async throws {
        try await TestServer.with { server in
            _ = try await server.send(.DELETE, "/v2/g/_trust/tuf/")
            _ = try await server.publish(try await server.publisher("g").first(), to: "g")
            let hash = Hexadecimal.encode(SHA256.hash(data: try await server.get("timestamp.json", of: "g").body))
            _ = try await server.send(.DELETE, "/v2/g/_trust/tuf/")
            let reply = try await server.get("/v2/g/_trust/changefeed", query: "records=10")
            #expect(
                reply.text
                    == #"{"count":2,"records":[{"ID":"1","CreatedAt":"2027-01-15T08:00:00Z","GUN":"g","Version":1,"SHA256":""#
                    + hash + #"","Category":"update"},{"ID":"2","CreatedAt":"2027-01-15T08:00:00Z","GUN":"g","#
                    + #""Version":0,"SHA256":"","Category":"deletion"}]}"#
            )
            #expect(reply.headers.first(name: "Content-Type") == "text/plain; charset=utf-8")
            #expect(
                try await server.get("/v2/none/_trust/changefeed", query: "records=1").text
                    == #"{"count":0,"records":[]}"#
            )
        }
    }

    @Test(
        "windows that cannot be read",
        arguments: [
            nil, "", "records=", "records=x", "records=1.5", "records=99999999999999999999", "change_id=1",
            "records=%ZZ",
        ]
    )
    func badRecords(query: String?) async throws {
        try await TestServer.with { server in
            let reply = try await server.get("/v2/_trust/changefeed", query: query)
            #expect(reply.status == 400)
            #expect(reply.error?.code == .invalidParameters)
        }
    }

    @Test("a start that is no number of 32 bits", arguments: ["x", "2147483648", "-2147483649", "1e3"])
    func badStart(start: String) async throws {
        try await TestServer.with { server in
            let reply = try await server.get("/v2/_trust/changefeed", query: "records=1&change_id=\(start)")
            #expect(
                reply.text
                    == #"{"errors":[{"code":"INVALID_PARAMETERS","message":"The parameters provided are not valid.","#
                    + "\"detail\":{}}]}\n"
            )
        }
    }

    @Test(
        "moments are written as Go writes them",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_792_000_000_120, "2026-10-14T17:46:40.12Z"),
            (7, "1970-01-01T00:00:00.007Z"),
        ]
    )
    func moments(milliseconds: Int64, text: String) {
        #expect(TrustStore.text(ofMilliseconds: milliseconds) == text)
    }

    @Test("who always asks for what is new misses nothing, however many servers publish at once")
    func following() async throws {
        try await TestServer.with { server in
            var servers: [TestServer] = []
            for _ in 0..<3 { servers.append(try await server.another { $0.revalidation = .zero }) }
            let guns = (0..<6).map { "g\($0)" }
            var publishers: [TestPublisher] = []
            for gun in guns {
                let publisher = try await server.publisher(gun)
                #expect(try await server.publish(try await publisher.first(), to: gun).status == 200)
                publishers.append(publisher)
            }
            let last: Int64 = 12
            let seen = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for (index, publisher) in publishers.enumerated() {
                    let server = servers[index % 3]
                    group.addTask {
                        for version in 3...last {
                            let targets = try await publisher.targets(version: version)
                            try #require(try await server.publish([(.targets, targets)], to: guns[index]).status == 200)
                        }
                        return []
                    }
                }
                group.addTask {
                    var seen: [Int64] = []
                    let expected = guns.count * Int(last - 1)
                    while seen.count < expected {
                        let query = "records=5&change_id=\(seen.last ?? 0)"
                        seen += try Self.ids(try await server.get("/v2/_trust/changefeed", query: query))
                        try await Task.sleep(for: .milliseconds(1))
                    }
                    return seen
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(seen == seen.sorted())
            #expect(Set(seen).count == guns.count * Int(last - 1))
        }
    }
}
