// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import HTTPAccess
package import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// A repository on the web, over HTTP/1.1.
///
/// Whoever answers is not trusted with anything: not with the size, the pace or the content of what comes. So redirections are
/// followed, up to five, and never from `https` to `http`. What breaks off is asked for again from where it stopped.
public final class HTTPTransport: RepositoryTransport {
    /// The repository.
    public let server: RepositoryServer

    private let limits: TransferLimits
    private let isShutDown = Mutex(false)
    private let metadataClient: HTTPClient
    private let targetsClient: HTTPClient
    private let uptime: @Sendable () -> NIODeadline
    private let pause: @Sendable (Duration) async throws -> Void

    private static let maximumRedirections = 5
    /// How many bytes a request must bring to count as progress, for which attempts are counted anew.
    private static let progress: Int64 = 64 << 10

    /// Makes a client of a repository. Its connections are opened when they are needed, and closed by ``shutdown()``, or when
    /// the last use of it ends.
    /// - Parameter server: where it is, and how to reach it.
    /// - Throws: ``UpdaterError`` with code `invalid` for authorities that are no PEM certificates, and for a proxy's URL that
    ///   is none.
    public convenience init(_ server: RepositoryServer) throws {
        try self.init(server, uptime: { .now() }, pause: { try await Task.sleep(for: $0) })
    }

    /// - Parameters:
    ///   - server: where it is, and how to reach it.
    ///   - uptime: the time that slow bodies are measured with.
    ///   - pause: waits before another attempt.
    /// - Throws: ``UpdaterError`` with code `invalid`.
    package init(
        _ server: RepositoryServer,
        uptime: @escaping @Sendable () -> NIODeadline = { .now() },
        pause: @escaping @Sendable (Duration) async throws -> Void
    ) throws {
        self.server = server
        self.uptime = uptime
        self.pause = pause
        let authorities = try Self.certificates(server.authorities)
        let limits = TransferLimits(server.limits)
        self.limits = limits
        func client(for url: HTTPURL) throws -> HTTPClient {
            var configuration = HTTPClient.Configuration.plainSpoken(
                tls: .client(trusting: authorities),
                connect: limits.connect,
                read: limits.idle
            )
            configuration.redirectConfiguration = .follow(max: Self.maximumRedirections, allowCycles: false)
            configuration.proxy = try server.proxy.proxy(for: url)
            return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        }
        let metadataClient = try client(for: server.metadataURL)
        self.metadataClient = metadataClient
        // Certificates are read once for each client, which takes longer than to refresh a small repository.
        let isSame = server.metadataURL.origin == server.targetsURL.origin
        do {
            self.targetsClient = isSame ? metadataClient : try client(for: server.targetsURL)
        } catch {
            metadataClient.shutdown { _ in }
            throw error
        }
    }

    deinit {
        guard !self.isShutDown.withLock({ $0 }) else { return }
        for client in self.clients { client.shutdown { _ in } }
    }

    private var clients: [HTTPClient] {
        self.metadataClient === self.targetsClient
            ? [self.metadataClient] : [self.metadataClient, self.targetsClient]
    }

    /// Closes all connections. Only the first call does anything.
    /// - Throws: what goes wrong in that, which nobody need care about.
    public func shutdown() async throws {
        let wasShutDown = self.isShutDown.withLock { isShutDown in
            defer { isShutDown = true }
            return isShutDown
        }
        guard !wasShutDown else { return }
        for client in self.clients { try await client.shutdown() }
    }

    private static func certificates(_ authorities: [[UInt8]]) throws -> [NIOSSLCertificate] {
        do {
            return try authorities.flatMap { try NIOSSLCertificate.fromPEMBytes($0) }
        } catch {
            throw UpdaterError(
                .invalid,
                "an authority that the repository's server is to be trusted by is no PEM: \(error)"
            )
        }
    }

    /// Makes a client for the time that the body runs.
    /// - Throws: as ``init(_:)``; what the body throws.
    public static func with<Result: Sendable>(
        _ server: RepositoryServer,
        _ body: (HTTPTransport) async throws -> Result
    ) async throws -> Result {
        let transport = try HTTPTransport(server)
        do {
            let result = try await body(transport)
            try? await transport.shutdown()
            return result
        } catch {
            try? await transport.shutdown()
            throw error
        }
    }

