// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
package import HTTPAccess
package import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import OCI
import Synchronization

/// Talks to one registry in the OCI distribution protocol.
///
/// What is asked for by digest is hashed and counted while it comes, and an endless or other content is refused. Redirects
/// are followed, but credentials stay with the registry. Requests that may be repeated are, after connection errors,
/// 5xx and 429. Call ``shutdown()`` at the end.
package final class RegistryClient: Sendable {
    /// The most bytes of an error's body that are read.
    static let maximumErrorSize = 64 << 10
    /// The most redirects followed for one request.
    static let maximumRedirects = 5

    /// The registry as it was named.
    package let registry: String
    let configuration: RegistryClientConfiguration
    let logger: Logger
    private let http: HTTPClients
    private let authenticator: Authenticator
    private let authority: HTTPURL.Origin
    private let scheme: Mutex<HTTPURL.Scheme?>

    /// Prepares a client; no connection is made.
    /// - Parameters:
    ///   - registry: host, or host and port; `docker.io` means Docker Hub.
    ///   - configuration: timeouts, trust, repetitions.
    ///   - credentials: asked only after the registry has asked.
    ///   - logger: gets a debug line for each request.
    /// - Throws: ``RegistryError`` with code `invalidResponse` when `registry` is no host.
    package init(
        registry: String,
        configuration: RegistryClientConfiguration = .init(),
        credentials: any CredentialSource = FixedCredential(),
        logger: Logger
    ) throws {
        let name = registry == ImageReference.defaultRegistry ? "registry-1.docker.io" : registry
        guard let authority = HTTPURL.Origin(scheme: .https, authority: name) else {
            throw RegistryError(.invalidResponse, "\"\(registry.printable())\" is not a registry's host")
        }
        self.registry = registry
        self.configuration = configuration
        self.logger = logger
        self.authority = authority
        let scheme: HTTPURL.Scheme? =
            switch configuration.scheme {
            case .https: .https
            case .http: .http
            case .automatic: authority.isLoopback ? nil : .https
            }
        self.scheme = Mutex(scheme)
        let (now, start) = (configuration.now, configuration.now())
        self.authenticator = Authenticator(
            server: registry,
            host: registry,
            source: credentials,
            scopes: .ofRequest,
            now: { start.duration(to: now()) }
        )
        var http = HTTPClient.Configuration.plainSpoken(
            tls: .client(trusting: configuration.additionalTrustRoots),
            connect: configuration.connectTimeout,
            read: configuration.readTimeout
        )
        http.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = max(1, configuration.maximumConnections)
        self.http = HTTPClients(http, proxies: configuration.proxies)
    }

    /// Closes all connections; the client cannot be used afterwards.
    package func shutdown() async throws {
        try await self.http.shutdown()
    }

    /// Checks that there is a registry that takes the credentials.
    /// - Throws: ``RegistryError``.
    package func ping() async throws {
        let response = try await self.send(RegistryRequest(.GET, "/v2/"))
        guard response.status == .ok else { throw try await self.error(response, "checking the registry") }
    }
}

/// A request before it has an origin and credentials.
struct RegistryRequest: Sendable {
    enum Body: Sendable {
        case none
        case bytes(ByteBuffer)
        /// A part of a file from a position on; the closure is told of each piece.
        case file(FileRange, from: Int64, progress: @Sendable (Int) -> Void)
        /// A blob of another registry from a position on.
        case transfer(BlobTransfer, from: Int64)
    }

    enum Target: Sendable {
        /// Path and query at the registry.
        case path(String)
        /// Where the registry said.
        case url(HTTPURL)
    }

    var method: HTTPMethod
    var target: Target
    var headers = HTTPHeaders()
    var body = Body.none
    var scopes: [String]
    /// Whether it may be sent again when nobody knows if it was received.
    var isRepeatable: Bool

    init(
        _ method: HTTPMethod,
        _ path: String,
        scopes: [String] = [],
        headers: HTTPHeaders = [:],
        body: Body = .none,
        isRepeatable: Bool? = nil
    ) {
        self.init(method, .path(path), scopes: scopes, headers: headers, body: body, isRepeatable: isRepeatable)
    }

    init(
        _ method: HTTPMethod,
        _ target: Target,
        scopes: [String] = [],
        headers: HTTPHeaders = [:],
        body: Body = .none,
        isRepeatable: Bool? = nil
    ) {
        self.method = method
        self.target = target
        self.scopes = scopes
        self.headers = headers
        self.body = body
        self.isRepeatable = isRepeatable ?? (method == .GET || method == .HEAD)
    }
}

