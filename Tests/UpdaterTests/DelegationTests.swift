// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import TUF
import Testing

@testable import Updater

struct DelegationTests {
    /// The delegated roles that were fetched, in order.
    private static func roles(_ transport: MemoryTransport) -> [String] {
        transport.takeRequests().compactMap {
            guard case .metadata(let role, _) = $0, role.isDelegation else { return nil }
            return role.text
        }
    }

    @Test("hash prefixes share targets out: one role of many is fetched", arguments: ["a", "b/c", "d", "ünï/çode ?%"])
    func hashPrefixes(_ path: String) async throws {
        var repository = try await TestRepository()
        let keys = [try TestKey()]
        let digits = Array("0123456789abcdef")
        let hash = Hexadecimal.encode(SHA256.hash(data: Array(path.utf8)))
        for digit in digits {
            let targets = hash.hasPrefix(String(digit)) ? [path: "content"] : [:]
            try repository.delegate(
                to: "bin-\(digit)",
                paths: digits.map { "\(digit)\($0)" },
                matching: .hashPrefixes,
                keys: keys,
                targets: targets
            )
        }
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        let target = try await current.find(path)
        #expect(target.role.text == "bin-\(hash.prefix(1))")
        #expect(Self.roles(repository.transport) == [target.role.text])
        try await current.download(target, to: "\(directory.path)/x")
        #expect(try await current.list().map(\.path.text) == [path])
    }

    @Test("upper-case prefixes match nothing")
    func upperCasePrefix() async throws {
        var repository = try await TestRepository()
        let hash = Hexadecimal.encode(SHA256.hash(data: Array("a".utf8))).uppercased()
        try repository.delegate(to: "r", paths: [hash], matching: .hashPrefixes, targets: ["a": "content"])
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        #expect(try await failure { _ = try await current.find("a") } == .notSigned)
    }

    @Test("succinct roles are named by the first bits of the path's hash", arguments: [1, 3, 4, 11, 16])
    func succinct(_ bits: Int) async throws {
        var repository = try await TestRepository()
        let key = try TestKey()
        let path = "some/target"
        let digest = Array(SHA256.hash(data: Array(path.utf8)))
        let number = (Int(digest[0]) << 8 | Int(digest[1])) >> (16 - bits)
        let width = String((1 << bits) - 1, radix: 16).count
        let digits = String(number, radix: 16)
        let name = "bin-" + String(repeating: "0", count: width - digits.count) + digits
        let definition = RoleDefinition(keyIDs: [key.publicKey.id])
        repository.targets.delegations.keys[key.publicKey.id.text] = key.publicKey
        repository.targets.delegations.succinctRoles = SuccinctRoles(
            definition: definition,
            bitLength: bits,
            namePrefix: "bin"
        )
        var bin = Targets(version: 1, expires: repository.expires)
        bin.targets[path] = TestRepository.target("content")
        try repository.put(path, "content")
        repository.delegated[RoleName(name)] = .init(payload: bin, keys: [key])
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        let target = try await current.find(path)
        #expect(target.role.text == name)
        #expect(Self.roles(repository.transport) == [name])
        #expect(try await current.list() == [target])
        // A bin that is not there is missing metadata, not a missing target.
        repository.delegated = [:]
        repository.delegated[RoleName(name)] = nil
        try await repository.rotate(.snapshot, to: [try TestKey()])
        try await repository.publish()
        current = try await repository.updater(TestDirectory()).refresh()
        #expect(try await failure { _ = try await current.find(path) } == .notSigned)
    }

