// SPDX-License-Identifier: Apache-2.0

import HTTPAccess
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import TUF
import Testing

@testable import Updater

/// A web server that answers each request as its script says, the last line for ever.
private final class ScriptedServer: Sendable {
    enum Answer: Sendable {
        /// A whole reply, of which only the part of a range is sent if one was asked for.
        case file([UInt8])
        /// The same without ranges.
        case whole([UInt8])
        case status(HTTPResponseStatus, headers: HTTPHeaders = [:])
        /// The beginning of a file; then the connection breaks.
        case cut([UInt8], of: Int)
        /// Bytes for ever, without saying how many.
        case endless
    }

    struct Request: Sendable, Equatable {
        let uri: String
        let range: String?
    }

    private let channel: any Channel
    private let state: Mutex<(answers: [Answer], requests: [Request])>

    var url: String { "http://127.0.0.1:\(self.channel.localAddress?.port ?? 0)" }
    var requests: [Request] { self.state.withLock { $0.requests } }

    private init(_ channel: any Channel, _ state: consuming sending (answers: [Answer], requests: [Request])) {
        self.channel = channel
        self.state = Mutex(state)
    }

    static func with(_ answers: [Answer], _ body: (ScriptedServer) async throws -> Void) async throws {
        let holder = Holder()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(Handler(holder))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(channel, (answers, []))
        holder.server.withLock { $0 = server }
        do {
            try await body(server)
            try await channel.close()
        } catch {
            try? await channel.close()
            throw error
        }
        holder.server.withLock { $0 = nil }
    }

    private final class Holder: Sendable {
        let server = Mutex<ScriptedServer?>(nil)
    }

    private func answer(_ head: HTTPRequestHead) -> Answer {
        self.state.withLock { state in
            state.requests.append(Request(uri: head.uri, range: head.headers.first(name: "Range")))
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let holder: Holder
        private var head: HTTPRequestHead?

        init(_ holder: Holder) { self.holder = holder }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body: break
            case .end:
                guard let head = self.head, let server = self.holder.server.withLock({ $0 }) else { return }
                self.reply(server.answer(head), head, context)
            }
        }

        private func reply(_ answer: Answer, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
            switch answer {
            case .file(let bytes):
                let start = head.headers.first(name: "Range").flatMap {
                    Int($0.dropFirst("bytes=".count).dropLast())
                }
                guard let start else { return self.send(.ok, [:], bytes, context) }
                guard start < bytes.count else { return self.send(.rangeNotSatisfiable, [:], [], context) }
                let range: HTTPHeaders = ["Content-Range": "bytes \(start)-\(bytes.count - 1)/\(bytes.count)"]
                self.send(.partialContent, range, Array(bytes[start...]), context)
            case .whole(let bytes): self.send(.ok, [:], bytes, context)
            case .status(let status, let headers): self.send(status, headers, [], context)
            case .cut(let bytes, let count):
                self.head(.ok, ["Content-Length": "\(count)"], context)
                context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
                context.close(promise: nil)
            case .endless:
                self.head(.ok, ["Transfer-Encoding": "chunked"], context)
                self.flood(context)
            }
        }

        private func flood(_ context: ChannelHandlerContext) {
            let bytes = ByteBuffer(repeating: 0x20, count: 64 << 10)
            let written = context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(bytes))))
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            written.whenSuccess { bound.value.0.flood(bound.value.1) }
        }

        private func head(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ context: ChannelHandlerContext) {
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
            context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        }

        private func send(
            _ status: HTTPResponseStatus,
            _ headers: HTTPHeaders,
            _ bytes: [UInt8],
            _ context: ChannelHandlerContext
        ) {
            var headers = headers
            headers.add(name: "Content-Length", value: "\(bytes.count)")
            self.head(status, headers, context)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

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
        repository.environment = [:]
        let transport = try HTTPTransport(repository, uptime: uptime, pause: { pauses($0) })
        do {
            var bytes: [UInt8] = []
            try await transport.stream(file, from: offset, limit: Int64(limit)) { bytes += $0.readableBytesView }
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
            repository.environment = ["http_proxy": server.url]
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
        repository.environment = [:]
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
}