extension RegistryClient {
    /// Sends a request, again if it must and may.
    func send(_ request: RegistryRequest) async throws -> RegistryResponse {
        var attempt = 1
        while true {
            let isLast = attempt >= self.configuration.maximumAttempts || !request.isRepeatable
            do {
                let response = try await self.authenticated(request)
                guard !isLast, Self.isTemporary(response.status) else { return response }
                self.logger.debug("registry asks to try again", metadata: ["status": "\(response.status.code)"])
                try await self.pause(attempt, atLeast: Self.retryAfter(response))
            } catch let error as RegistryError where error.code == .unreachable && !isLast {
                self.logger.debug("registry cannot be reached, trying again", metadata: ["error": "\(error)"])
                try await self.pause(attempt)
            }
            attempt += 1
        }
    }

    /// Waits before another attempt, longer each time.
    func pause(_ attempt: Int, atLeast least: Duration? = nil) async throws {
        let doubled = self.configuration.backoff * (1 << min(attempt - 1, 10))
        // Some spread keeps clients that failed together from coming back together.
        let spread = doubled * Double.random(in: 0.75...1.25)
        try await self.configuration.sleep(min(max(spread, least ?? .zero), self.configuration.maximumBackoff))
    }

    /// The error that a reply stands for. Reads the body, within a bound.
    func error(_ response: RegistryResponse, _ action: String) async throws -> RegistryError {
        let body = (try? await response.collect(upTo: Self.maximumErrorSize)) ?? ByteBuffer()
        let detail = RegistryErrorBody.parse(body)
        let message =
            "\(self.registry): \(action): status \(response.status.code)"
            + (detail.map { ", \($0.code): \($0.message)" } ?? "")
        let code: RegistryError.Code =
            switch response.status.code {
            case 401: .unauthorized
            case 403: .denied
            case 404: .notFound
            default: .rejected(detail?.code ?? String(response.status.code))
            }
        return RegistryError(code, message, retryAfter: Self.retryAfter(response))
    }

    /// How long a registry asks to wait.
    private static func retryAfter(_ response: RegistryResponse) -> Duration? {
        response.headers.first(name: "Retry-After").flatMap { Int($0) }.map { .seconds(min(max($0, 0), 3600)) }
    }

    static func isTemporary(_ status: HTTPResponseStatus) -> Bool {
        [408, 429, 500, 502, 503, 504].contains(status.code)
    }

    /// One request with credentials, and again with others after a 401.
    private func authenticated(_ request: RegistryRequest) async throws -> RegistryResponse {
        let origin = try await self.origin()
        // That a registry on this machine is spoken to in plain does not make plain what leaves the machine.
        let plainRealm: Authenticator.PlainRealm =
            origin.scheme == .https ? .refused : origin.isLoopback ? .withoutCredentials : .allowed
        let first = try await Self.authenticating {
            try await self.authenticator.authorization(
                scopes: request.scopes,
                plainRealm: plainRealm,
                send: { try await self.askService($0) }
            )
        }
        let response = try await self.following(request, origin, first)
        guard response.status == .unauthorized, response.url.origin == origin else { return response }
        let second = try await Self.authenticating {
            try await self.authenticator.authorization(
                after: response.headers["WWW-Authenticate"],
                rejected: first,
                scopes: request.scopes,
                plainRealm: plainRealm,
                send: { try await self.askService($0) }
            )
        }
        guard let second else { return response }
        return try await self.following(request, origin, second)
    }

