// SPDX-License-Identifier: Apache-2.0

import Foundation
import TUF
import Testing

@testable import Updater

/// Metadata that its role's keys have signed, and that is refused all the same.
struct HostileMetadataTests {
    /// A file of what is signed, word for word, with a signature under each of the ids.
    private static func file(_ signed: String, by key: TestKey, ids: [String]? = nil) async throws -> [UInt8] {
        let signature = Hexadecimal.encode(try await key.sign(Array(signed.utf8)).bytes)
        let signatures = (ids ?? [key.publicKey.id.text]).map { "{\"keyid\":\"\($0)\",\"sig\":\"\(signature)\"}" }
        return Array("{\"signatures\":[\(signatures.joined(separator: ","))],\"signed\":\(signed)}".utf8)
    }

    private static func timestamp(_ repository: TestRepository, version: String = "2") -> String {
        "{\"_type\":\"timestamp\",\"expires\":\"\(repository.expires)\",\"meta\":{\"snapshot.json\":{\"version\":1}},"
            + "\"spec_version\":\"1.0.31\",\"version\":\(version)}"
    }

    @Test(
        "a timestamp that two readers could read differently, or that is of no known kind, is refused",
        arguments: [
            ("\"version\":2", "\"version\":1,\"version\":2"), ("\"meta\":", "\"meta\":{},\"meta\":"),
            ("{\"version\":1}", "{\"version\":1,\"version\":1}"), ("\"1.0.31\"", "\"2.0.0\""), ("\"1.0.31\"", "\"1\""),
            ("\"1.0.31\"", "1"), ("\"spec_version\":\"1.0.31\",", ""), ("\"version\":2}", "\"version\":0}"),
            ("\"version\":2}", "\"version\":-2}"), ("\"version\":2}", "\"version\":9223372036854775808}"),
            ("\"version\":2}", "\"version\":2.0}"), ("\"version\":2}", "\"version\":\"2\"}"),
            ("\"version\":2}", "\"version\":2e0}"), ("\"version\":2}", "\"version\":true}"), ("Z\"", ".5Z\""),
            ("Z\"", "+00:00\""), ("\"_type\":\"timestamp\"", "\"_type\":\"snapshot\""),
            ("\"snapshot.json\"", "\"targets.json\""), ("{\"version\":1}", "{\"version\":1,\"length\":-1}"),
        ]
    )
    func timestamps(_ part: String, _ replacement: String) async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let directory = TestDirectory()
        _ = try await repository.updater(directory).refresh()
        let before = directory.read("timestamp.json")
        let key = try #require(repository.keys[.timestamp]?.first)
        let good = Self.timestamp(repository)
        let bad = good.replacing(part, with: replacement)
        #expect(bad != good)
        let file = RepositoryFile.metadata(.timestamp, version: nil)
        repository.transport[file] = try await Self.file(bad, by: key)
        #expect(try await failure { _ = try await repository.updater(directory).refresh() } == .signature)
        #expect(directory.read("timestamp.json") == before)
        // The rest of it is right.
        repository.transport[file] = try await Self.file(good, by: key)
        let current = try await repository.updater(directory).refresh()
        #expect(current.trusted.timestamp?.payload.version == 2)
    }

    @Test("one key under two ids counts once", arguments: [1, 2])
    func aliases(_ threshold: Int64) async throws {
        var repository = try await TestRepository()
        let key = try #require(repository.keys[.timestamp]?.first)
        var root = try UnverifiedMetadata(
            try #require(repository.transport[.metadata(.root, version: 1)]),
            format: .tuf
        ).verified(
            as: Root.self,
            by: RoleKeys(role: .root, keys: (repository.keys[.root] ?? []).map(\.publicKey), threshold: 1)
        ).payload
        root.version = 2
        root.keys["alias"] = key.publicKey
        root.roles[.timestamp] = RoleDefinition(keyIDs: [key.publicKey.id, KeyID("alias")], threshold: threshold)
        repository.transport[.metadata(.root, version: 2)] = try await root.signed(
            by: repository.keys[.root] ?? [],
            format: .tuf
        ).bytes
        try await repository.publish()
        let file = try await Self.file(
            Self.timestamp(repository),
            by: key,
            ids: [key.publicKey.id.text, "alias"]
        )
        repository.transport[.metadata(.timestamp, version: nil)] = file
        let code = try await failure { _ = try await repository.updater(TestDirectory()).refresh() }
        #expect(code == (threshold == 1 ? nil : .signature))
    }

    @Test("two signatures under one id spoil a file, though one is good")
    func repeatedIDs() async throws {
        var repository = try await TestRepository()
        try await repository.publish()
        let key = try #require(repository.keys[.timestamp]?.first)
        let id = key.publicKey.id.text
        repository.transport[.metadata(.timestamp, version: nil)] = try await Self.file(
            Self.timestamp(repository),
            by: key,
            ids: [id, id]
        )
        #expect(try await failure { _ = try await repository.updater(TestDirectory()).refresh() } == .signature)
    }
}
