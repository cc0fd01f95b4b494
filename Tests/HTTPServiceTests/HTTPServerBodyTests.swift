// SPDX-License-Identifier: Apache-2.0

import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@Suite("Request bodies")
struct HTTPServerBodyTests {
    @Test("A chunked body streams to the responder and back")
    func echo() async throws {
        let responder = ClosureResponder(answer: { request in
            let body = request.body
            return HTTPResponse(
                status: .ok,
                body: .stream(length: nil) { writer in
                    for try await bytes in body { try await writer.write(bytes) }
                }
            )
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            let piece = String(repeating: "0123456789abcdef", count: 4_096)
            try await client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            let channel = client.channel
            async let sent: Void = {
                for _ in 0..<64 { try await channel.writeAndFlush(ByteBuffer(string: "10000\r\n\(piece)\r\n")) }
                try await channel.writeAndFlush(ByteBuffer(string: "0\r\n\r\n"))
            }()
            let reply = try await client.readReply()
            try await sent
            #expect(reply.status == 200)
            #expect(reply.text == String(repeating: piece, count: 64))
            await client.close()
        }
    }

    @Test("A responder that does not read holds its peer back: memory stays bounded")
    func backpressure() async throws {
        let written = Signal()
        let largest = Mutex(0)
        let total = 64 << 20
        let responder = ClosureResponder(answer: { request in
            // The peer is stuck by now: it cannot have written all before anything is read.
            await written.wait()
            var count = 0
            for try await bytes in request.body {
                count += bytes.readableBytes
                largest.withLock { $0 = max($0, bytes.readableBytes) }
            }
            return HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "\(count)")))
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: \(total)\r\n\r\n")
            let piece = ByteBuffer(repeating: 7, count: 1 << 20)
            let all = client.channel.eventLoop.makePromise(of: Void.self)
            for number in 1...(total >> 20) {
                client.channel.writeAndFlush(piece, promise: number == total >> 20 ? all : nil)
            }
            // The kernel's buffers are full when nothing has moved between two looks.
            var left = -1
            while true {
                let now = try await client.channel.getOption(.bufferedWritableBytes).get()
                if now == left, now > 0, now < total { break }
                left = now
                try await client.channel.eventLoop.scheduleTask(in: .milliseconds(100)) {}.futureResult.get()
            }
            #expect(left > 16 << 20)
            written.send()
            #expect(try await client.readReply().text == "\(total)")
            try await all.futureResult.get()
            await client.close()
        }
        // Read in large pieces, each within one high-water mark and what one readiness event adds.
        #expect(largest.withLock { $0 } <= (512 + 4 * 128) * 1024)
        #expect(largest.withLock { $0 } >= 64 * 1024)
    }

    @Test("100 Continue is sent when the responder first reads, and not before")
    func continueOnRead() async throws {
        let mayRead = Signal()
        let responder = ClosureResponder(answer: { request in
            await mayRead.wait()
            return HTTPResponse(status: .ok, body: .bytes(try await request.body.collect(upTo: 100)))
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            mayRead.send()
            #expect(try await client.readLine() == "HTTP/1.1 100 Continue")
            #expect(try await client.readLine() == "")
            try await client.send("body")
            let reply = try await client.readReply()
            #expect(reply.status == 200)
            #expect(reply.text == "body")
            await client.close()
        }
    }

    @Test("A refusal takes the place of 100 Continue and closes")
    func refusalInsteadOfContinue() async throws {
        let responder = ClosureResponder(answer: { _ in HTTPResponse(status: .unauthorized) })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n")
            let reply = await client.readToEnd()
            #expect(reply.hasPrefix("HTTP/1.1 401 Unauthorized\r\n"))
            #expect(reply.contains("Connection: close"))
            #expect(!reply.contains("100 Continue"))
        }
    }

    @Test("After an early reply a small rest of the body is dropped and the connection goes on")
    func smallRest() async throws {
        let responder = ClosureResponder(answer: { _ in HTTPResponse(status: .forbidden) })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            for _ in 0..<2 {
                try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
                let reply = try await client.readReply()
                #expect(reply.status == 403)
                #expect(reply.headers["connection"] == nil)
                try await client.send(String(repeating: "x", count: 1_000))
            }
            await client.close()
        }
    }

    @Test("After an early reply a large rest of the body is not taken", arguments: [true, false])
    func largeRest(declared: Bool) async throws {
        let responder = ClosureResponder(immediate: { _ in HTTPResponse(status: .forbidden) })
        try await withServer(responder, .test { $0.maximumDrainedBytes = 64 * 1024 }) { server in
            let client = try await RawClient.connect(to: server.address, halfClosure: true)
            let framing = declared ? "Content-Length: 100000000" : "Transfer-Encoding: chunked"
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\n\(framing)\r\n\r\n")
            let reply = try await client.readReply()
            #expect(reply.status == 403)
            #expect(reply.headers["connection"] == (declared ? "close" : nil))
            await #expect(throws: (any Error).self) {
                if !declared { try await client.send("5f5e100\r\n") }
                for _ in 0..<1_000 { try await client.send(ByteBuffer(repeating: 1, count: 100_000)) }
            }
            await client.close()
        }
    }

    @Test("A body beyond the responder's limit is answered with 413")
    func tooLarge() async throws {
        let responder = ClosureResponder(answer: { request in
            HTTPResponse(status: .ok, body: .bytes(try await request.body.collect(upTo: 10)))
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n12345678901")
            #expect(try await client.readReply().status == 413)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1234567890")
            #expect(try await client.readReply().text == "1234567890")
            await client.close()
        }
    }

    @Test("A body slower than the floor is cut with 408")
    func slowBody() async throws {
        let responder = ClosureResponder(answer: { request in
            HTTPResponse(status: .ok, body: .bytes(try await request.body.collect(upTo: 100)))
        })
        try await withServer(
            responder,
            .test {
                $0.bodyRateWindow = .milliseconds(40)
                $0.minimumBodyRate = 1_000
            }
        ) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx")
            let reply = await client.readToEnd()
            #expect(reply.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test("A body that the server itself does not read is never too slow")
    func slowResponder() async throws {
        let go = Signal()
        let responder = ClosureResponder(answer: { request in
            await go.wait()
            return HTTPResponse(status: .ok, body: .bytes(try await request.body.collect(upTo: 100_000)))
        })
        try await withServer(
            responder,
            .test {
                $0.bodyRateWindow = .milliseconds(20)
                $0.minimumBodyRate = 1_000
                $0.bodyHighWaterMark = 1_000
                $0.maximumReadSize = 1_000
            }
        ) { server in
            let client = try await RawClient.connect(to: server.address)
            let body = String(repeating: "x", count: 60_000)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + body)
            try await client.channel.eventLoop.scheduleTask(in: .milliseconds(120)) {}.futureResult.get()
            go.send()
            #expect(try await client.readReply().text == body)
            await client.close()
        }
    }

    @Test("A peer that vanishes in mid-body ends the responder's reading and cancels its task")
    func vanishing() async throws {
        let reading = Signal()
        let outcome = Mutex<[String]>([])
        let responder = ClosureResponder(answer: { request in
            do {
                for try await _ in request.body { reading.send() }
                outcome.withLock { $0.append("complete") }
            } catch is HTTPConnectionClosedError {
                outcome.withLock { $0.append(Task.isCancelled ? "closed and cancelled" : "closed") }
            }
            return HTTPResponse(status: .ok)
        })
        let log = try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx")
            await reading.wait()
            await client.close()
            return server.log
        }
        #expect(outcome.withLock { $0 } == ["closed and cancelled"])
        #expect(!log.all.contains { $0.level == .error })
    }

    @Test("A peer that vanishes cancels a responder that waits for something else")
    func vanishingWithoutReading() async throws {
        let waiting = Signal()
        let never = Signal()
        let cancelled = Mutex(false)
        let responder = ClosureResponder(answer: { _ in
            waiting.send()
            await never.wait()
            cancelled.withLock { $0 = Task.isCancelled }
            return HTTPResponse(status: .ok)
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await waiting.wait()
            await client.close()
        }
        #expect(cancelled.withLock { $0 })
    }

    @Test("A broken chunk fails the body with 400")
    func brokenChunk() async throws {
        let responder = ClosureResponder(answer: { request in
            HTTPResponse(status: .ok, body: .bytes(try await request.body.collect(upTo: 100)))
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            #expect(await client.readToEnd().hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test("A responder may read the body from any thread")
    func otherThread() async throws {
        actor Counter {
            var bytes = 0
            func count(_ body: HTTPRequestBody) async throws -> Int {
                for try await piece in body { self.bytes += piece.readableBytes }
                return self.bytes
            }
        }
        let responder = ClosureResponder(answer: { request in
            let body = request.body
            let count = try await Counter().count(body)
            return HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: "\(count)")))
        })
        try await withServer(responder) { server in
            let client = try await RawClient.connect(to: server.address)
            try await client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
            try await client.send(ByteBuffer(repeating: 1, count: 3_000_000))
            #expect(try await client.readReply().text == "3000000")
            await client.close()
        }
    }
}
