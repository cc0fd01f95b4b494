// SPDX-License-Identifier: Apache-2.0

import Database
import DatabaseTesting
import Foundation
import NIOHTTP1
import OCI
import Testing

@testable import Registry

/// What another process changes in the database of the one that serves.
struct ForeignChangesTests {
    private static func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "foreign-changes-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await body(directory)
    }

    @Test("a change is known while it is made, and afterwards by another number")
    func numbers() async throws {
        try await Self.withDirectory { directory in
            let (server, command) = try (ForeignChanges(directory: directory), ForeignChanges(directory: directory))
            let before = try #require(server.settledNumber)
            try await command.change {
                #expect(server.settledNumber == nil)
                try await command.change { #expect(server.settledNumber == nil) }
                #expect(server.settledNumber == nil)
            }
            #expect(try #require(server.settledNumber) > before)
        }
    }

    @Test("a change that fails counts like one that does not")
    func failure() async throws {
        struct Failed: Error {}
        try await Self.withDirectory { directory in
            let changes = try ForeignChanges(directory: directory)
            let before = changes.settledNumber
            await #expect(throws: Failed.self) { try await changes.change { throw Failed() } }
            #expect(changes.settledNumber != nil && changes.settledNumber != before)
        }
    }

    @Test("what a killed command leaves is ended by the server, and by the next command")
    func killed() async throws {
        try await Self.withDirectory { directory in
            let server = try ForeignChanges(directory: directory)
            let path = URL(fileURLWithPath: directory + "/changes")
            for repairs in [true, false] {
                // The number is odd, and nobody has the lock.
                try Data([7, 0, 0, 0, 0, 0, 0, 0]).withUnsafeBytes { bytes in
                    let file = try FileHandle(forUpdating: path)
                    try file.write(contentsOf: bytes)
                    try file.close()
                }
                #expect(server.settledNumber == nil)
                if repairs {
                    try server.repair()
                } else {
                    try await ForeignChanges(directory: directory).change {
                        #expect(server.settledNumber == nil)
                    }
                }
                #expect(try #require(server.settledNumber) > 7)
            }
        }
    }

    @Test("the server does not end the change of a command that goes on")
    func underWay() async throws {
        try await Self.withDirectory { directory in
            let (server, command) = try (ForeignChanges(directory: directory), ForeignChanges(directory: directory))
            try await command.change {
                try server.repair()
                #expect(server.settledNumber == nil)
            }
        }
    }

    @Test("what the registry has in memory is not served once another process has changed it")
    func caches() async throws {
        try await RegistryFixture.run { fixture in
            let image = try await fixture.pushImage("one", to: "a", as: "latest")
            let layer = Digest(hashing: Array("layer of one".utf8))
            let paths = ["/v2/a/manifests/latest", "/v2/a/manifests/\(image)", "/v2/a/blobs/\(layer)"]
            for path in paths { #expect(try await fixture.send(.HEAD, path).status == 200) }
            let command = try ForeignChanges(directory: fixture.directory + "/blobs")
            try await command.change {
                try await fixture.database.write { connection in
                    for table in ["manifests", "tags", "repository_blobs"] {
                        try connection.execute("DELETE FROM \(table)")
                    }
                }
                for path in paths { #expect(try await fixture.send(.HEAD, path).status == 404) }
            }
            for path in paths { #expect(try await fixture.send(.HEAD, path).status == 404) }
        }
    }
}
