// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TUF
import Testing

@testable import Updater

/// Fails for every file, or for some.
private struct FailingTransport: RepositoryTransport {
    let transport: MemoryTransport
    let code: TransportError.Code
    /// After how many bytes it fails.
    var budget = 0
    var fails: @Sendable (RepositoryFile) -> Bool = { _ in true }

    func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        guard self.fails(file) else { return try await self.transport.stream(file, from: offset, limit: limit, sink) }
        if self.budget > 0 {
            try await self.transport.stream(file, from: offset, limit: limit) {
                try await sink(Array($0.prefix(self.budget)))
            }
        }
        throw TransportError(self.code, "fails")
    }
}

struct SettingsTests {
    private static func updater(
        _ repository: TestRepository,
        _ directory: TestDirectory,
        _ transport: (any RepositoryTransport)? = nil,
        settings: Updater.Settings = .init()
    ) -> Updater {
        Updater(
            transport: transport ?? repository.transport,
            directory: directory.path,
            trustedRoot: repository.transport[.metadata(.root, version: 1)],
            settings: settings,
            now: { [clock = repository.clock] in clock.now }
        )
    }

    @Test("lower limits bind, and higher ones are as they are by default")
    func limits() async throws {
        var repository = try await TestRepository()
        for _ in 0..<3 { try await repository.publishRoot() }
        try await repository.publish()
        for path in [\Updater.Limits.rootLength, \.timestampLength, \.metadataLength] {
            var settings = Updater.Settings()
            settings.limits[keyPath: path] = 100
            let small = Self.updater(repository, TestDirectory(), settings: settings)
            #expect(try await failure { _ = try await small.refresh() } == .rollback)
            settings.limits[keyPath: path] = .max
            let large = Self.updater(repository, TestDirectory(), settings: settings)
            #expect(large.settings.limits == Updater.Limits())
            _ = try await large.refresh()
            settings.limits[keyPath: path] = -1
            #expect(Self.updater(repository, TestDirectory(), settings: settings).settings.limits[keyPath: path] == 0)
        }
        var settings = Updater.Settings()
        settings.limits.rootRotations = 1
        let (directory, versions) = (TestDirectory(), [2, 3, 4, 4] as [Int64])
        for version in versions {
            let current = try await Self.updater(repository, directory, settings: settings).refresh()
            #expect(current.trusted.root?.payload.version == version)
        }
    }

    @Test("a new root says whether names have versions and hashes from now on")
    func consistency() async throws {
        var repository = try await TestRepository()
        let directory = TestDirectory()
        for (number, isConsistent) in [true, false, true].enumerated() {
            repository.isConsistent = isConsistent
            try await repository.publishRoot()
            try repository.add("a", "content \(number)")
            try await repository.publish()
            var current = try await repository.updater(directory).refresh()
            let target = try await current.find("a")
            #expect(try await current.content(of: target, limit: 100) == Array("content \(number)".utf8))
        }
    }

    // MARK: Silence

    @Test("silence is bridged by what is on disk, for so long; a refusal is not")
    func silence() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        try await repository.publish()
        let directory = TestDirectory()
        let silent = Self.updater(
            repository,
            directory,
            FailingTransport(transport: repository.transport, code: .unreachable)
        )
        #expect(try await failure { _ = try await silent.refresh(orCachedWithin: .seconds(60)) } == .unreachable)
        _ = try await repository.updater(directory).refresh(orCachedWithin: .seconds(60))
        repository.clock.advance(60)
        var cached = try await silent.refresh(orCachedWithin: .seconds(60))
        #expect(!cached.isFromRepository)
        #expect(try await cached.find("a").file.length == 7)
        #expect(try await failure { _ = try await silent.refresh(orCachedWithin: .seconds(59)) } == .unreachable)
        repository.transport[.metadata(.timestamp, version: nil)] = [0x7B]
        let updater = repository.updater(directory)
        #expect(try await failure { _ = try await updater.refresh(orCachedWithin: .seconds(60)) } == .signature)
    }

    // MARK: Mirrors

    @Test("a mirror that is silent, behind or breaks off is passed over", arguments: [0, 4])
    func mirrors(_ budget: Int) async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        try await repository.publish()
        try await repository.publishRoot()
        for code in [TransportError.Code.unreachable, .notFound, .changed] {
            let bad = FailingTransport(transport: repository.transport, code: code, budget: budget)
            let directory = TestDirectory()
            let mirrors = MirrorTransport([bad, repository.transport])
            var current = try await Self.updater(repository, directory, mirrors).refresh()
            #expect(current.trusted.root?.payload.version == 2)
            let target = try await current.find("a")
            try await current.download(target, to: "\(directory.path)/a")
            #expect(directory.read("a") == Array("content".utf8))
        }
        let (directory, none) = (TestDirectory(), MirrorTransport([]))
        #expect(try await failure { _ = try await Self.updater(repository, directory, none).refresh() } == .unreachable)
    }

    // MARK: Downloads

    @Test("content comes into memory up to a bound, and only whole and right")
    func content() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        try await repository.publish()
        var current = try await repository.updater(TestDirectory()).refresh()
        let target = try await current.find("a")
        #expect(try await current.content(of: target, limit: 7) == Array("content".utf8))
        _ = repository.transport.takeRequests()
        #expect(try await failure { _ = try await current.content(of: target, limit: 6) } == .tooLarge)
        #expect(repository.transport.takeRequests().isEmpty)
        let hash = Hexadecimal.encode(target.file.hashes.sha256 ?? [])
        for bad in ["conten", "content!", "CONTENT", ""] {
            repository.transport[.target(target.path, hash: hash)] = Array(bad.utf8)
            #expect(try await failure { _ = try await current.content(of: target, limit: 7) } == .contentMismatch)
        }
        repository.transport[.target(target.path, hash: hash)] = nil
        #expect(try await failure { _ = try await current.content(of: target, limit: 7) } == .notSigned)
    }

    @Test("progress counts what is there, from before as well, up to the length")
    func progress() async throws {
        var repository = try await TestRepository()
        try repository.add("a", "content")
        try await repository.publish()
        let directory = TestDirectory()
        let path = "\(directory.path)/a"
        let broken = FailingTransport(transport: repository.transport, code: .unreachable, budget: 3) {
            if case .target = $0 { true } else { false }
        }
        var interrupted = try await Self.updater(repository, directory, broken).refresh()
        let target = try await interrupted.find("a")
        var seen: [Int64] = []
        let code = try await failure { try await interrupted.download(target, to: path) { seen.append($0) } }
        #expect(code == .unreachable)
        #expect(seen == [3])
        let current = try await repository.updater(directory).refresh()
        #expect(try await !current.isDownloaded(target, at: path))
        try await current.download(target, to: path) { seen.append($0) }
        #expect(seen == [3, 7])
        #expect(try await current.isDownloaded(target, at: path))
        try await current.download(target, to: path) { seen.append($0) }
        #expect(seen == [3, 7, 7])
        try directory.write("a", Array("CONTENT".utf8))
        #expect(try await !current.isDownloaded(target, at: path))
    }
}
