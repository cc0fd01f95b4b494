// SPDX-License-Identifier: Apache-2.0

import Foundation
import KeyStore
import NotaryAPI
import TUF
import Testing

@testable import TrustClient

@Suite("Staged changes and content")
struct StagingTests {
    @Test("a change says in one line what it does")
    func summaries() {
        let jane = RoleName("targets/jane")
        let key = PublicKey(type: .ed25519, bytes: [UInt8](repeating: 1, count: 32))
        let expected: [(Change, String)] = [
            (.add("v1", .content("one")), "add v1 (3 bytes) to targets"),
            (.remove("v1", from: jane), "remove v1 from targets/jane"),
            (.addKeys([key], to: jane), "delegate to targets/jane: add the keys \(key.id)"),
            (.addPaths(["", "a/"], to: jane), "delegate to targets/jane: add the paths all, \"a/\""),
            (.removePaths(nil, from: jane), "change the delegation targets/jane: remove all paths"),
            (.setThreshold(2, of: jane), "change the delegation targets/jane: threshold 2"),
            (.removeDelegation(jane), "remove the delegation targets/jane"),
            (.purgeKeys([KeyID("ab")]), "purge from all delegations: remove the keys ab"),
            (.witness(jane), "sign targets/jane again"),
            (
                Change(action: .create, role: jane, subject: .delegation, data: [0x7B]),
                "delegate to targets/jane: what cannot be read"
            ),
        ]
        for (change, summary) in expected { #expect(change.summary == summary) }
    }

    @Test(
        "custom data that notary signs in another form than it verifies is told apart",
        arguments: ["<", "&", "\u{2028}"]
    )
    func confusingCustomData(character: String) {
        func change(_ text: String) -> Change {
            .add("v1", TargetFile(length: 1, hashes: Hashes(of: [1]), custom: ["a": .string(text)]))
        }
        #expect(change("x\(character)y").confusesNotary)
        #expect(!change("plain \u{E9} text").confusesNotary)
        #expect(!Change.remove("v1").confusesNotary)
    }

    @Test("changes are taken back by the names that staging gave, and by their places, all or none")
    func takingBack() async throws {
        try await Scenario.with(published: false) { scenario in
            let list = scenario.client("publisher").changelist
            try await list.append(.add("a", .content("1")), at: scenario.clock.now)
            let names = try await list.append(
                [.add("b", .content("2")), .add("c", .content("3"))],
                at: scenario.clock.now
            )
            try await list.append(.add("d", .content("4")), at: scenario.clock.now)
            try await list.remove(names)
            #expect(try await list.entries().map(\.change.path) == ["a", "d"])
            #expect(await refusal { try await list.remove(at: [0, 2]) }?.message.contains("the last one is 1") == true)
            #expect(try await list.entries().count == 2)
            #expect(try await list.remove(at: [1, 1]) == 1)
            #expect(try await list.entries().map(\.change.path) == ["a"])
            #expect(try await list.removeAll() == 1)
            #expect(await refusal { try await list.remove(at: [0]) }?.message.contains("nothing is staged") == true)
        }
    }

    @Test("adding a key as notary does leaves a threshold that was raised; only who names one changes it")
    func threshold() async throws {
        try await Scenario.with { scenario in
            let jane = RoleName("targets/jane")
            var keys: [PublicKey] = []
            for _ in 0..<3 { keys.append(try await scenario.keys.make(RoleName("jane")).publicKey) }
            func threshold() async throws -> Int64? {
                var view = try await scenario.client().update()
                return try await view.delegations().first?.role.definition.threshold
            }
            _ = try await scenario.publisher.publish([
                .addKeys(Array(keys[..<2]), to: jane), .setThreshold(2, of: jane),
            ])
            #expect(try await threshold() == 2)
            _ = try await scenario.publisher.publish([.addKeys([keys[2]], to: jane)])
            #expect(try await threshold() == 2)
            _ = try await scenario.publisher.publish([.setThreshold(3, of: jane)])
            #expect(try await threshold() == 3)
        }
    }

    @Test("what is known without the server: what was read last, delegations included, or what was initialised here")
    func known() async throws {
        try await Scenario.with { scenario in
            let reader = scenario.client()
            #expect(try await reader.cache.known(scenario.gun) == nil)
            let jane = RoleName("targets/jane")
            let key = try await scenario.keys.make(RoleName("jane"))
            _ = try await scenario.publisher.publish([
                .addKeys([key.publicKey], to: jane), .addPaths([""], to: jane), .add("hers", .content("1"), to: jane),
            ])
            var view = try await reader.update()
            _ = try await view.list()
            scenario.server.intercept { _, _ in throw TrustClientError(.unreachable, "down") }
            let known = try #require(try await reader.cache.known(scenario.gun))
            #expect(known.wasRead)
            #expect(known.roles.map(\.role) == [.root, .timestamp, .snapshot, .targets, jane])
            #expect(known.roles.last?.keyIDs == [key.publicKey.id])
            #expect(known.roles.last?.version == 1)

            // A file that its keys have not signed is as good as none.
            let path = reader.cache.path(of: jane, in: scenario.gun)
            let text = try String(contentsOfFile: path, encoding: .utf8)
            try text.replacing("hers", with: "hors").write(toFile: path, atomically: true, encoding: .utf8)
            #expect(try await reader.cache.known(scenario.gun)?.roles.count == 4)
        }
        try await Scenario.with(published: false) { scenario in
            _ = try await scenario.publisher.initialize(serverManagesSnapshot: true)
            let known = try #require(try await scenario.publisher.client.cache.known(scenario.gun))
            #expect(!known.wasRead)
            #expect(known.roles.map(\.role) == [.root, .targets])
        }
    }

    @Test("a file is listed by length, SHA-256 and SHA-512; what is no file is refused")
    func contentOfFiles() async throws {
        try await Scenario.with(published: false) { scenario in
            let path = "\(scenario.directory)/content"
            let bytes = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let file = try await TargetFile(contentOf: .file(path), custom: ["a": 1])
            #expect(file == TargetFile(length: 700_000, hashes: Hashes(of: bytes), custom: ["a": 1]))
            for other in ["\(scenario.directory)/none", scenario.directory] {
                let error = await refusal { _ = try await TargetFile(contentOf: .file(other)) }
                #expect(error?.code == .storage)
                #expect(error?.message.contains(other) == true)
            }
        }
    }

    @Test(
        "content is handed on when it is what is listed, and otherwise the destination is as it was",
        arguments: ["the content", "the contenT", "the conten", "the content and more", ""]
    )
    func passing(content: String) async throws {
        try await Scenario.with(published: false) { scenario in
            let directory = scenario.directory
            let (input, output) = ("\(directory)/in", "\(directory)/out")
            try content.write(toFile: input, atomically: true, encoding: .utf8)
            try "before".write(toFile: output, atomically: true, encoding: .utf8)
            let target = FoundTarget(name: "v1", file: .content("the content"), role: .targets)
            let isRight = content == "the content"
            for destination in [ContentDestination.file(output), .file("\(directory)/new"), .nowhere] {
                let error = await refusal { try await target.pass(.file(input), to: destination) }
                #expect(error?.code == (isRight ? nil : .contentMismatch))
            }
            #expect(try String(contentsOfFile: output, encoding: .utf8) == (isRight ? content : "before"))
            let names = Set(try FileManager.default.contentsOfDirectory(atPath: directory))
            #expect(names == (isRight ? ["in", "out", "new"] : ["in", "out"]))
        }
    }

    @Test("a link is followed, and a device is written to, not replaced")
    func specialDestinations() async throws {
        try await Scenario.with(published: false) { scenario in
            let directory = scenario.directory
            try "x".write(toFile: "\(directory)/in", atomically: true, encoding: .utf8)
            try "before".write(toFile: "\(directory)/real", atomically: true, encoding: .utf8)
            try FileManager.default.createSymbolicLink(atPath: "\(directory)/link", withDestinationPath: "real")
            let target = FoundTarget(name: "v1", file: .content("x"), role: .targets)
            try await target.pass(.file("\(directory)/in"), to: .file("\(directory)/link"))
            #expect(try String(contentsOfFile: "\(directory)/real", encoding: .utf8) == "x")
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/link") == "real")
            try await target.pass(.file("\(directory)/in"), to: .file("/dev/null"))
            let kind = try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType
            #expect(kind == .typeCharacterSpecial)
        }
    }
}
