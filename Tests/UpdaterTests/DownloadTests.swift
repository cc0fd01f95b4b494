// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import TUF
import Testing

@testable import Updater

/// Breaks off each download after so many bytes.
private final class FlakyTransport: RepositoryTransport {
    private let transport: MemoryTransport
    private let budget: Mutex<Int?>
    let offsets = Mutex<[Int64]>([])

    init(_ transport: MemoryTransport, after budget: Int?) {
        self.transport = transport
        self.budget = Mutex(budget)
    }

    func heal() { self.budget.withLock { $0 = nil } }

    func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        guard case .target = file else {
            return try await self.transport.stream(file, from: offset, limit: limit, sink)
        }
        self.offsets.withLock { $0.append(offset) }
        let budget = self.budget.withLock { $0 }
        try await self.transport.stream(file, from: offset, limit: limit) { buffer in
            guard let budget else { return try await sink(buffer) }
            try await sink(Array(buffer.prefix(budget)))
            throw TransportError(.unreachable, "broken off")
        }
    }
}

struct DownloadTests {
    @Test(
        "a target path cannot leave the directory or the base URL",
        arguments: [
            "/etc/passwd", "../x", "a/../b", "a/./b", "./a", "a//b", "a/", "", ".", "..", "a\0b",
            String(repeating: "a", count: 1025),
        ]
    )
    func hostilePaths(_ path: String) async throws {
        var repository = try await TestRepository()
        repository.targets.targets[path] = TestRepository.target("content")
        try repository.add("good", "content")
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        #expect(try await failure { _ = try await current.find(path) } == .invalid)
        #expect(try await current.list().map(\.path.text) == ["good"])
    }

    @Test(
        "every other path is one file of one directory, and segments of a URL that keep their names",
        arguments: [
            ("a/b c", "a%2Fb%20c", "a/b%20c"), ("x?y#z", "x%3Fy%23z", "x%3Fy%23z"), ("a%2Fb", "a%252Fb", "a%252Fb"),
            (".hidden", "%2Ehidden", ".hidden"), ("...", "%2E..", "..."), ("a\\b", "a%5Cb", "a%5Cb"),
            ("é", "%C3%A9", "%C3%A9"),
            ("%2e%2e/x", "%252e%252e%2Fx", "%252e%252e/x"),
        ]
    )
    func names(_ path: String, _ name: String, _ url: String) async throws {
        let target = try TargetPath(path)
        #expect(target.fileName == name)
        #expect(RepositoryFile.target(target, hash: nil).urlPath == url)
        var repository = try await TestRepository()
        try repository.add(path, "content of \(path)")
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        let file = try await current.download(try await current.find(path), into: directory.path)
        #expect(file == "\(directory.path)/\(name)")
        #expect(directory.read(name) == Array("content of \(path)".utf8))
    }

    @Test("a path of any length is downloaded into a directory")
    func longPaths() async throws {
        var repository = try await TestRepository()
        let paths = ["a", "b"].map { String(repeating: "é/", count: 300) + $0 }
        for path in paths { try repository.add(path, path) }
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        for path in paths {
            let file = try await current.download(try await current.find(path), into: "\(directory.path)/out")
            #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == Data(path.utf8))
        }
        #expect(directory.names("out").count == 2)
    }

    @Test("the hash is put before the last segment of consistent snapshots, unless a repository leaves it out")
    func hashPrefix() async throws {
        var repository = try await TestRepository()
        try repository.add("a/b", "content")
        try await repository.publish()
        let directory = TestDirectory()
        var settings = Updater.Settings()
        settings.prefixTargetsWithHash = false
        let hash = Hexadecimal.encode(TestRepository.target("content").hashes.sha256 ?? [])
        for (settings, name) in [(Updater.Settings(), "a/\(hash).b"), (settings, "a/b")] {
            var current = try await repository.updater(directory, settings: settings).refresh()
            _ = repository.transport.takeRequests()
            let target = try await current.find("a/b")
            let code = try await failure { try await current.download(target, to: "\(directory.path)/\(name.count)") }
            #expect(repository.transport.takeRequests().map(\.urlPath) == [name])
            #expect(code == (settings.prefixTargetsWithHash ? nil : .notSigned))
        }
    }

