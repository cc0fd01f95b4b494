// SPDX-License-Identifier: Apache-2.0

import DatabaseTesting
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Publishers who race", .onEveryDatabase)
struct RaceTests {
    /// Several servers over one database, as in a deployment of many: none knows of the others' locks or memory.
    private static func servers(_ server: TestServer, _ count: Int) async throws -> [TestServer] {
        var servers: [TestServer] = []
        for _ in 0..<count { servers.append(try await server.another { $0.revalidation = .zero }) }
        return servers
    }

    @Test("of many who publish one version, exactly one wins, and the others are told so", arguments: [1, 4])
    func oneWins(processes: Int) async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let servers = try await Self.servers(server, processes)
            for version: Int64 in 3...6 {
                let replies = try await withThrowingTaskGroup(of: TestReply.self) { group in
                    for index in 0..<12 {
                        group.addTask {
                            let targets = try await publisher.targets(version: version, names: ["by-\(index)"])
                            return try await servers[index % processes].publish([(.targets, targets)], to: "g")
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(replies.filter { $0.status == 200 }.count == 1)
                #expect(replies.filter { $0.status == 400 && $0.error?.code == .version }.count == 11)
                for server in servers {
                    #expect(try await server.update("g").targets[.targets]?.payload.version == version)
                }
            }
        }
    }

    @Test("those who publish different delegations all win, and none undoes another", arguments: [1, 3])
    func allWin(processes: Int) async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let keys = (0..<6).map { _ in TestKey() }
            var delegations = Delegations()
            for (index, key) in keys.enumerated() {
                let one = TestPublisher.delegation("targets/d\(index)", key: key)
                delegations.roles += one.roles
                delegations.keys[key.publicKey.id.text] = key.publicKey
            }
            var files = try await publisher.first()
            files[1].bytes = try await publisher.targets(version: 2, delegations: delegations)
            #expect(try await server.publish(files, to: "g").status == 200)
            let servers = try await Self.servers(server, processes)
            let replies = try await withThrowingTaskGroup(of: TestReply.self) { group in
                for (index, key) in keys.enumerated() {
                    group.addTask {
                        let targets = try await publisher.targets(version: 1, names: ["x\(index)"], signedBy: key)
                        return try await servers[index % processes].publish(
                            [(RoleName("targets/d\(index)"), targets)],
                            to: "g"
                        )
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(replies.allSatisfy { $0.status == 200 }, "\(replies.map(\.text))")
            let roles = [RoleName.targets] + keys.indices.map { RoleName("targets/d\($0)") }
            for server in servers {
                let collection = try await server.update("g", roles: roles)
                #expect(collection.timestamp?.payload.version == 7)
                #expect(collection.targets.count == 7)
            }
        }
    }

    @Test("of many who publish a collection first, one does")
    func firstPublish() async throws {
        try await TestServer.with { server in
            let servers = try await Self.servers(server, 3)
            let replies = try await withThrowingTaskGroup(of: TestReply.self) { group in
                for index in 0..<9 {
                    group.addTask {
                        let server = servers[index % 3]
                        return try await server.publish(try await server.publisher("g").first(), to: "g")
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(replies.filter { $0.status == 200 }.count == 1)
            #expect(replies.allSatisfy { $0.status == 200 || $0.status == 400 })
            _ = try await server.update("g")
        }
    }

    @Test("a reader never sees a state that does not fit together while publishers are at work")
    func readers() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for version: Int64 in 3...30 {
                        let targets = try await publisher.targets(version: version)
                        try #require(try await server.publish([(.targets, targets)], to: "g").status == 200)
                    }
                }
                for _ in 0..<3 {
                    group.addTask {
                        var newest: Int64 = 0
                        while newest < 29 {
                            let collection = try await server.update("g")
                            let version = try #require(collection.timestamp?.payload.version)
                            #expect(version >= newest)
                            newest = version
                            // All of that may have come from memory, without a pause for others.
                            try await Task.sleep(for: .milliseconds(1))
                        }
                    }
                }
                // One that fails ends them all.
                for try await _ in group {}
            }
        }
    }
}
