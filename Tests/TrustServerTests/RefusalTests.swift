// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import NotaryAPI
import TUF
import Testing

@testable import TrustServer

@Suite("Refused uploads")
struct RefusalTests {
    private static func body(_ code: String, _ message: String, _ detail: String? = nil) -> String {
        "{\"errors\":[{\"code\":\"\(code)\",\"message\":\"\(message)\"\(detail.map { ",\"detail\":\($0)" } ?? "")}]}\n"
    }

    private static func update(_ name: String, _ message: String) -> String {
        Self.body(
            "INVALID_UPDATE",
            "Update sent by the client is invalid.",
            "{\"Name\":\"\(name)\",\"Error\":{\"Msg\":\"\(message)\"}}"
        )
    }

    @Test("no root, neither stored nor sent")
    func noRoot() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            let reply = try await server.publish([(.targets, try await publisher.targets(version: 1))], to: "g")
            #expect(reply.status == 400)
            #expect(
                reply.text
                    == Self.update("ErrValidation", "no pre-existing root and no root provided in update.")
            )
            #expect(reply.headers.first(name: "Content-Type") == "application/json; charset=utf-8")
        }
    }

    @Test(
        "a first root may have any version, as one that comes from another server has, that is one",
        arguments: [
            (1, true), (2, true), (700, true), (Int64(Int32.max) + 1, false),
        ]
    )
    func firstRootVersion(version: Int64, isAccepted: Bool) async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files[0].bytes = try await publisher.root(version: version)
            let reply = try await server.publish(files, to: "g")
            #expect(reply.status == (isAccepted ? 200 : 400))
            if !isAccepted {
                #expect(reply.text.contains("\"Name\":\"ErrBadRoot\""))
                #expect(try await server.storedFiles() == 0)
            }
        }
    }

    @Test("an expired root, and one for another collection")
    func badRoots() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files[0].bytes = try await publisher.root(days: -1)
            #expect(try await server.publish(files, to: "g").text.contains("\"Name\":\"ErrBadRoot\""))
            let other = try await publisher.first()
            let reply = try await server.publish(other, to: "h")
            #expect(reply.text.contains("the root certificate is for g, not for h"), "\(reply.text)")
            #expect(try await server.storedFiles() == 0)
        }
    }

    @Test("targets signed by another key, expired, or of a delegation that does not exist")
    func badTargets() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let stored = try await server.storedFiles()
            let foreign = try await publisher.targets(version: 3, signedBy: TestKey())
            let unsigned = try await server.publish([(.targets, foreign)], to: "g")
            #expect(unsigned.text.contains("\"Name\":\"ErrBadTargets\""))
            #expect(unsigned.text.contains("valid signatures did not meet threshold for targets"))
            let expired = try await publisher.targets(version: 3, days: -1)
            #expect(try await server.publish([(.targets, expired)], to: "g").text.contains("ErrBadTargets"))
            let delegated = try await publisher.targets(version: 1)
            #expect(
                try await server.publish([(RoleName("targets/foo"), delegated)], to: "g").text
                    == Self.update("ErrBadTargets", "tuf: invalid role targets/foo. delegation does not exist")
            )
            #expect(try await server.storedFiles() == stored)
        }
    }

    @Test("one bad file of several leaves nothing of the others behind")
    func allOrNothing() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            _ = try await server.publish(try await publisher.first(), to: "g")
            let stored = try await server.storedFiles()
            let timestamp = try await server.get("timestamp.json", of: "g").body
            let key = TestKey()
            let targets = try await publisher.targets(
                version: 3,
                delegations: TestPublisher.delegation("targets/a", key: key)
            )
            let child = try await publisher.targets(version: 1, signedBy: TestKey())
            let reply = try await server.publish([(.targets, targets), (RoleName("targets/a"), child)], to: "g")
            #expect(reply.status == 400)
            #expect(try await server.storedFiles() == stored)
            #expect(try await server.get("timestamp.json", of: "g").body == timestamp)
        }
    }

    @Test("a snapshot that does not fit what is uploaded with it, or what is stored")
    func badSnapshot() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            let root = try await publisher.root()
            let targets = try await publisher.targets(version: 2)
            let wrong = try await publisher.snapshot(version: 2, of: [(.root, root), (.targets, root)])
            let reply = try await server.publish([(.root, root), (.targets, targets), (.snapshot, wrong)], to: "g")
            #expect(reply.text.contains("\"Name\":\"ErrBadSnapshot\""))
            #expect(reply.text.contains("checksum for targets did not match: expected "))
            let ghost = try await publisher.snapshot(
                version: 2,
                of: [(.root, root), (.targets, targets), (RoleName("targets/ghost"), root)]
            )
            let unknown = try await server.publish([(.root, root), (.targets, targets), (.snapshot, ghost)], to: "g")
            #expect(unknown.text.contains("targets/ghost with a checksum that was never published"))
            let foreign = try await publisher.snapshot(
                version: 2,
                of: [(.root, root), (.targets, targets)],
                signedBy: TestKey()
            )
            #expect(
                try await server.publish([(.root, root), (.targets, targets), (.snapshot, foreign)], to: "g").text
                    .contains("\"Name\":\"ErrBadSnapshot\"")
            )
            #expect(try await server.storedFiles() == 0)
        }
    }

    @Test("no snapshot, where the server does not hold its key")
    func missingSnapshot() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g", serverHoldsSnapshot: false)
            let files = Array(try await publisher.first().prefix(2))
            let reply = try await server.publish(files, to: "g")
            #expect(reply.text.contains(#""Name":"ErrBadHierarchy","Error":{"Missing":"snapshot","Msg":"#))
        }
    }

    @Test("a timestamp key that the server does not hold")
    func missingTimestampKey() async throws {
        try await TestServer.with { server in
            var publisher = try await server.publisher("g")
            publisher.timestampServerKey = TestKey().publicKey
            let reply = try await server.publish(try await publisher.first(), to: "g")
            #expect(reply.text.contains("\"Name\":\"ErrBadRoot\""))
            #expect(reply.text.contains("no timestamp keys exist on the server"))
        }
    }

    @Test("an uploaded timestamp is ignored")
    func uploadedTimestamp() async throws {
        try await TestServer.with { server in
            let publisher = try await server.publisher("g")
            var files = try await publisher.first()
            files.append((.timestamp, files[1].bytes))
            #expect(try await server.publish(files, to: "g").status == 200)
            #expect(try await server.update("g").timestamp?.payload.version == 1)
        }
    }

    @Test("a name outside the configured prefixes")
    func prefixes() async throws {
        try await TestServer.with {
            $0.gunPrefixes = ["t/", "docker.io/"]
        } _: { server in
            let reply = try await server.publish([], to: "x/y")
            #expect(
                reply.text
                    == Self.body(
                        "INVALID_GUN",
                        "The server does not support actions on images of this name.",
                        "\"Require GUNs with prefix: [t/ docker.io/]\""
                    )
            )
            for leaf in ["root.json", "timestamp.key"] {
                #expect(try await server.get(leaf, of: "x/y").status == 404)
            }
            #expect(try await server.get("timestamp.key", of: "t/y").status == 200)
        }
    }

    @Test("the reason fits into what Notary's client reads, however long the names in it are")
    func longReasons() async throws {
        try await TestServer.with { server in
            let name = "targets/" + String(repeating: "<", count: 3000)
            let form = MultipartForm(files: [(RoleName(name), [])], random: [1])
            let reply = try await server.post(form.body, contentType: form.contentType, to: "g")
            #expect(reply.status == 400)
            #expect(reply.body.count <= NotaryError.bodyLimit)
            #expect(reply.error?.code == .invalidRole)
        }
    }
}