    @Test(
        "content that is not what is listed is never there, and what was there before stays",
        arguments: [
            "other!!", "shorter", "content and more", "",
        ]
    )
    func substituted(_ content: String) async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        try await repository.publish()
        let directory = TestDirectory()
        try directory.write("out", Array("before".utf8))
        let hash = Hexadecimal.encode(TestRepository.target("content").hashes.sha256 ?? [])
        let file = RepositoryFile.target(try TargetPath("a"), hash: hash)
        repository.transport[file] = Array(content.replacing("shorter", with: "short").utf8)
        var current = try await repository.updater(directory).refresh()
        let target = try await current.find("a")
        #expect(
            try await failure { try await current.download(target, to: "\(directory.path)/out") } == .contentMismatch
        )
        #expect(directory.read("out") == Array("before".utf8))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasSuffix(".part") } == []
        )
        repository.transport[file] = Array("content".utf8)
        try await current.download(target, to: "\(directory.path)/out")
        #expect(directory.read("out") == Array("content".utf8))
        _ = repository.transport.takeRequests()
        try await current.download(target, to: "\(directory.path)/out")
        #expect(repository.transport.takeRequests().isEmpty)
    }

    @Test("a hash of an unknown algorithm refuses a target, even beside a good one")
    func unknownHash() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        repository.targets.targets["a"]?.hashes.digests["blake2b-256"] = [1, 2]
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        let target = try await current.find("a")
        #expect(try await failure { try await current.download(target, to: "\(directory.path)/a") } == .contentMismatch)
    }

    @Test("an empty target is downloaded")
    func empty() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "")
        try await repository.publish()
        let directory = TestDirectory()
        var current = try await repository.updater(directory).refresh()
        try await current.download(try await current.find("a"), to: "\(directory.path)/a")
        #expect(directory.read("a") == [])
    }

    @Test("what was interrupted goes on where it stopped, and begins anew if what is there is not the beginning")
    func resumes() async throws {
        var repository = try await TestRepository()
        let content = String(repeating: "0123456789", count: 1000)
        try repository.add("a", content)
        try await repository.publish()
        for isDamaged in [false, true] {
            let (metadata, directory) = (TestDirectory(), TestDirectory())
            let transport = FlakyTransport(repository.transport, after: 4000)
            let updater = Updater(
                transport: transport,
                directory: metadata.path,
                trustedRoot: repository.transport[.metadata(.root, version: 1)],
                now: { [clock = repository.clock] in clock.now }
            )
            var current = try await updater.refresh()
            let target = try await current.find("a")
            #expect(try await failure { try await current.download(target, to: "\(directory.path)/a") } == .unreachable)
            #expect(directory.read("a") == nil)
            let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            let partial = try #require(names.first)
            if isDamaged { try directory.write(partial, Array("something else".utf8)) }
            transport.heal()
            try await current.download(target, to: "\(directory.path)/a")
            #expect(directory.read("a") == Array(content.utf8))
            #expect(transport.offsets.withLock { $0 } == (isDamaged ? [0, 14, 0] : [0, 4000]))
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a"])
        }
    }

    @Test("reads a repository from a directory, as a static web server would serve it")
    func directoryTransport() async throws {
        var repository = try await TestRepository()
        try repository.delegate(to: "team/app", paths: ["*/*"], targets: ["dir/a b": "content"])
        try await repository.publish()
        let directory = TestDirectory()
        var memory = try await repository.updater(TestDirectory()).refresh()
        let target = try await memory.find("dir/a b")
        try await memory.download(target, to: "\(directory.path)/out")
        for file in repository.transport.takeRequests() {
            guard let bytes = repository.transport[file] else { continue }
            var folder = "metadata"
            if case .target = file { folder = "targets" }
            let path = "\(directory.path)/\(folder)/\(file.segments.joined(separator: "/"))"
            try FileManager.default.createDirectory(
                atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path,
                withIntermediateDirectories: true
            )
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        }
        let transport = DirectoryTransport(
            metadata: "\(directory.path)/metadata",
            targets: "\(directory.path)/targets"
        )
        let updater = Updater(
            transport: transport,
            directory: "\(directory.path)/cache",
            trustedRoot: repository.transport[.metadata(.root, version: 1)],
            now: { [clock = repository.clock] in clock.now }
        )
        var current = try await updater.refresh()
        #expect(try await current.find("dir/a b") == target)
        try await current.download(target, to: "\(directory.path)/again")
        #expect(directory.read("again") == Array("content".utf8))
    }
}
