// SPDX-License-Identifier: Apache-2.0

import Database
import Foundation
import Logging
import Testing

@testable import Registry

@Suite("A storage and its database")
struct StorageIdentityTests {
    private func scrub(_ fixture: RegistryFixture) async throws -> ScrubSummary? {
        try await Scrubber(
            fixture.registry.collector.contents,
            clock: { fixture.clock.now },
            logger: Logger(label: "test")
        ).run(Scrubber.Options())
    }

    private func mark(_ fixture: RegistryFixture) -> String { fixture.blobDirectory + "/identity" }

    private func damaged(_ fixture: RegistryFixture) async throws -> Int64 {
        try await fixture.database.query("SELECT COUNT(*) FROM blobs WHERE damaged_at IS NOT NULL").first?.integer(0)
            ?? -1
    }

    @Test("know each other by a name, which is given once")
    func named() async throws {
        try await RegistryFixture.run { fixture in
            let name = try String(contentsOfFile: self.mark(fixture), encoding: .utf8)
            #expect(name.count == 37)
            try await fixture.pushBlob([1], to: "a")
            try await fixture.restart()
            #expect(try String(contentsOfFile: self.mark(fixture), encoding: .utf8) == name)
            #expect(try await self.scrub(fixture)?.problems == 0)
        }
    }

    @Test("that do not belong together are not served, scrubbed, collected or imported to, and nothing is marked")
    func other() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob([1], to: "a")
            let name = try Data(contentsOf: URL(fileURLWithPath: self.mark(fixture)))
            try Data("another\n".utf8).write(to: URL(fileURLWithPath: self.mark(fixture)))
            await #expect(throws: StorageIdentityError.self) { try await self.scrub(fixture) }
            await #expect(throws: StorageIdentityError.self) {
                try await fixture.registry.collector.run(.dryRun, walksStorage: true)
            }
            await #expect(throws: StorageIdentityError.self) {
                try await fixture.registry.collector.contents.verifyStorageIfReachable(Logger(label: "test"))
            }
            #expect(try await self.damaged(fixture) == 0)
            try name.write(to: URL(fileURLWithPath: self.mark(fixture)))
            #expect(try await self.scrub(fixture)?.problems == 0)
        }
    }

    @Test("are taken as they are when one lost the name, as long as blobs are where the database says")
    func restored() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.pushBlob([1], to: "a")
            let name = try String(contentsOfFile: self.mark(fixture), encoding: .utf8)
            try FileManager.default.removeItem(atPath: self.mark(fixture))
            #expect(try await self.scrub(fixture)?.problems == 0)
            #expect(try String(contentsOfFile: self.mark(fixture), encoding: .utf8) == name)
            // What an older version has written.
            try await fixture.database.write { try $0.execute("DELETE FROM storages") }
            #expect(try await self.scrub(fixture)?.problems == 0)
            let known = try await fixture.database.query("SELECT identity FROM storages").first?.text(0)
            #expect(known.map { $0 + "\n" } == name)
        }
    }

    @Test("do not belong together when nothing of what the database lists is there")
    func empty() async throws {
        try await RegistryFixture.run { fixture in
            let path = try await fixture.path(of: fixture.pushBlob([1], to: "a"))
            try FileManager.default.removeItem(atPath: self.mark(fixture))
            try FileManager.default.removeItem(atPath: path)
            await #expect {
                try await self.scrub(fixture)
            } throws: { error in
                // It says how to have it used all the same.
                "\(error)".contains("identity")
            }
            #expect(try await self.damaged(fixture) == 0)
        }
    }

    @Test("do not belong together when the database is new and the storage is not")
    func used() async throws {
        try await RegistryFixture.run { fixture in
            try await fixture.database.write { try $0.execute("DELETE FROM storages") }
            await #expect(throws: StorageIdentityError.self) {
                try await fixture.registry.collector.run(.collect, walksStorage: true)
            }
        }
    }
}
