// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import HTTPService

@Suite("Limits of one client")
struct ClientLimitTests {
    private final class Clock: Sendable {
        private let seconds = Mutex(1000.0)
        var now: Double { self.seconds.withLock { $0 } }
        func advance(_ seconds: Double) { self.seconds.withLock { $0 += seconds } }
    }

    private static func limiter(
        _ clock: Clock = Clock(),
        _ change: (inout HTTPClientLimits) -> Void
    ) -> HTTPClientLimiter {
        var limits = HTTPClientLimits()
        change(&limits)
        return HTTPClientLimiter(limits) { clock.now }
    }

    private static func request(
        _ method: HTTPMethod = .GET,
        from peer: String = "192.0.2.1",
        forwarded: String? = nil
    ) throws -> HTTPRequest {
        var headers: HTTPHeaders = method == .GET ? [:] : ["Content-Length": "3"]
        if let forwarded { headers.add(name: "X-Forwarded-For", value: forwarded) }
        return HTTPRequest(
            method: method,
            path: "/",
            headers: headers,
            remoteAddress: try SocketAddress(ipAddress: peer, port: 40_000)
        )
    }

    private static func retryAfter(_ admission: HTTPClientLimiter.Admission) -> Int? {
        if case .refused(let excess) = admission { excess.retryAfter } else { nil }
    }

    @Test("A burst is let through, then as many as the rate allows; each client has its own, and reads have theirs")
    func rate() throws {
        let clock = Clock()
        let limiter = Self.limiter(clock) {
            $0.writes = .init(perSecond: 0.5, burst: 3)
            $0.reads = .init(perSecond: 1, burst: 1)
        }
        for _ in 0..<3 { #expect(Self.retryAfter(limiter.admit(try Self.request(.POST))) == nil) }
        #expect(Self.retryAfter(limiter.admit(try Self.request(.POST))) == 2)
        #expect(Self.retryAfter(limiter.admit(try Self.request(.POST, from: "192.0.2.2"))) == nil)
        #expect(Self.retryAfter(limiter.admit(try Self.request())) == nil)
        #expect(Self.retryAfter(limiter.admit(try Self.request())) == 1)
        clock.advance(1.5)
        #expect(Self.retryAfter(limiter.admit(try Self.request(.POST))) == 1)
        clock.advance(0.5)
        #expect(Self.retryAfter(limiter.admit(try Self.request(.POST))) == nil)
        clock.advance(1_000_000)
        for _ in 0..<3 { #expect(Self.retryAfter(limiter.admit(try Self.request(.POST))) == nil) }
        #expect(Self.retryAfter(limiter.admit(try Self.request(.POST))) != nil)
    }

    @Test("An IPv6 client is its /64 network")
    func version6() throws {
        let limiter = Self.limiter { $0.reads = .init(perSecond: 1, burst: 1) }
        #expect(Self.retryAfter(limiter.admit(try Self.request(from: "2001:db8:1:2::1"))) == nil)
        #expect(Self.retryAfter(limiter.admit(try Self.request(from: "2001:db8:1:2:ffff::9"))) != nil)
        #expect(Self.retryAfter(limiter.admit(try Self.request(from: "2001:db8:1:3::1"))) == nil)
    }

    @Test(
        "The forwarded address counts from trusted proxies only, and only what they wrote",
        arguments: [
            ("10.1.2.3", "198.51.100.7", "198.51.100.7", "198.51.100.7"),
            ("10.1.2.3", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7", "198.51.100.7"),
            ("10.1.2.3", "[2001:db8::5]:443", "2001:db8::5", "2001:db8:0:0::"),
            ("10.1.2.3", "198.51.100.7:1234", "198.51.100.7", "198.51.100.7"),
            ("10.1.2.3", "198.51.100.7, unknown", "10.1.2.3", "10.1.2.3"),
            ("fd00::1", "198.51.100.7", "198.51.100.7", "198.51.100.7"),
            ("192.0.2.1", "198.51.100.7", "192.0.2.1", "192.0.2.1"),
        ]
    )
    func proxies(peer: String, forwarded: String, client: String, text: String) throws {
        let proxies = TrustedProxies(["10.0.0.0/8", "fd00::/8"].compactMap(IPNetwork.init))
        let expected = IPAddress(try SocketAddress(ipAddress: client, port: 1))
        let request = try Self.request(from: peer, forwarded: forwarded)
        #expect(proxies.client(of: request) == expected)
        #expect(proxies.clientText(of: request) == text)
    }

    @Test(
        "Networks hold what their prefix says",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "8.8.8.8", true),
            ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("::/0", "10.0.0.1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/65", "2001:db8::8000:0:0:1", false),
            ("2001:db8::/64", "2001:db8::8000:0:0:1", true), ("0.0.0.0/0", "2001:db8::1", false),
        ]
    )
    func networks(network: String, address: String, isInside: Bool) throws {
        let network = try #require(IPNetwork(network))
        let address = try #require(IPAddress(address))
        #expect(network.contains(address) == isInside)
    }

    @Test(
        "What is no network is refused",
        arguments: ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/"]
    )
    func noNetwork(text: String) {
        #expect(IPNetwork(text) == nil)
    }

    @Test("However many clients come, no more than so many are remembered")
    func bounded() throws {
        let limiter = Self.limiter {
            $0.reads = .init(perSecond: 1, burst: 1)
            $0.maximumClients = 100
        }
        for number in 0..<5_000 {
            let request = try Self.request(from: "10.0.\(number / 250).\(number % 250)")
            #expect(Self.retryAfter(limiter.admit(request)) == nil)
            #expect(limiter.clientCount <= 101)
        }
        #expect(Self.retryAfter(limiter.admit(try Self.request(from: "10.0.19.249"))) != nil)
    }

    @Test("A client with as many uploads as it may have is told to come again, until one has ended")
    func uploads() async throws {
        let limiter = Self.limiter { $0.uploads = 1 }
        let metrics = Metrics()
        let (arrived, release) = (Signal(), Signal())
        let responder = ClosureResponder(answer: { request in
            arrived.send()
            await release.wait()
            _ = try await request.body.collect(upTo: 100)
            return HTTPResponse(status: .created)
        })
        let configuration = HTTPServerConfiguration.test {
            $0.clientLimiter = limiter
            $0.metrics = HTTPServerMetrics(metrics, service: "x")
        }
        try await withServer(responder, configuration) { server in
            let first = try await RawClient.connect(to: server.address)
            try await first.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            await arrived.wait()
            let second = try await RawClient.connect(to: server.address)
            try await second.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            let refusal = try await second.readReply()
            #expect(refusal.status == 429)
            #expect(refusal.headers["retry-after"] == "1")
            release.send()
            #expect(try await first.readReply().status == 201)
            try await second.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            #expect(try await second.readReply().status == 201)
        }
        let text = String(buffer: metrics.render())
        #expect(text.contains(#"hallmark_http_refused_total{service="x",limit="uploads"} 1"#))
        #expect(text.contains(#"hallmark_http_requests_total{service="x",operation="other",code="201"} 2"#))
    }
}
