// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TUF

struct DelegationSearchTests {
    /// A collection of roles, each with its targets and the paths that it may hold, all signed by one key.
    private func collection(
        _ roles: [(name: String, paths: [String], targets: [String])]
    ) async throws -> (TrustedCollection, [RoleName: [UInt8]]) {
        let publisher = try Publisher()
        let key = TestKey()
        var files: [RoleName: [UInt8]] = [:]
        for role in [("targets", [""], [])] + roles where files[RoleName(role.0)] == nil {
            let children = roles.filter { RoleName($0.name).notaryParent == RoleName(role.0) }
                .map { (key, Fixture.delegation($0.name, to: [key], paths: $0.paths)) }
            let payload = Fixture.targets(1, role.0 == "targets" ? ["top"] : role.2, children)
            let keys = role.0 == "targets" ? publisher.keys[.targets] ?? [] : [key]
            files[RoleName(role.0)] = try await payload.signed(by: keys, format: .notary).bytes
        }
        var collection = TrustedCollection()
        try await publisher.publish(root: try await publisher.root(), targets: files).load(into: &collection)
        return (collection, files)
    }

    /// The roles loaded for a path, and those where it is found, in order.
    private func search(
        _ path: String,
        from role: RoleName = .targets,
        skipping: Set<String> = [],
        in source: (collection: TrustedCollection, files: [RoleName: [UInt8]])
    ) throws -> (loaded: [String], found: [String]) {
        var collection = source.collection
        var search = DelegationSearch(for: path, from: role)
        var (loaded, found): ([String], [String]) = ([], [])
        while true {
            switch try search.next(in: collection) {
            case .load(let delegation):
                let role = delegation.role
                loaded.append(role.text)
                if skipping.contains(role.text) {
                    search.skip(delegation)
                } else {
                    try collection.updateTargets(delegation, source.files[role] ?? [])
                }
            case .found(let role, let file):
                #expect(file == Fixture.target(path))
                found.append(role.text)
            case .end: return (loaded, found)
            }
        }
    }

    private static let roles: [(name: String, paths: [String], targets: [String])] = [
        ("targets/a", ["x/"], ["x/1", "y/1"]), ("targets/b", [""], ["x/1", "x/y/2"]), ("targets/none", [], ["x/1"]),
        ("targets/a/deep", ["x/y/", ""], ["x/y/2", "x/1", "z"]), ("targets/b/deep", ["x/y/2", "z"], ["x/y/2", "z"]),
        ("targets/a/deep/er", ["x/"], ["x/1", "x/y/2"]),
    ]

    @Test(
        "asks breadth first, in the order listed, and only roles that may hold the target on every step of the way",
        arguments: [
            ("x/1", ["targets/a", "targets/b"], ["targets/a", "targets/b"]),
            (
                "x/y/2", ["targets/a", "targets/b", "targets/a/deep", "targets/b/deep"],
                ["targets/b", "targets/a/deep", "targets/b/deep"]
            ),
            ("z", ["targets/b", "targets/b/deep"], ["targets/b/deep"]), ("y/1", ["targets/b"], []),
            ("top", ["targets/b"], ["targets"]),
            ("x", ["targets/b"], []), ("", ["targets/b"], []),
        ]
    )
    func order(_ path: String, _ loaded: [String], _ found: [String]) async throws {
        let source = try await self.collection(Self.roles)
        let result = try self.search(path, in: source)
        #expect(result.loaded == loaded)
        #expect(result.found == found)
    }

    @Test("goes on without a role that could not be loaded, and without all below it")
    func skip() async throws {
        let source = try await self.collection(Self.roles)
        let result = try self.search("x/y/2", skipping: ["targets/a"], in: source)
        #expect(result.loaded == ["targets/a", "targets/b", "targets/b/deep"])
        #expect(result.found == ["targets/b", "targets/b/deep"])
    }

    @Test("starts where it is told to, within what that role may hold")
    func start() async throws {
        var source = try await self.collection(Self.roles)
        try source.0.updateTargets(RoleName("targets/a"), source.1[RoleName("targets/a")] ?? [])
        let deep = RoleName("targets/a/deep")
        #expect(try self.search("x/y/2", from: deep, in: source).found == ["targets/a/deep"])
        #expect(try self.search("z", from: deep, in: source).loaded == [])
        #expect(try self.search("x/1", from: deep, in: source).loaded == [])
        #expect(throws: TUFError(.notDelegated, "")) {
            try self.search("z", from: RoleName("targets/b/deep"), in: source)
        }
        #expect(try self.search("z", from: RoleName("targets/not-listed"), in: source).loaded == [])
    }

    @Test("agrees with the delegations' paths cut down on every level, by property")
    func restriction() async throws {
        var generator = SeededGenerator(seed: 5)
        func paths() -> [String] {
            (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                String(
                    (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                        "ab/".randomElement(using: &generator) ?? "a"
                    }
                )
            }
        }
        for _ in 0..<2000 {
            let parent = Fixture.delegation("targets/a", to: [], paths: paths())
            let child = Fixture.delegation("targets/a/b", to: [], paths: paths())
            let kept = child.paths.filter { path in parent.paths.contains { path.utf8.starts(with: $0.utf8) } }
            #expect(child.restricted(to: parent).paths == kept)
            #expect(child.restricted(to: nil) == child)
        }
    }

    @Test("ends after a bounded number of roles")
    func bounds() async throws {
        let key = TestKey()
        let publisher = try Publisher()
        let names = (0...WireFormat.delegationLimit).map { "targets/r\($0)" }
        let top = Fixture.targets(1, [], names.map { (key, Fixture.delegation($0, to: [key], paths: [""])) })
        var files: [RoleName: [UInt8]] = [.targets: try await publisher.sign(top, as: .targets)]
        for name in names { files[RoleName(name)] = [] }
        var collection = TrustedCollection()
        try await publisher.publish(root: try await publisher.root(), targets: files).load(into: &collection)
        let trusted = collection
        #expect(throws: TUFError(.tooLarge, "")) {
            var search = DelegationSearch(for: "x")
            while case .load(let role) = try search.next(in: trusted) { search.skip(role) }
        }
    }
}