    @Test(
        "a role name that only looks like a bin is none",
        arguments: [
            "bin-", "bin-0", "bin-00", "bin-0000", "bin-800", "bin-7FF", "bin-+01", "bin-0x1", "bim-001", "bin001",
            "bin--01",
        ]
    )
    func succinctNames(_ name: String) throws {
        let roles = try #require(
            SuccinctRoles(definition: RoleDefinition(keyIDs: []), bitLength: 11, namePrefix: "bin")
        )
        #expect(roles[RoleName(name)] == nil)
        #expect(roles[RoleName("bin-7ff")]?.name == RoleName("bin-7ff"))
        #expect(roles.count == 2048)
    }

    @Test("a role is verified against the keys of each who delegates to it", arguments: [true, false])
    func diamond(_ isFreshDirectory: Bool) async throws {
        var repository = try await TestRepository()
        let (trusted, other) = (try TestKey(), try TestKey())
        try repository.delegate(to: "a", paths: ["a*"])
        try repository.delegate(to: "b", paths: ["b*"])
        try repository.delegate(
            to: "c",
            paths: ["*"],
            from: RoleName("a"),
            keys: [trusted],
            targets: ["a1": "1", "b1": "2"]
        )
        // The one who delegates from b trusts another key for c, which has not signed.
        try repository.delegate(to: "c", paths: ["*"], from: RoleName("b"), keys: [other])
        repository.delegated[RoleName("c")]?.keys = [trusted]
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        _ = try await current.find("a1")
        if isFreshDirectory { current = try await repository.updater(TestDirectory()).refresh() }
        #expect(try await failure { _ = try await current.find("b1") } == .signature)
        _ = try await current.find("a1")
        // Signed by both, it is good for both.
        repository.delegated[RoleName("c")]?.keys = [trusted, other]
        repository.delegated[RoleName("c")]?.payload.version = 2
        try await repository.publish()
        current = try await repository.updater(directory).refresh()
        _ = repository.transport.takeRequests()
        _ = try await current.find("a1")
        _ = try await current.find("b1")
        // Its bytes are fetched once, and what has not changed is on disk.
        #expect(Self.roles(repository.transport) == (isFreshDirectory ? ["c", "b"] : ["c"]))
    }

    @Test("a terminating delegation ends the search everywhere, if it covers the path")
    func terminating() async throws {
        var repository = try await TestRepository()
        try repository.delegate(to: "a", paths: ["*"])
        try repository.delegate(to: "end", paths: ["x"], isTerminating: true, from: RoleName("a"))
        try repository.delegate(to: "last", paths: ["*"], targets: ["x": "1", "y": "2"])
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        #expect(try await failure { _ = try await current.find("x") } == .notSigned)
        #expect(try await current.find("y").role.text == "last")
        #expect(try await current.list().map(\.path.text) == ["y"])
    }

    @Test("so many roles are asked for one target and no more")
    func limit() async throws {
        var repository = try await TestRepository()
        let key = try TestKey()
        let limit = WireFormat.tuf.searchLimit
        var previous = RoleName.targets
        for number in 0..<(limit + 5) {
            // A chain, in which each is asked for the path.
            let name = "r\(number)"
            try repository.delegate(
                to: name,
                paths: ["*"],
                from: previous,
                keys: [key],
                targets: number == limit - 1 ? ["near": "1"] : number == limit + 4 ? ["far": "2"] : [:]
            )
            previous = RoleName(name)
        }
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        #expect(try await current.find("near").role.text == "r\(limit - 1)")
        #expect(try await failure { _ = try await current.find("far") } == .rollback)
    }

    @Test("a role that the snapshot does not list is not fetched")
    func notInSnapshot() async throws {
        var repository = try await TestRepository()
        try repository.delegate(to: "r", paths: ["*"], targets: ["x": "1"])
        repository.delegated = [:]
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        #expect(try await failure { _ = try await current.find("x") } == .notSigned)
        #expect(Self.roles(repository.transport).isEmpty)
    }

    @Test(
        "patterns match segment by segment, as every implementation reads them",
        arguments: [
            ("*", "a", true), ("*", "a/b", false), ("*/*", "a/b", true), ("a/*", "a/b/c", false), ("**", "a/b", false),
            ("**", "ab", true), ("?", "a", true), ("?", "", false), ("?", "ä", true), ("?", "/", false),
            ("a?c", "abc", true),
            ("a*c", "ac", true), ("a*c", "abdc", true), ("a*c", "abd", false), ("*.md", "README.MD", false),
            ("*", ".hidden", true),
            ("[ab]", "b", true), ("[a-c]x", "bx", true), ("[a-c]", "d", false), ("[!a]", "b", false),
            ("[^a]", "b", false),
            ("[a", "[a", false), ("[]a]", "a", false), ("\\*", "*", false),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false), ("", "", true),
            ("a/", "a", false), ("/a", "a", false), ("*a*b", "xaxb", true), ("[a-]", "-", false), ("[z-a]", "m", false),
        ]
    )
    func patterns(_ pattern: String, _ path: String, _ matches: Bool) {
        let role = DelegatedRole(
            name: RoleName("r"),
            definition: RoleDefinition(keyIDs: []),
            paths: [pattern],
            matching: .patterns
        )
        #expect(role.covers(path) == matches)
    }
}
