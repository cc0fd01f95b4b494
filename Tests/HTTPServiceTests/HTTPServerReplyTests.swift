// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@Suite("Replies of the HTTP server")
struct HTTPServerReplyTests {
    /// Serves one file, or the part of it that the query names. Remembers the handles it opened.
    private final class FileResponder: HTTPResponder {
        let path: String
        let handles = Mutex<[NIOFileHandle]>([])

        init(path: String) {
            self.path = path
        }

        func respond(to request: HTTPRequest) async throws -> HTTPResponse {
            let descriptor = open(self.path, O_RDONLY)
            let length = Int64(lseek(descriptor, 0, SEEK_END))
            let file = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
            self.handles.withLock { $0.append(file) }
            let bounds = (request.query ?? "").split(separator: "-").compactMap { Int64($0) }
            let range = bounds.count == 2 ? bounds[0]..<bounds[1] : 0..<length
            return HTTPResponse(status: .ok, body: .file(HTTPFileBody(file: file, range: range)))
        }

        var allClosed: Bool { self.handles.withLock { $0.allSatisfy { !$0.isOpen } } }
    }

    private static func content(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    @Test("A file and a part of it arrive unchanged, and the file is closed", arguments: [false, true])
    func files(secure: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let content = Self.content(3_000_000)
            try Data(content).write(to: URL(filePath: directory + "/file"))
            let responder = FileResponder(path: directory + "/file")
            let authority = LocalCertificateAuthority(directory: directory + "/ca", hostName: "host.example")
            let identity = try await TLSIdentity.load(.authority(authority), logger: Logger(label: "test"))
            try await withServer(responder, .test { if secure { $0.tls = identity.contexts } }) { server in
                let tls = secure ? try Self.clientContext(root: authority.certificatePath) : nil
                let client = try await RawClient.connect(to: server.address, tls: tls)
                for (query, range) in [
                    ("", 0..<3_000_000), ("?1000000-2000000", 1_000_000..<2_000_000),
                    ("?2999995-3000000", 2_999_995..<3_000_000),
                ] {
                    try await client.send("GET /\(query) HTTP/1.1\r\nHost: x\r\n\r\n")
                    let reply = try await client.readReply()
                    #expect(reply.status == 200)
                    #expect(reply.headers["content-length"] == "\(range.count)")
                    #expect(reply.body == ByteBuffer(bytes: content[range]))
                }
                await client.close()
            }
            #expect(responder.handles.withLock { $0.count } == 3)
            #expect(responder.allClosed)
        }
    }