    /// Hands out a file as it comes, asking for the rest again when a connection breaks.
    /// - Throws: ``TransportError``; what the sink throws.
    public func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: Sink
    ) async throws {
        var received = offset
        var attempt = 1
        while true {
            let before = received
            do {
                return try await self.attempt(file, &received, limit, sink)
            } catch let error as Passing {
                if received - before >= Self.progress { attempt = 1 }
                guard attempt < self.server.limits.attempts else { throw error.failure }
                // A quarter of a second, then four times as long each time.
                try await self.pause(.milliseconds(250 << (2 * min(attempt - 1, 4))))
                attempt += 1
            }
        }
    }

    /// A failure that may pass.
    private struct Passing: Error {
        let failure: TransportError
    }

    private func attempt(
        _ file: RepositoryFile,
        _ received: inout Int64,
        _ limit: Int64,
        _ sink: Sink
    ) async throws {
        let (base, client) =
            switch file {
            case .metadata: (self.server.metadataURL, self.metadataClient)
            case .target: (self.server.targetsURL, self.targetsClient)
            }
        let url = HTTPURL(base.origin, base.target + "/" + file.urlPath)
        let response = try await Self.passing(url) { try await self.send(url, from: received, client) }
        var skipped: Int64 = 0
        switch response.status {
        case .ok: skipped = received
        case .partialContent where received > 0:
            guard response.headers.first(name: "Content-Range")?.hasPrefix("bytes \(received)-") == true else {
                throw TransportError(.changed, "\(url) sent another part of the file than was asked for")
            }
        case .rangeNotSatisfiable where received > 0:
            throw TransportError(.changed, "\(url) has no more than \(received) bytes now")
        default: throw Self.failure(response.status, url)
        }
        let body = BoundedBody(limits: self.limits, uptime: self.uptime)
        let rest = limit - (response.status == .ok ? 0 : received)
        try await Self.passing(url) {
            try await body.stream(response, limit: rest) { buffer in
                var buffer = buffer
                let repeated = Int(min(skipped, Int64(buffer.readableBytes)))
                buffer.moveReaderIndex(forwardBy: repeated)
                skipped -= Int64(repeated)
                guard buffer.readableBytes > 0 else { return }
                received += Int64(buffer.readableBytes)
                do {
                    try await sink(Array(buffer.readableBytesView))
                } catch {
                    throw SinkFailure(cause: error)
                }
            }
        }
    }

    private func send(_ url: HTTPURL, from offset: Int64, _ client: HTTPClient) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: url.description)
        request.headers.add(name: "User-Agent", value: self.server.userAgent)
        if offset > 0 { request.headers.add(name: "Range", value: "bytes=\(offset)-") }
        // It ends with the head: how long the body may take is for its pace to say.
        let response = try await client.execute(request, deadline: .now() + self.limits.response)
        let isWeaker = url.origin.scheme == .https && response.history.contains { !$0.request.url.hasPrefix("https:") }
        guard !isWeaker else { throw TransportError(.unreachable, "\(url) redirects to a URL without TLS") }
        return response
    }

    /// An error of the sink, which is none of the connection's.
    private struct SinkFailure: Error {
        let cause: any Error
    }

    private static func passing<Value>(_ url: HTTPURL, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as SinkFailure {
            throw error.cause
        } catch let error as TransportError {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch let error as HTTPClientError where error == .cancelled {
            throw CancellationError()
        } catch let error as BodyRefusal {
            if case .tooLarge = error { throw TransportError(.tooLarge, "\(url) \(error)") }
            throw TransportError(.unreachable, "\(url) \(error)")
        } catch {
            let failure = ConnectionFailure(error, server: url.origin.authority, certificates: nil)
            throw Passing(failure: TransportError(.unreachable, "cannot reach \(url): \(failure)"))
        }
    }

    private static func failure(_ status: HTTPResponseStatus, _ url: HTTPURL) -> any Error {
        switch status.code {
        case 403, 404, 410: return TransportError(.notFound, "\(url) is not there (\(status.code))")
        case 408, 429, 500...599:
            return Passing(failure: TransportError(.unreachable, "\(url) answered \(status.code)"))
        default: return TransportError(.unreachable, "\(url) answered \(status.code)")
        }
    }
}
