// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
package import HTTPAccess
package import NIOCore
import NIOHTTP1
import NIOSSL

/// Where a repository is on the web, and how to reach it.
package struct RepositoryServer: Sendable {
    /// The URL that the names of metadata files are put after, without a slash at its end.
    package let metadataURL: HTTPURL
    /// The URL that the paths of targets are put after, without a slash at its end.
    package let targetsURL: HTTPURL
    /// PEM files of authorities that are trusted besides the system's.
    package var authorityFiles: [String] = []
    /// When to give up.
    package var limits = TransferLimits()
    /// How often a request is made that breaks off before it has brought anything new.
    package var attempts = 4
    /// What the client calls itself.
    package var userAgent = "hallmark"
    /// Where proxies are named.
    package var environment: [String: String] = ProcessInfo.processInfo.environment

    /// - Parameters:
    ///   - metadata: an `http` or `https` URL. It is used as it stands, with whatever percent-encoding it has.
    ///   - targets: that of the targets; `targets` beside or below the metadata's is usual.
    /// - Throws: ``UpdaterError`` with code `invalid`.
    package init(metadata: String, targets: String) throws {
        self.metadataURL = try Self.base(metadata)
        self.targetsURL = try Self.base(targets)
    }

    private static func base(_ text: String) throws -> HTTPURL {
        guard var url = HTTPURL(text), !url.target.contains("?") else {
            throw UpdaterError(
                .invalid,
                "a repository must be at an http or https URL without a query, not \(text.printable())"
            )
        }
        while url.target.hasSuffix("/") { url.target.removeLast() }
        return url
    }
}

/// A repository on the web. Whoever answers is not trusted with anything: not with the size, the pace or the content of what
/// comes, so redirections are followed.
package final class HTTPTransport: RepositoryTransport {
    /// The repository.
    package let server: RepositoryServer

    private let metadataClient: HTTPClient
    private let targetsClient: HTTPClient
    private let uptime: @Sendable () -> NIODeadline
    private let pause: @Sendable (Duration) async throws -> Void

    private static let maximumRedirections = 5
    /// How many bytes a request must bring to count as progress, for which attempts are counted anew.
    private static let progress: Int64 = 64 << 10

    /// Opens a client. ``shutdown()`` must be called when it is no longer needed.
    /// - Parameters:
    ///   - server: where it is, and how to reach it.
    ///   - uptime: the time that slow bodies are measured with.
    ///   - pause: waits before another attempt.
    /// - Throws: ``UpdaterError`` with code `storage` for certificates that cannot be read.
    package init(
        _ server: RepositoryServer,
        uptime: @escaping @Sendable () -> NIODeadline = { .now() },
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) throws {
        self.server = server
        self.uptime = uptime
        self.pause = pause
        let authorities: [NIOSSLCertificate]
        do {
            authorities = try server.authorityFiles.flatMap { try NIOSSLCertificate.fromPEMFile($0) }
        } catch {
            throw UpdaterError(
                .storage,
                "a certificate for the repository cannot be read (\(server.authorityFiles.joined(separator: ", "))): \(error)"
            )
        }
        let proxies = ProxyEnvironment(server.environment)
        func client(for url: HTTPURL) -> HTTPClient {
            var configuration = HTTPClient.Configuration.plainSpoken(
                tls: .client(trusting: authorities),
                connect: server.limits.connect,
                read: server.limits.idle
            )
            configuration.redirectConfiguration = .follow(max: Self.maximumRedirections, allowCycles: false)
            configuration.proxy = proxies.proxy(for: url)
            return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        }
        self.metadataClient = client(for: server.metadataURL)
        self.targetsClient = client(for: server.targetsURL)
    }

    /// Closes all connections.
    package func shutdown() async throws {
        try await self.metadataClient.shutdown()
        try await self.targetsClient.shutdown()
    }

    /// Opens a client for the time that the body runs.
    package static func with<Result: Sendable>(
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

    package func stream(
        _ file: RepositoryFile,
        from offset: Int64,
        limit: Int64,
        _ sink: (ByteBuffer) async throws -> Void
    ) async throws {
        var received = offset
        var attempt = 1
        while true {
            let before = received
            do {
                return try await self.attempt(file, &received, limit, sink)
            } catch let error as Passing {
                if received - before >= Self.progress { attempt = 1 }
                guard attempt < self.server.attempts else { throw error.failure }
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
        _ sink: (ByteBuffer) async throws -> Void
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
        let body = BoundedBody(limits: self.server.limits, uptime: self.uptime)
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
                    try await sink(buffer)
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
        let response = try await client.execute(request, deadline: .now() + self.server.limits.response)
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