    private static func authenticating<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as HTTPAccessError {
            throw RegistryError(error)
        }
    }

    private func askService(_ request: TokenRequest) async throws -> TokenReply {
        let body: HTTPClientRequest.Body? = request.form.map { .bytes(ByteBuffer(string: $0)) }
        var attempt = 1
        while true {
            do {
                let response = try await self.once(
                    request.method,
                    request.url,
                    request.headers,
                    body,
                    longest: .seconds(120)
                )
                guard Self.isTemporary(response.status), attempt < self.configuration.maximumAttempts else {
                    return TokenReply(status: response.status, body: try await response.collect(upTo: 1 << 20))
                }
            } catch let error as RegistryError where error.code == .unreachable {
                guard attempt < self.configuration.maximumAttempts else { throw error }
            }
            try await self.pause(attempt)
            attempt += 1
        }
    }

    /// One request, and where its redirects lead.
    private func following(
        _ request: RegistryRequest,
        _ origin: HTTPURL.Origin,
        _ authorization: String?
    ) async throws -> RegistryResponse {
        var url =
            switch request.target {
            case .path(let path): HTTPURL(origin, path)
            case .url(let url): self.upgraded(url, origin)
            }
        var redirects = 0
        while true {
            var headers = request.headers
            if let authorization, url.origin == origin {
                headers.replaceOrAdd(name: "Authorization", value: authorization)
            }
            let response = try await self.once(request.method, url, headers, Self.body(request.body))
            guard [301, 302, 303, 307, 308].contains(response.status.code),
                request.method == .GET || request.method == .HEAD || [307, 308].contains(response.status.code),
                let location = response.headers.first(name: "Location")
            else { return response }
            redirects += 1
            guard redirects <= Self.maximumRedirects else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.registry) redirects more than \(Self.maximumRedirects) times"
                )
            }
            let next = try self.upgraded(url.resolving(location), origin)
            guard next.origin.scheme == .https || url.origin.scheme == .http else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.registry) redirects from HTTPS to plain \(next.origin.authority)"
                )
            }
            url = next
        }
    }

    /// Registries behind a proxy that hides TLS from them name themselves with `http`.
    private func upgraded(_ url: HTTPURL, _ origin: HTTPURL.Origin) -> HTTPURL {
        guard url.origin.scheme == .http, origin.scheme == .https, url.origin.host == origin.host,
            let secure = HTTPURL.Origin(scheme: .https, authority: url.origin.authority),
            secure.authority == origin.authority || url.origin.authority == origin.host
        else { return url }
        return HTTPURL(origin, url.target)
    }

    private static func body(_ body: RegistryRequest.Body) throws -> HTTPClientRequest.Body? {
        switch body {
        case .none:
            return nil
        case .bytes(let buffer):
            return .bytes(buffer)
        case .file(let range, let position, let progress):
            let stream = try FileRangeBody(range, from: position, progress: progress)
            return .stream(stream, length: .known(range.length - position))
        case .transfer(let transfer, let position):
            return .stream(transfer.body(from: position), length: .known(transfer.descriptor.size - position))
        }
    }

    /// One exchange on one connection.
    private func once(
        _ method: HTTPMethod,
        _ url: HTTPURL,
        _ headers: HTTPHeaders,
        _ body: HTTPClientRequest.Body?,
        longest: TimeAmount? = nil
    ) async throws -> RegistryResponse {
        var request = HTTPClientRequest(url: url.description)
        request.method = method
        request.headers = headers
        request.headers.replaceOrAdd(name: "User-Agent", value: self.configuration.userAgent)
        if let body {
            request.body = body
        } else if method == .PUT || method == .POST || method == .PATCH {
            request.headers.replaceOrAdd(name: "Content-Length", value: "0")
        }
        let final = request
        // What is sent may be large, and what was sent may take a registry long to store.
        let isReading = method == .GET || method == .HEAD
        let deadline = longest ?? (isReading ? self.configuration.answerTimeout : .hours(24))
        let response: HTTPClientResponse
        do {
            response = try await self.http.execute(final, to: url, deadline: .now() + deadline)
        } catch {
            throw Self.transportError(url, error)
        }
        self.logger.trace(
            "registry request",
            metadata: ["method": "\(method)", "url": "\(url)", "status": "\(response.status.code)"]
        )
        return RegistryResponse(response, from: url, self.configuration)
    }

    /// What went wrong on a connection as an error of ours; errors of ours stay as they are.
    static func transportError(_ url: HTTPURL, _ error: any Error) -> any Error {
        switch error {
        case is RegistryError, is OCIError, is CancellationError:
            error
        case let error as HTTPClientError where error == .cancelled:
            CancellationError()
        default:
            RegistryError(
                unreachable: url.root,
                ConnectionFailure(error, server: url.origin.authority, certificates: "~/.docker/certs.d")
            )
        }
    }

    /// Where the registry is. On this machine, whether it speaks TLS is found out by trying.
    func origin() async throws -> HTTPURL.Origin {
        var origin = self.authority
        if let scheme = self.scheme.withLock({ $0 }) {
            return HTTPURL.Origin(scheme: scheme, authority: origin.authority) ?? origin
        }
        do {
            _ = try await self.once(
                .GET,
                HTTPURL(origin, "/v2/"),
                [:],
                nil,
                longest: self.configuration.connectTimeout
            )
        } catch let error as RegistryError
            where error.code == .unreachable && !error.isCertificateRefused
        {
            origin.scheme = .http
            _ = try await self.once(
                .GET,
                HTTPURL(origin, "/v2/"),
                [:],
                nil,
                longest: self.configuration.connectTimeout
            )
            self.logger.debug("registry on this machine speaks plain HTTP", metadata: ["registry": "\(self.registry)"])
        }
        self.scheme.withLock { $0 = origin.scheme }
        return origin
    }
}