    static func clientContext(root: String) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(root)
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }

    @Test("A file is closed when the peer leaves in the middle of it, and when only its head is asked for")
    func fileIsClosed() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/file"
            #expect(FileManager.default.createFile(atPath: path, contents: nil))
            #expect(truncate(path, 1 << 30) == 0)
            let responder = FileResponder(path: path)
            try await withServer(responder) { server in
                let client = try await RawClient.connect(to: server.address)
                try await client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await client.readReply(toHead: true).headers["content-length"] == "\(1 << 30)")
                #expect(responder.allClosed)
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                _ = try await client.read(1_000)
                await client.close()
            }
            #expect(responder.allClosed)
        }
    }

    @Test("A file that is shorter than promised ends the connection instead of the reply", arguments: [false, true])
    func shortFile(secure: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/file"
            try Data(Self.content(1_000)).write(to: URL(filePath: path))
            let authority = LocalCertificateAuthority(directory: directory + "/ca", hostName: "host.example")
            let identity = try await TLSIdentity.load(.authority(authority), logger: Logger(label: "test"))
            let responder = ClosureResponder(immediate: { _ in
                let file = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: open(path, O_RDONLY))
                return HTTPResponse(status: .ok, body: .file(HTTPFileBody(file: file, range: 0..<2_000)))
            })
            try await withServer(
                responder,
                .test {
                    if secure { $0.tls = identity.contexts }
                    $0.writeTimeout = .milliseconds(200)
                }
            ) { server in
                let tls = secure ? try Self.clientContext(root: authority.certificatePath) : nil
                let client = try await RawClient.connect(to: server.address, tls: tls)
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await client.readHead().headers["content-length"] == "2000")
                await #expect(throws: RawClient.EndOfConnection.self) { try await client.read(2_000) }
                await client.close()
            }
        }
    }

    @Test("HEAD has the length that GET would have, and no body")
    func head() async throws {
        let responder = ClosureResponder(answer: { request in
            switch request.path {
            case "/bytes": HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "12345")))
            case "/absent": HTTPResponse(status: .ok, body: .absent(length: 77))
            case "/stream":
                HTTPResponse(status: .ok, body: .stream(length: 9) { try await $0.write(ByteBuffer(string: "x")) })
            default: HTTPResponse(status: .notFound)
            }
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            for (path, length) in [("/bytes", "5"), ("/absent", "77"), ("/stream", "9"), ("/none", "0")] {
                try await client.send("HEAD \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await client.readReply(toHead: true).headers["content-length"] == length)
            }
            await client.close()
        }
    }

    @Test("A reply prepared for reuse goes out as it was made, and as it was changed afterwards")
    func prepared() async throws {
        let prepared = HTTPResponse(
            status: .accepted,
            headers: ["X-One": "1", "X-Split": "a\r\nb", "Date": "never"],
            body: .bytes(ByteBuffer(string: "12345"))
        ).preparedForReuse
        let responder = ClosureResponder(immediate: { request in
            var response = prepared
            guard request.path == "/changed" else { return response }
            response.status = .created
            response.headers.add(name: "X-Two", value: "2")
            return response
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            for (path, status, second) in [("/", 202, nil), ("/changed", 201, "2"), ("/", 202, nil)] {
                try await client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                let reply = try await client.readReply()
                #expect(reply.status == status)
                #expect(reply.headers["x-one"] == "1")
                #expect(reply.headers["x-two"] == second)
                #expect(reply.headers["x-split"] == nil)
                #expect(reply.headers["date"] != "never")
                #expect(reply.headers["content-length"] == "5")
                #expect(reply.body == ByteBuffer(string: "12345"))
            }
            await client.close()
        }
    }

    @Test("204 and 304 have neither body nor length", arguments: [204, 304])
    func noBody(status: Int) async throws {
        let responder = ClosureResponder(immediate: { _ in
            HTTPResponse(status: .init(statusCode: status), body: .bytes(ByteBuffer(string: "no")))
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            for _ in 0..<2 {
                try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                let reply = try await client.readReply()
                #expect(reply.status == status)
                #expect(reply.headers["content-length"] == nil)
                #expect(reply.headers["transfer-encoding"] == nil)
            }
            await client.close()
        }
    }

    @Test("A streamed reply waits for its peer")
    func streamBackpressure() async throws {
        let written = Atomic<Int>(0)
        let responder = ClosureResponder(answer: { _ in
            HTTPResponse(
                status: .ok,
                body: .stream(length: 256 << 20) { writer in
                    let piece = ByteBuffer(repeating: 5, count: 1 << 20)
                    for _ in 0..<256 {
                        try await writer.write(piece)
                        written.add(1, ordering: .relaxed)
                    }
                }
            )
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            // Told before it asks: on a busy machine it would else have read it all by then.
            try await client.channel.setOption(.autoRead, value: false).get()
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            client.channel.read()
            _ = try await client.readHead()
            var last = -1
            while true {
                let now = written.load(ordering: .relaxed)
                if now == last { break }
                last = now
                try await client.channel.eventLoop.scheduleTask(in: .milliseconds(100)) {}.futureResult.get()
            }
            // Sockets hold some.
            #expect(last < 256)
            try await client.channel.setOption(.autoRead, value: true).get()
            #expect(try await client.read(256 << 20).readableBytes == 256 << 20)
            await client.close()
        }
    }

    @Test("An HTTP/1.0 peer gets a stream of unknown length without chunks")
    func streamToHTTP10() async throws {
        let responder = ClosureResponder(answer: { _ in
            HTTPResponse(status: .ok, body: .stream(length: nil) { try await $0.write(ByteBuffer(string: "all")) })
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let reply = await client.readToEnd()
            #expect(reply.hasSuffix("\r\n\r\nall"))
            #expect(!reply.contains("chunked"))
        }
    }

    @Test("A stream that fails or is too short ends the connection without its end", arguments: [true, false])
    func failingStream(throwing: Bool) async throws {
        struct Broken: Error {}
        let responder = ClosureResponder(answer: { _ in
            HTTPResponse(
                status: .ok,
                body: .stream(length: throwing ? nil : 10) { writer in
                    try await writer.write(ByteBuffer(string: "half"))
                    if throwing { throw Broken() }
                }
            )
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            let reply = await client.readToEnd()
            #expect(reply.contains("half"))
            #expect(!reply.contains("\r\n0\r\n"))
            #expect(server.log.all.contains { $0.level == .error && $0.message == "reply ended early" })
        }
    }

    @Test("An error becomes the reply it stands for; any other an empty 500 and a log line")
    func errors() async throws {
        struct Known: HTTPErrorConvertible {
            var response: HTTPResponse { .text(.conflict, "known") }
        }
        struct Unknown: Error {}
        let responder = ClosureResponder(answer: { request in
            if request.path == "/known" { throw Known() }
            throw Unknown()
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET /known HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await client.readReply().text == "known")
            try await client.send("GET /unknown HTTP/1.1\r\nHost: x\r\n\r\n")
            let reply = try await client.readReply()
            #expect(reply.status == 500)
            #expect(reply.body.readableBytes == 0)
            await client.close()
            let failures = server.log.all.filter { $0.level == .error }
            #expect(failures.count == 1)
            let access = server.log.all.filter { $0.message == "request" }
            #expect(access.map { $0.metadata["status"] } == ["409", "500"])
            #expect(access.map { $0.metadata["path"] } == ["/known", "/unknown"])
            #expect(failures.first?.metadata["request"] == access.last?.metadata["request"])
        }
    }
}
