// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import Synchronization
import TUF
import Testing

@testable import Updater

struct HTTPTransportTests {
    private static func fetch(
        _ server: ScriptedServer,
        _ file: RepositoryFile = .metadata(.timestamp, version: nil),
        limit: Int = 1 << 20,
        from offset: Int64 = 0,
        pauses: @escaping @Sendable (Duration) -> Void = { _ in },
        uptime: @escaping @Sendable () -> NIODeadline = { .now() }
    ) async throws -> [UInt8] {
        var repository = try RepositoryServer(
            metadata: server.url + "/a%5Bb%5D/metadata/",
            targets: server.url + "/t//"
        )
        repository.proxy = .none
        let transport = try HTTPTransport(repository, uptime: uptime, pause: { pauses($0) })
        do {
            var bytes: [UInt8] = []
            try await transport.stream(file, from: offset, limit: Int64(limit)) { bytes += $0 }
            try await transport.shutdown()
            return bytes
        } catch {
            try? await transport.shutdown()
            throw error
        }
    }

    private static func code(_ step: () async throws -> Void) async throws -> TransportError.Code? {
        do {
            try await step()
            return nil
        } catch let error as TransportError {
            return error.code
        }
    }

    @Test("base URLs are used as they stand, and names are percent-encoded")
    func names() async throws {
        try await ScriptedServer.with([.file([1])]) { server async throws in
            #expect(try await Self.fetch(server) == [1])
            _ = try await Self.fetch(server, .metadata(RoleName("../a?b#c/d"), version: 3))
            _ = try await Self.fetch(server, .target(try TargetPath("a b/c?"), hash: "00ff"))
            #expect(
                server.requests.map(\.uri) == [
                    "/a%5Bb%5D/metadata/timestamp.json", "/a%5Bb%5D/metadata/3...%2Fa%3Fb%23c%2Fd.json",
                    "/t/a%20b/00ff.c%3F",
                ]
            )
        }
    }

    @Test(
        "what may pass is tried again, with longer pauses, and not for ever",
        arguments: [
            HTTPResponseStatus.internalServerError, .serviceUnavailable, .tooManyRequests, .badGateway,
        ]
    )
    func retries(_ status: HTTPResponseStatus) async throws {
        let pauses = Mutex<[Duration]>([])
        try await ScriptedServer.with([.status(status), .status(status), .file([7])]) { server async throws in
            #expect(try await Self.fetch(server, pauses: { pause in pauses.withLock { $0.append(pause) } }) == [7])
            #expect(pauses.withLock { $0 } == [.milliseconds(250), .seconds(1)])
        }
        try await ScriptedServer.with([.status(status)]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server) } == .unreachable)
            #expect(server.requests.count == 4)
        }
    }

    @Test(
        "what is not there is not asked for again",
        arguments: [
            (HTTPResponseStatus.notFound, TransportError.Code.notFound), (.forbidden, .notFound), (.gone, .notFound),
            (.unauthorized, .unreachable), (.badRequest, .unreachable), (.noContent, .unreachable),
            (.partialContent, .unreachable),
        ]
    )
    func refusals(_ status: HTTPResponseStatus, _ code: TransportError.Code) async throws {
        try await ScriptedServer.with([.status(status)]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server) } == code)
            #expect(server.requests.count == 1)
        }
    }

    @Test("endless data is cut off at the bound, whether or not its length is told")
    func endless() async throws {
        try await ScriptedServer.with([.endless]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server, limit: 100_000) } == .tooLarge)
            #expect(server.requests.count == 1)
        }
        try await ScriptedServer.with([.file([UInt8](repeating: 0, count: 1001))]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server, limit: 1000) } == .tooLarge)
        }
    }

    @Test("a server that feeds a byte at a time is given up")
    func slow() async throws {
        // An hour between two looks at the clock.
        let time = Mutex(NIODeadline.now())
        let uptime: @Sendable () -> NIODeadline = {
            time.withLock { time in
                time = time + .hours(1)
                return time
            }
        }
        try await ScriptedServer.with([.file([1, 2, 3])]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server, uptime: uptime) } == .unreachable)
        }
    }

    @Test("a transfer that breaks off goes on where it stopped, with ranges or without")
    func resumes() async throws {
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let begin = ScriptedServer.Answer.cut(Array(bytes[..<150_000]), of: bytes.count)
        for rest in [ScriptedServer.Answer.file(bytes), .whole(bytes)] {
            try await ScriptedServer.with([begin, rest]) { server async throws in
                #expect(try await Self.fetch(server, .target(try TargetPath("a"), hash: nil)) == bytes)
                // How much of it had come is for the network to say.
                #expect(server.requests.count == 2)
            }
        }
    }

    @Test("what came before is not asked for again", arguments: [true, false])
    func begins(_ hasRanges: Bool) async throws {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        try await ScriptedServer.with([hasRanges ? .file(bytes) : .whole(bytes)]) { server async throws in
            #expect(try await Self.fetch(server, from: 900) == Array(bytes[900...]))
            #expect(server.requests.map(\.range) == ["bytes=900-"])
        }
        // It is shorter than what came of it: it is another file.
        try await ScriptedServer.with([.file(bytes)]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server, from: 1001) } == .changed)
        }
    }

    @Test("redirections are followed, so many and no more")
    func redirections() async throws {
        try await ScriptedServer.with([.status(.found, headers: ["Location": "/elsewhere"]), .file([1])]) {
            server async throws in
            #expect(try await Self.fetch(server) == [1])
            #expect(server.requests.last?.uri == "/elsewhere")
        }
        try await ScriptedServer.with([.status(.found, headers: ["Location": "/again"])]) { server async throws in
            #expect(try await Self.code { _ = try await Self.fetch(server) } == .unreachable)
        }
    }

    @Test("a proxy that the environment names is asked in the repository's place")
    func proxy() async throws {
        try await ScriptedServer.with([.status(.forbidden)]) { server async throws in
            var repository = try RepositoryServer(
                metadata: "http://repository.invalid/metadata",
                targets: "http://repository.invalid/targets"
            )
            repository.proxy = .variables(["http_proxy": server.url])
            let transport = try HTTPTransport(repository, pause: { _ in })
            let code = try await Self.code {
                _ = try await transport.fetch(.metadata(.timestamp, version: nil), limit: 1)
            }
            try await transport.shutdown()
            #expect(code == .unreachable)
            #expect(Set(server.requests.map(\.uri)) == ["repository.invalid:80"])
        }
    }

    @Test("nobody there is unreachable")
    func nobody() async throws {
        var url = ""
        try await ScriptedServer.with([.file([])]) { url = $0.url }
        var repository = try RepositoryServer(metadata: url, targets: url)
        repository.proxy = .none
        let transport = try HTTPTransport(repository, pause: { _ in })
        #expect(
            try await Self.code { _ = try await transport.fetch(.metadata(.timestamp, version: nil), limit: 1) }
                == .unreachable
        )
        try await transport.shutdown()
    }

    @Test(
        "a repository is at an http URL without a query",
        arguments: ["ftp://a/b", "a/b", "", "http://a/b?c", "http://u:p@a/"]
    )
    func urls(_ url: String) {
        #expect(throws: UpdaterError(.invalid, "")) { try RepositoryServer(metadata: url, targets: "http://a") }
    }

    @Test("one that nobody shuts down, or somebody twice, does no harm")
    func shutdown() async throws {
        try await ScriptedServer.with([.file([1])]) { server async throws in
            var repository = try RepositoryServer(metadata: server.url, targets: "http://localhost/")
            repository.proxy = .none
            let forgotten = try HTTPTransport(repository)
            #expect(try await forgotten.fetch(.metadata(.timestamp, version: nil), limit: 1) == [1])
            let closed = try HTTPTransport(repository)
            try await closed.shutdown()
            try await closed.shutdown()
        }
    }

    @Test("what it is to reach the server with is looked at when it is made")
    func settings() throws {
        var repository = try RepositoryServer(metadata: "http://localhost/m", targets: "http://127.0.0.1/t")
        repository.authorities = [Array("no certificate".utf8)]
        #expect(throws: UpdaterError(.invalid, "")) { _ = try HTTPTransport(repository) }
        repository.authorities = []
        for url in ["", "ftp://proxy", "http://"] {
            repository.proxy = .url(url)
            #expect(throws: UpdaterError(.invalid, "")) { _ = try HTTPTransport(repository) }
        }
        repository.proxy = .url("http://u:p@localhost:3128")
        _ = try HTTPTransport(repository)
    }

    @Test("a proxy at a URL is asked in the repository's place")
    func proxyURL() async throws {
        try await ScriptedServer.with([.status(.forbidden)]) { server async throws in
            var repository = try RepositoryServer(
                metadata: "http://repository.invalid/m",
                targets: "http://other.invalid"
            )
            repository.proxy = .url(server.url)
            repository.limits.attempts = 2
            let transport = try HTTPTransport(repository, pause: { _ in })
            let code = try await Self.code {
                _ = try await transport.fetch(.metadata(.timestamp, version: nil), limit: 1)
            }
            try await transport.shutdown()
            #expect(code == .unreachable)
            #expect(server.requests.map(\.uri) == ["repository.invalid:80", "repository.invalid:80"])
        }
    }
}
