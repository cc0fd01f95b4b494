// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import HTTPService
import NIOCore
import NIOHTTP1
import OCI
import Synchronization
import Testing

@testable import Registry

/// What is left when the store fails or the process dies in the middle.
@Suite(.onEveryDatabase)
struct UploadFailureTests {
    private static let content = Samples.bytes(1_500_000, seed: 7)
    private static let digest = Digest(hashing: content)
    private static let blob = "/v2/a/blobs/\(digest)"

    @Test(
        "a full disk is said to be one, stores nothing, and the next push succeeds",
        arguments: [FailureInjector.Step.create, .write, .sync, .beforePlace]
    )
    func fullDisk(step: FailureInjector.Step) async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            injector.fail(step, ENOSPC)
            var reply = try await fixture.send(.POST, "/v2/a/blobs/uploads/")
            if reply.status == 202 {
                let location = reply.location
                reply = try await fixture.send(.PATCH, location, Self.content)
                if reply.status == 202 {
                    reply = try await fixture.send(.PUT, location + "?digest=\(Self.digest)")
                }
            }
            #expect(reply.status == 507)
            #expect(reply.codes == ["UNAVAILABLE"])
            #expect(try await fixture.send(.HEAD, Self.blob).status == 404)
            #expect(try fixture.files("blobs") == [])
            injector.heal()
            try await fixture.pushBlob(Self.content, to: "a")
            #expect(try await Array(fixture.send(.GET, Self.blob).body) == Self.content)
        }
    }

    @Test("a write that fails leaves the upload as it was, and the upload goes on")
    func tornWrite() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let location = try await fixture.startUpload(in: "a")
            try await fixture.send(.PATCH, location, Array(Self.content[..<1_000]))
            injector.fail(.write, ENOSPC)
            let rest = Array(Self.content[1_000...])
            let torn = try await fixture.send(.PATCH, location, rest)
            #expect(torn.status == 507)
            injector.heal()
            #expect(try await fixture.send(.GET, location)["range"] == "0-999")
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)", rest).status == 201)
        }
    }

    @Test("bytes whose sync failed are not trusted any more: the upload ends")
    func syncFails() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let location = try await fixture.startUpload(in: "a")
            injector.fail(.sync)
            #expect(try await fixture.send(.PATCH, location, Self.content).status == 500)
            injector.heal()
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)").status == 404)
        }
    }

    @Test("a torn write that cannot even be undone never becomes a blob")
    func tornWriteStays() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let location = try await fixture.startUpload(in: "a")
            try await fixture.send(.PATCH, location, Array(Self.content[..<1_000]))
            injector.fail(.write)
            injector.fail(.truncate)
            let rest = Array(Self.content[1_000...])
            #expect(try await fixture.send(.PATCH, location, rest).status == 500)
            injector.heal()
            let reply = try await fixture.send(.PUT, location + "?digest=\(Self.digest)", rest)
            #expect(reply.codes == ["DIGEST_INVALID"])
            #expect(try fixture.files("blobs") == [])
        }
    }

    @Test("a crash between the bytes and the row leaves the upload, which the client finishes after the restart")
    func crashAfterPlace() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let location = try await fixture.startUpload(in: "a")
            try await fixture.send(.PATCH, location, Self.content)
            // The process dies: nothing after this point is done, the tidying up neither.
            injector.fail(.afterPlace)
            injector.fail(.removeUpload)
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)").status == 500)
            injector.heal()
            try await fixture.restart()
            #expect(try await fixture.send(.HEAD, Self.blob).status == 404)
            #expect(try await fixture.send(.GET, location)["range"] == "0-1499999")
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)").status == 201)
            #expect(try await Array(fixture.send(.GET, Self.blob).body) == Self.content)
        }
    }

    @Test("a push that is sent again after its blob was committed does not write into the blob")
    func sentAgain() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let location = try await fixture.startUpload(in: "a")
            // The process dies, or its answer is lost, before the upload is removed.
            injector.fail(.removeUpload)
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)", Self.content).status == 201)
            injector.heal()
            try await fixture.restart()
            let again = try await fixture.send(.PUT, location + "?digest=\(Self.digest)", Self.content)
            #expect(again.codes == ["BLOB_UPLOAD_UNKNOWN"])
            #expect(try await Array(fixture.send(.GET, Self.blob).body) == Self.content)
        }
    }

    @Test("a database that fails leaves no blob, and the same session can be finished later")
    func databaseFails() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a")
            try await fixture.database.write { try $0.execute("ALTER TABLE blobs RENAME TO hidden") }
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)", Self.content).status == 500)
            try await fixture.database.write { try $0.execute("ALTER TABLE hidden RENAME TO blobs") }
            #expect(try await fixture.send(.HEAD, Self.blob).status == 404)
            #expect(try await fixture.send(.PUT, location + "?digest=\(Self.digest)").status == 201)
            #expect(try await Array(fixture.send(.GET, Self.blob).body) == Self.content)
        }
    }

    @Test("an upload that cannot be removed afterwards does not spoil the push")
    func tidyingFails() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            injector.fail(.removeUpload)
            try await fixture.pushBlob(Self.content, to: "a")
            #expect(try await fixture.send(.HEAD, Self.blob).status == 200)
        }
    }

    @Test("a blob whose bytes are gone counts as missing, and a push brings it back")
    func bytesLost() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob(Self.content, to: "a")
            let path = try await fixture.path(of: Self.digest)
            try FileManager.default.removeItem(atPath: path)
            #expect(try await fixture.send(.GET, Self.blob).codes == ["BLOB_UNKNOWN"])
            #expect(try await fixture.send(.HEAD, Self.blob).status == 404)
            try Data([1]).write(to: URL(fileURLWithPath: path))
            #expect(try await fixture.send(.HEAD, Self.blob).status == 404)
            try await fixture.pushBlob(Self.content, to: "a")
            #expect(try await Array(fixture.send(.GET, Self.blob).body) == Self.content)
        }
    }

    @Test("two requests on one upload: one goes on, the other is told where the upload is")
    func concurrentPatches() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a")
            let body = FedBody()
            async let first = fixture.send(.PATCH, location, body.body)
            await body.isRead()
            let second = try await fixture.send(.PATCH, location, [9])
            #expect(second.status == 416)
            #expect(second.codes == ["RANGE_INVALID"])
            #expect(second["range"] == "0-0")
            body.send([1, 2, 3])
            body.end()
            #expect(try await first["range"] == "0-2")
            let digest = Digest(hashing: [1, 2, 3] as [UInt8])
            #expect(try await fixture.send(.PUT, location + "?digest=\(digest)").status == 201)
        }
    }

    @Test("a client that comes back over a new connection takes its upload over from the dead one")
    func takeover() async throws {
        try await RegistryFixture.run { fixture in
            let location = try await fixture.startUpload(in: "a")
            let body = FedBody()
            async let dead = fixture.send(.PATCH, location, body.body)
            await body.isRead()
            fixture.clock.advance(by: 60)
            let digest = Digest(hashing: [7, 8] as [UInt8])
            #expect(try await fixture.send(.PUT, location + "?digest=\(digest)", [7, 8]).status == 201)
            body.send([3])
            body.end()
            #expect(try await dead.status == 404)
            #expect(try await Array(fixture.send(.GET, "/v2/a/blobs/\(digest)").body) == [7, 8])
        }
    }

    @Test("as many uploads as may be at once: one more is told to come again")
    func tooMany() async throws {
        try await RegistryFixture.run(.set(\.maximumReceivingUploads, 1)) { fixture in
            let location = try await fixture.startUpload(in: "a")
            let body = FedBody()
            async let first = fixture.send(.PATCH, location, body.body)
            await body.isRead()
            let other = try await fixture.send(
                .POST,
                "/v2/b/blobs/uploads/?digest=\(Digest(hashing: [1] as [UInt8]))",
                [1]
            )
            #expect(other.status == 429)
            #expect(other.codes == ["TOOMANYREQUESTS"])
            #expect(other["retry-after"] != nil)
            body.end()
            #expect(try await first.status == 202)
            try await fixture.pushBlob([1], to: "b")
        }
    }

    @Test("many pushes of the same blob at once all succeed and leave one copy")
    func race() async throws {
        try await RegistryFixture.run { fixture in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<12 {
                    group.addTask { try await fixture.pushBlob(Self.content, to: "r\(number % 4)") }
                }
                try await group.waitForAll()
            }
            #expect(try fixture.files("blobs").count == 1)
            #expect(try fixture.files("uploads") == [])
            for number in 0..<4 {
                let reply = try await fixture.send(.GET, "/v2/r\(number)/blobs/\(Self.digest)")
                #expect(Array(reply.body) == Self.content)
            }
        }
    }

    @Test("one blob costs one placing, and no sync but that")
    func syncs() async throws {
        let injector = FailureInjector()
        try await RegistryFixture.run(injector: injector) { fixture in
            let content = Samples.bytes(8_192)
            let location = try await fixture.startUpload(in: "a")
            try await fixture.send(.PATCH, location, content)
            #expect(try await fixture.send(.PUT, location + "?digest=\(Digest(hashing: content))").status == 201)
            let counts = injector.counts.withLock { $0 }
            #expect(counts[.sync] == nil)
            #expect(counts[.afterPlace] == 1)
            #expect(counts[.write] == 1)
        }
    }
}
