// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import TUF
import Testing
import Updater

// What the articles of Updater.docc show, word for word.

func install(from url: String, trusting root: [UInt8], cache: String, to file: String) async throws {
    let server = try RepositoryServer(metadata: "\(url)/metadata", targets: "\(url)/targets")
    let updater = Updater(transport: try HTTPTransport(server), directory: cache, trustedRoot: root)
    var repository = try await updater.refresh()
    let target = try await repository.find("tool/2.1/tool.tar.gz")
    try await repository.download(target, to: file)
}

func transport(behind proxy: String, authority: [UInt8]) throws -> HTTPTransport {
    var server = try RepositoryServer(
        metadata: "https://updates.example.com/metadata",
        targets: "https://cdn.example.com/targets"
    )
    server.authorities = [authority]
    server.proxy = .url(proxy)
    server.limits.idle = .seconds(10)
    server.limits.bytesPerSecond = 16 << 10
    return try HTTPTransport(server)
}

func boundedSettings() -> Updater.Settings {
    var settings = Updater.Settings()
    settings.limits.metadataLength = 8 << 20
    settings.limits.rootRotations = 64
    return settings
}

func mirrored(_ urls: [String]) throws -> MirrorTransport {
    MirrorTransport(
        try urls.map { url in
            try HTTPTransport(try RepositoryServer(metadata: "\(url)/metadata", targets: "\(url)/targets"))
        }
    )
}

struct ArchiveTransport: RepositoryTransport {
    let files: [String: [UInt8]]

    func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        guard let bytes = self.files[file.urlPath] else {
            throw TransportError(.notFound, "the archive has no \(file.urlPath)")
        }
        guard bytes.count <= limit else { throw TransportError(.tooLarge, "\(file.urlPath) is too large") }
        try await sink(Array(bytes.dropFirst(Int(offset))))
    }
}

func isListed(_ path: String, _ updater: Updater) async throws -> Bool {
    var repository = try await updater.refresh(orCachedWithin: .seconds(7 * 86400))
    do {
        _ = try await repository.find(path)
        return true
    } catch let error as UpdaterError where error.code == .notSigned {
        return false
    }
}

// MARK: - They do what the articles say

struct ArticleTests {
    private static let catalog = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Sources/Updater/Updater.docc")

    /// A repository with the target that the articles download.
    private static func repository() async throws -> TestRepository {
        var repository = try await TestRepository()
        try repository.add("tool/2.1/tool.tar.gz", "the tool")
        try await repository.publish()
        return repository
    }

    @Test(
        "the code of the articles is the code of this file",
        arguments: ["VerifyADownload", "TransportsAndLimits", "WorkOffline"]
    )
    func code(_ article: String) throws {
        let source = try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8)
        let text = try String(contentsOf: Self.catalog.appendingPathComponent("\(article).md"), encoding: .utf8)
        let blocks = text.components(separatedBy: "```").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
            .filter { $0.hasPrefix("swift\n") }
        #expect(!blocks.isEmpty)
        for block in blocks {
            let code = block.dropFirst("swift\n".count).replacing("import Updater\n\n", with: "")
            #expect(source.contains("\n" + code), "\(article).md shows other code than this file has:\n\(code)")
        }
    }

    @Test("ten lines verify a download")
    func tenLines() async throws {
        var repository = try await Self.repository()
        // The clock of these lines is the machine's.
        repository.clock.advance(Date().timeIntervalSince(repository.clock.now))
        try await repository.publishRoot(alsoBy: [])
        try await repository.publish()
        let directory = TestDirectory()
        let memory = repository.transport
        func file(_ file: RepositoryFile) -> ScriptedServer.Answer {
            memory[file].map { .file($0) } ?? .status(.notFound)
        }
        let hash = Hexadecimal.encode(TestRepository.target("the tool").hashes.sha256 ?? [])
        let target = RepositoryFile.target(try TargetPath("tool/2.1/tool.tar.gz"), hash: hash)
        let answers = [
            file(.metadata(.root, version: 2)), file(.metadata(.root, version: 3)),
            file(.metadata(.timestamp, version: nil)), file(.metadata(.snapshot, version: 2)),
            file(.metadata(.targets, version: 2)), file(target),
        ]
        let root = try #require(memory[.metadata(.root, version: 1)])
        try await ScriptedServer.with(answers) { server async throws in
            try await install(
                from: server.url,
                trusting: root,
                cache: "\(directory.path)/cache",
                to: "\(directory.path)/out"
            )
            #expect(server.requests.count == answers.count)
        }
        #expect(directory.read("out") == Array("the tool".utf8))
    }

    @Test("a transport of one's own is a few lines")
    func ownTransport() async throws {
        let repository = try await Self.repository()
        let hash = Hexadecimal.encode(TestRepository.target("the tool").hashes.sha256 ?? [])
        let names: [RepositoryFile] = [
            .metadata(.timestamp, version: nil), .metadata(.snapshot, version: 1), .metadata(.targets, version: 1),
            .target(try TargetPath("tool/2.1/tool.tar.gz"), hash: hash),
        ]
        let files = Dictionary(uniqueKeysWithValues: names.map { ($0.urlPath, repository.transport[$0] ?? []) })
        let updater = Updater(
            transport: ArchiveTransport(files: files),
            directory: TestDirectory().path,
            trustedRoot: repository.transport[.metadata(.root, version: 1)],
            settings: boundedSettings(),
            now: { [clock = repository.clock] in clock.now }
        )
        var current = try await updater.refresh()
        let target = try await current.find("tool/2.1/tool.tar.gz")
        #expect(try await current.content(of: target, limit: 8) == Array("the tool".utf8))
        #expect(try await isListed("tool/2.1/tool.tar.gz", updater))
        #expect(try await isListed("tool/3.0/tool.tar.gz", updater) == false)
    }

    @Test("settings and mirrors are as shown")
    func settings() throws {
        _ = try mirrored(["https://a.example.com", "https://b.example.com/x"])
        #expect(throws: UpdaterError.self) { try mirrored(["ftp://a.example.com"]) }
        #expect(throws: UpdaterError.self) { try transport(behind: "http://proxy:3128", authority: []) }
        #expect(boundedSettings().limits.metadataLength == 8 << 20)
    }
}
