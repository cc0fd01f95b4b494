// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import TUF
import Testing

/// What somebody without any key makes up.
@Suite("Forgery")
struct ForgeryTests {
    @Test("bytes that are no metadata are refused", arguments: bothFormats, [RoleName.timestamp, .snapshot, .targets])
    func arbitraryContent(_ format: WireFormat, _ role: RoleName) async throws {
        try await Scenario.with(format) { scenario in
            try scenario.repository.set("app", "app 2")
            try await scenario.repository.publish()
            scenario.attacker.answer(role, .bytes(Array("<html>Log in</html>".utf8)))
            // They are not what the role above lists, of which the timestamp has none.
            try await scenario.expectRefusal(
                role == .timestamp ? .signature : .rollback,
                moving: try await scenario.newest(before: role)
            )
            try await scenario.expectRecovery(["app": "app 2"])
        }
    }

    @Test("a first root that is none is refused", arguments: bothFormats)
    func arbitraryRoot(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            scenario.attacker.answer(.root, .bytes(Array("{}".utf8)))
            let newcomer = try scenario.newcomer()
            let root = [RoleName.root: try await scenario.repository.current(.root)]
            // TUF's client has its first root from elsewhere and refuses the second.
            let refusal = try await Refusal.of { _ = try await newcomer.update() }
            #expect(refusal == .signature)
            let kept = newcomer.kept().filter { !$0.key.hasPrefix("root_history/") }
            #expect(kept == (format == .tuf ? ["root.json": root[.root] ?? []] : [:]))
            try await scenario.expectRecovery(of: newcomer)
        }
    }

    @Test("metadata of a key that the root does not name is refused", arguments: bothFormats)
    func foreignTimestamp(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let forged = try await scenario.repository.timestamp(
                of: try await scenario.repository.current(.snapshot),
                by: [try await PrivateKey.generate(.p256)]
            )
            scenario.attacker.serve([.timestamp: forged])
            try await scenario.expectRefusal(.signature)
            try await scenario.expectRecovery()
        }
    }

    @Test("another repository of the same name, complete and newer, is refused", arguments: bothFormats)
    func foreignRepository(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            try await Scenario.with(format) { other in
                try other.repository.set("app", "malware")
                try await other.repository.rotate([.root])
                var files: [RoleName: [UInt8]] = [:]
                for role in RoleName.topLevel { files[role] = try await other.repository.current(role) }
                scenario.attacker.serve(files)
            }
            try await scenario.expectRefusal(.signature)
            try await scenario.expectRefusal(.signature, of: try scenario.readyNewcomer())
            try await scenario.expectRecovery()
        }
    }

    @Test(
        "content that is not what its target lists is never kept under its name, and a good file stays",
        arguments: ["app 3", "app 20", "app", ""]
    )
    func substitutedTarget(_ content: String) async throws {
        try await Scenario.with(.tuf) { scenario in
            let file = "\(scenario.downloads)/app"
            var view = try await scenario.reader.update()
            try await view.download("app", to: file)
            try scenario.repository.set("app", "app 2")
            try await scenario.repository.publish()
            _ = try await scenario.reader.update()
            scenario.attacker.begin { $0.path.hasPrefix(FileServer.targets) ? .bytes(Array(content.utf8)) : nil }
            try await scenario.expectRefusal(.contentMismatch) { try await $0.download("app", to: file) }
            #expect(scenario.downloaded() == ["app": "app 1"])
            scenario.stopAttack()
            view = try await scenario.reader.update()
            try await view.download("app", to: file)
            #expect(scenario.downloaded() == ["app": "app 2"])
        }
    }

    @Test(
        "a target that nobody has signed is no target: the list it stands in is not the signed one",
        arguments: bothFormats
    )
    func addedTarget(_ format: WireFormat) async throws {
        try await Scenario.with(format) { scenario in
            let added = try await scenario.repository.withAddedTarget("malware")
            scenario.attacker.serve([.targets: added])
            try await scenario.expectRefusal(
                .rollback,
                of: try scenario.readyNewcomer(),
                moving: try await scenario.newest(before: .targets)
            )
            try await scenario.expectRecovery()
            // Who has stolen the online keys can list it, and cannot sign it.
            let world = try await scenario.repository.worldOfThief(with: [.targets: added])
            scenario.attacker.serve(world)
            try await scenario.expectRefusal(.signature, moving: world.filter { $0.key != .targets })
            try await scenario.repository.rotate([.snapshot, .timestamp])
            try await scenario.expectRecovery()
        }
    }
}

extension Scenario {
    /// What a client of TUF's format has verified, and kept, before it comes to a role.
    func newest(before role: RoleName) async throws -> [RoleName: [UInt8]] {
        var files: [RoleName: [UInt8]] = [:]
        for earlier in [RoleName.timestamp, .snapshot, .targets] {
            if earlier == role { break }
            files[earlier] = try await self.repository.current(earlier)
        }
        return files
    }

    /// A newcomer whose first root is on disk already, as it is at its first refusal.
    func readyNewcomer() throws -> Reader {
        let newcomer = try self.newcomer()
        guard self.format == .tuf else { return newcomer }
        for path in ["\(newcomer.directory)/root.json", "\(newcomer.directory)/root_history/1.root.json"] {
            let url = URL(fileURLWithPath: path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(self.shippedRoot).write(to: url)
        }
        return newcomer
    }

    /// What was downloaded, by name.
    func downloaded() -> [String: String] {
        var files: [String: String] = [:]
        // What is on its way has a hidden name.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: self.downloads)) ?? []
        where !name.hasPrefix(".") {
            let data = FileManager.default.contents(atPath: "\(self.downloads)/\(name)") ?? Data()
            files[name] = String(decoding: data, as: UTF8.self)
        }
        return files
    }
}

extension Repository {
    /// The current targets with one more that nobody has signed, under the signatures of what was there before.
    func withAddedTarget(_ name: String) async throws -> [UInt8] {
        let honest = try await self.current(.targets)
        let text = String(decoding: honest, as: UTF8.self)
        let marker = "\"targets\":{"
        let start = try #require(text.range(of: marker, options: .backwards))
        let hash = Hashes(of: [1]).sha256 ?? []
        let digest = self.format == .notary ? Base64.encode(hash) : Hexadecimal.encode(hash)
        let entry = "\"\(name)\":{\"hashes\":{\"sha256\":\"\(digest)\"},\"length\":1},"
        return Array(text.replacingCharacters(in: start, with: marker + entry).utf8)
    }
}
