// SPDX-License-Identifier: Apache-2.0

import Crypto
import DatabaseTesting
import FoundationEssentials
import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@Suite("Publishing", .onEveryDatabase)
struct PublishTests {
    @Test("what is published verifies for a client, whoever holds the snapshot key", arguments: [true, false])
    func firstPublish(serverHoldsSnapshot: Bool) async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("example.org/app", serverHoldsSnapshot: serverHoldsSnapshot)
            let reply = try await server.publish(try await publisher.first(), to: "example.org/app")
            #expect(reply.status == 200)
            #expect(reply.body.isEmpty)
            #expect(reply.headers.first(name: "Content-Type") == nil)
            let collection = try await server.update("example.org/app")
            #expect(collection.targets[.targets]?.payload.targets["v1"] != nil)
            #expect(collection.timestamp?.payload.version == 1)
            #expect(collection.snapshot?.payload.version == (serverHoldsSnapshot ? 1 : 2))
        }
    }

    @Test("metadata is stored, hashed and served byte for byte, odd white space included")
    func rawBytes() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let odd = Array(" \n{ \"x\":1,".utf8)
            var files = try await publisher.first()
            files[1].bytes = odd + files[1].bytes.dropFirst() + Array("\r\n\t ".utf8)
            #expect(try await server.publish(files, to: "g").status == 200)
            #expect(try await server.get("targets.json", of: "g").body == files[1].bytes)
            let hash = Hexadecimal.encode(SHA256.hash(data: files[1].bytes))
            #expect(try await server.get("targets.\(hash).json", of: "g").body == files[1].bytes)
            #expect(try await server.get("2.targets.json", of: "g").body == files[1].bytes)
            _ = try await server.update("g")
        }
    }

    @Test("delegations are published under their parents, and nested ones under theirs")
    func delegations() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let releases = TestKey()
            let nested = TestKey()
            _ = try await server.publish(try await publisher.first(), to: "g")
            let targets = try await publisher.targets(
                version: 3,
                delegations: TestPublisher.delegation("targets/releases", key: releases)
            )
            let child = try await publisher.targets(
                version: 1,
                names: ["a"],
                delegations: TestPublisher.delegation("targets/releases/x", key: nested),
                signedBy: releases
            )
            #expect(
                try await server.publish([(RoleName("targets/releases"), child), (.targets, targets)], to: "g").status
                    == 200
            )
            let grandchild = try await publisher.targets(version: 1, names: ["b"], signedBy: nested)
            #expect(try await server.publish([(RoleName("targets/releases/x"), grandchild)], to: "g").status == 200)
            let collection = try await server.update(
                "g",
                roles: [.targets, RoleName("targets/releases"), RoleName("targets/releases/x")]
            )
            #expect(collection.targets[RoleName("targets/releases/x")]?.payload.targets["b"] != nil)
            #expect(try await server.get("targets/releases/x.json", of: "g").body == grandchild)
        }
    }

    @Test("an empty upload makes a new snapshot and timestamp")
    func emptyUpload() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            #expect(try await server.publish([], to: "g").status == 200)
            let collection = try await server.update("g")
            #expect(collection.snapshot?.payload.version == 2)
            #expect(collection.timestamp?.payload.version == 2)
        }
    }

    @Test("a root may be followed by one that its keys have signed, and by no other")
    func rootRotation() async throws {
        try await TestServer.with { server in
            var publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let oldRoot = publisher.rootKey
            publisher.rootKey = try TestKey(rootOf: "g", at: server.clock.now)
            let unsigned = try await publisher.root(version: 2)
            let refused = try await server.publish([(.root, unsigned)], to: "g")
            #expect(refused.status == 400)
            #expect(refused.text.contains("\"Name\":\"ErrBadRoot\""))
            #expect(refused.text.contains("could not rotate trust to a new trusted root"))
            let rotated = try await publisher.root(version: 2, signedBy: [oldRoot, publisher.rootKey])
            #expect(try await server.publish([(.root, rotated)], to: "g").status == 200)
            #expect(try await server.get("2.root.json", of: "g").body == rotated)
            #expect(try await server.get("root.json", of: "g").body == rotated)
            _ = try await server.update("g")
        }
    }

    @Test("targets, snapshot and timestamp keys can be rotated")
    func keyRotation() async throws {
        try await TestServer.with { server in
            var publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            _ = try await server.publish(try await publisher.first(), to: "g")
            publisher.targetsKey = TestKey()
            let missing = try await server.publish([(.root, try await publisher.root(version: 2))], to: "g")
            #expect(missing.text.contains("\"Name\":\"ErrBadTargets\""), "\(missing.text)")

            // From here on the server holds the snapshot key, and has a new timestamp key.
            publisher.snapshotKey = nil
            publisher.snapshotServerKey = try KeyResponse.decode(
                try await server.send(.POST, "/v2/g/_trust/tuf/snapshot.key").body
            )
            let old = publisher.timestampServerKey
            publisher.timestampServerKey = try KeyResponse.decode(
                try await server.send(.POST, "/v2/g/_trust/tuf/timestamp.key").body
            )
            #expect(publisher.timestampServerKey != old)
            #expect(try await server.serverKey(.timestamp, of: "g") == old)
            let files: TestPublisher.Files = [
                (.root, try await publisher.root(version: 2)), (.targets, try await publisher.targets(version: 3)),
            ]
            #expect(try await server.publish(files, to: "g").status == 200)
            let collection = try await server.update("g")
            #expect(collection.snapshot?.signers == [publisher.snapshotServerKey].compactMap { $0?.id })
            #expect(collection.timestamp?.signers == [publisher.timestampServerKey.id])
            #expect(try await server.serverKey(.timestamp, of: "g") == publisher.timestampServerKey)
        }
    }

    @Test("versions may jump ahead, but not stay or go back")
    func versions() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let first = try await publisher.first()
            _ = try await server.publish(first, to: "g")
            #expect(
                try await server.publish([(.targets, try await publisher.targets(version: 7))], to: "g").status == 200
            )
            let stored = try await server.storedFiles()
            for version: Int64 in [7, 6] {
                let files: TestPublisher.Files = [
                    (.targets, try await publisher.targets(version: version, names: ["x"]))
                ]
                let reply = try await server.publish(files, to: "g")
                #expect(reply.status == 400)
                #expect(
                    reply.text
                        == #"{"errors":[{"code":"VERSION","message":"A newer version of metadata is already available.","#
                        + "\"detail\":{}}]}\n"
                )
            }
            #expect(try await server.publish([first[0]], to: "g").error?.code == .version)
            #expect(try await server.storedFiles() == stored)
        }
    }

    @Test("another server over the same database goes on where this one stopped")
    func restart() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let restarted = try await server.another()
            #expect(try await restarted.update("g").timestamp?.payload.version == 1)
            let files: TestPublisher.Files = [(.targets, try await publisher.targets(version: 3, names: ["v2"]))]
            #expect(try await restarted.publish(files, to: "g").status == 200)
            #expect(try await restarted.update("g").timestamp?.payload.version == 2)
        }
    }

    @Test("a key that the server made for one collection is not accepted for another")
    func foreignKey() async throws {
        try await TestServer.with { server in
            var publisher = try await server.publisher("mine")
            publisher.timestampServerKey = try await server.serverKey(.timestamp, of: "theirs")
            let reply = try await server.publish(try await publisher.first(), to: "mine")
            #expect(reply.status == 400)
            #expect(reply.text.contains("belongs to another collection"))
            #expect(try await server.storedFiles() == 0)
        }
    }
}
