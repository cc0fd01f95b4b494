// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NotaryAPI
import TUF
import Testing
import TrustClient

/// A server, a publisher, and readers with directories of their own.
struct Scenario: Sendable {
    let clock: TestClock
    let server: MemoryServer
    let keys = MemoryKeys()
    let gun: GUN
    let directory: String

    func client(_ name: String = "reader", anchor: RootAnchor = .firstUse) -> CollectionClient {
        CollectionClient(
            gun: self.gun,
            transport: self.server,
            cache: MetadataCache(directory: "\(self.directory)/\(name)"),
            anchor: anchor,
            now: { [clock] in clock.now }
        )
    }

    var publisher: CollectionPublisher { CollectionPublisher(self.client("publisher"), keys: self.keys) }

    /// The files that a client keeps of the collection, by name.
    func kept(_ name: String = "reader") -> [String: [UInt8]] {
        let directory = "\(self.directory)/\(name)/tuf/\(self.gun)/metadata"
        var files: [String: [UInt8]] = [:]
        for case let path as String in FileManager.default.enumerator(atPath: directory) ?? .init() {
            if let data = FileManager.default.contents(atPath: "\(directory)/\(path)"), path.hasSuffix(".json") {
                files[path] = Array(data)
            }
        }
        return files
    }

    /// Makes a collection with the target `v1` and publishes it.
    static func with(
        serverManagesSnapshot: Bool = true,
        published: Bool = true,
        _ body: (Scenario) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "trust-client-\(UUID())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let clock = TestClock()
        let scenario = Scenario(
            server: MemoryServer(clock: clock),
            gun: try GUN("example.com/team/app"),
            directory: directory,
            clock: clock
        )
        if published {
            _ = try await scenario.publisher.initialize(serverManagesSnapshot: serverManagesSnapshot)
            _ = try await scenario.publisher.publish([.add("v1", .content("one"))])
        }
        try await body(scenario)
    }

    private init(server: MemoryServer, gun: GUN, directory: String, clock: TestClock) {
        self.server = server
        self.gun = gun
        self.directory = directory
        self.clock = clock
    }
}

extension Scenario {
    /// Makes the root's successor as its owner would, with a new root key, signed by the old and the new one.
    func rotateRoot() async throws {
        try await self.publisher.rotateKey(of: .root, to: .local([]))
    }
}

extension TargetFile {
    static func content(_ text: String) -> TargetFile {
        TargetFile(length: Int64(text.utf8.count), hashes: Hashes(of: Array(text.utf8)))
    }
}

/// Runs a step that must be refused, and says with which code it was.
func refusal(_ step: () async throws -> Void) async -> TrustClientError? {
    do {
        try await step()
        return nil
    } catch let error as TrustClientError {
        return error
    } catch {
        Issue.record("an error of another type: \(error)")
        return nil
    }
}
