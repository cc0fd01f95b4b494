// SPDX-License-Identifier: Apache-2.0

import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@Suite("Stopping the HTTP server")
struct HTTPServerShutdownTests {
    @Test("A request in flight is answered, idle connections are closed at once, none is accepted")
    func graceful() async throws {
        let started = Signal()
        let finish = Signal()
        let responder = ClosureResponder(answer: { request in
            if request.path == "/slow" {
                started.send()
                await finish.wait()
            }
            return HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "done")))
        })
        var configuration = HTTPServerConfiguration(port: 0, threadCount: 2)
        configuration.shutdownGrace = .seconds(60)
        let server = HTTPServer(configuration: configuration, responder: responder, logger: Logger(label: "test"))
        let address = try await server.bind()
        async let running: Void = server.run()

        let idle = try await RawClient.connect(to: address)
        try await idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(try await idle.readReply().text == "done")
        let untouched = try await RawClient.connect(to: address)
        let busy = try await RawClient.connect(to: address)
        try await busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await started.wait()

        server.shutDown()
        #expect(await idle.readToEnd() == "")
        #expect(await untouched.readToEnd() == "")
        await #expect(throws: (any Error).self) { try await RawClient.connect(to: address) }
        finish.send()
        let reply = try await busy.readReply()
        #expect(reply.text == "done")
        #expect(reply.headers["connection"] == "close")
        #expect(await busy.readToEnd() == "")
        try await running
        #expect(server.openConnectionCount == 0)
    }

    @Test("What does not end within the grace time is cancelled")
    func graceEnds() async throws {
        let started = Signal()
        let never = Signal()
        let wasCancelled = Mutex(false)
        let responder = ClosureResponder(answer: { _ in
            started.send()
            await never.wait()
            wasCancelled.withLock { $0 = Task.isCancelled }
            return HTTPResponse(status: .ok)
        })
        try await withServer(responder, .test { $0.shutdownGrace = .milliseconds(20) }) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await started.wait()
            server.server.shutDown()
            #expect(await client.readToEnd() == "")
        }
        #expect(wasCancelled.withLock { $0 })
    }

    @Test("Cancelling the task that runs the server ends everything at once")
    func cancellation() async throws {
        let started = Signal()
        let never = Signal()
        let responder = ClosureResponder(answer: { _ in
            started.send()
            await never.wait()
            return HTTPResponse(status: .ok)
        })
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(port: 0, threadCount: 1),
            responder: responder,
            logger: Logger(label: "test")
        )
        let address = try await server.bind()
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            let client = try await RawClient.connect(to: address)
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await started.wait()
            group.cancelAll()
            _ = await client.readToEnd()
            try await group.waitForAll()
        }
    }

    @Test("A connection made before the server runs is served once it does")
    func boundBeforeServing() async throws {
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(port: 0, threadCount: 1),
            responder: ClosureResponder(immediate: { _ in HTTPResponse(status: .ok) }),
            logger: Logger(label: "test")
        )
        let address = try await server.bind()
        #expect((address.port ?? 0) > 0)
        let client = try await RawClient.connect(to: address)
        try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async let running: Void = server.run()
        #expect(try await client.readReply().status == 200)
        server.shutDown()
        try await running
        await #expect(throws: HTTPServerError.self) { try await server.run() }
    }

    @Test("Requests of one connection run on one thread, the connection's")
    func oneThread() async throws {
        let loops = Mutex<Set<ObjectIdentifier>>([])
        let responder = ClosureResponder(answer: { request in
            for try await _ in request.body {}
            async let child: Void = Task.yield()
            await child
            if let loop = MultiThreadedEventLoopGroup.currentEventLoop {
                loops.withLock { _ = $0.insert(ObjectIdentifier(loop)) }
                return HTTPResponse(status: .ok)
            }
            return HTTPResponse(status: .internalServerError)
        })
        try await withServer(responder, .test { $0.threadCount = 2 }) { server in
            let client = try await RawClient.connect(to: server.address)
            for _ in 0..<4 {
                try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
                #expect(try await client.readReply().status == 200)
            }
            await client.close()
        }
        #expect(loops.withLock { $0.count } == 1)
    }
}
