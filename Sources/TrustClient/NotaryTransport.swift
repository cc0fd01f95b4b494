// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
package import FoundationEssentials
package import HTTPAccess
package import NIOCore
import NIOHTTP1
import NIOSSL
package import NotaryAPI
package import TUF

/// How to reach a trust server.
package struct NotaryServer: Sendable {
    /// What to make of the server's certificate.
    package enum Verification: Sendable, Hashable {
        /// It must be issued for the server's name by a trusted authority.
        case full
        /// None at all: as Docker does when the image's registry is on loopback. For nothing else.
        case skipped
    }

    /// The server's URL, without a slash at its end.
    package let url: String
    /// The host that credentials are for, with its port where one is given.
    let host: String
    /// PEM files of authorities that are trusted besides the system's.
    package var authorityFiles: [String] = []
    /// A PEM file with the client's certificate chain, for mutual TLS.
    package var certificateFile: String?
    /// A PEM file with the key of that certificate.
    package var privateKeyFile: String?
    /// What to make of the server's certificate.
    package var verification: Verification = .full
    /// Which proxy is asked. None is asked for what is on this machine.
    package var proxies = ProxyEnvironment([:])
    /// When to give up.
    package var limits = TransferLimits()
    /// What the client calls itself.
    package var userAgent = "hallmark"

    /// - Parameter url: an `https` URL; `http` for tests and servers behind a TLS front on the same machine.
    /// - Throws: ``TrustClientError`` with code `invalid`.
    package init(url: String) throws {
        var trimmed = url
        while trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let parsed = URL(string: trimmed), let scheme = parsed.scheme?.lowercased(),
            scheme == "https" || scheme == "http", let host = parsed.host, !host.isEmpty, parsed.query == nil,
            parsed.fragment == nil, parsed.user == nil
        else {
            throw TrustClientError(.invalid, "valid https URL required for trust server, got \(url.prefix(300))")
        }
        self.url = trimmed
        self.host = parsed.port.map { "\(host):\($0)" } ?? host
    }

    func tlsConfiguration() throws -> TLSConfiguration {
        var tls: TLSConfiguration
        do {
            tls = .client(trusting: try self.authorityFiles.flatMap { try NIOSSLCertificate.fromPEMFile($0) })
            if let file = self.certificateFile {
                tls.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map { .certificate($0) }
            }
            if let file = self.privateKeyFile {
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
            }
        } catch {
            let files = self.authorityFiles + [self.certificateFile, self.privateKeyFile].compactMap { $0 }
            throw TrustClientError(
                .storage,
                "a certificate or key for the trust server cannot be read (\(files.joined(separator: ", "))): \(error)"
            )
        }
        if self.verification == .skipped { tls.certificateVerification = .none }
        return tls
    }
}

/// The Notary v1 HTTP API of one server.
package final class NotaryTransport: TrustTransport {
    /// The server.
    package let server: NotaryServer

    private let client: HTTPClients
    private let authenticator: Authenticator
    private let uptime: @Sendable () -> NIODeadline

    /// The most bytes of a key's reply.
    private static let keyLimit = 256 << 10
    /// The most bytes of a token service's reply.
    private static let tokenLimit = 1 << 20

    /// Opens a client. ``shutdown()`` must be called when it is no longer needed.
    /// - Parameters:
    ///   - server: where it is, and how to reach it.
    ///   - credentials: asked when the server, or the token service it names, wants to know who this is.
    ///   - now: the time that tokens expire at.
    ///   - uptime: the time that slow bodies are measured with.
    /// - Throws: ``TrustClientError`` with code `storage` for certificates that cannot be read.
    package init(
        _ server: NotaryServer,
        credentials: any CredentialSource = FixedCredential(),
        now: @escaping @Sendable () -> Date = { Date() },
        uptime: @escaping @Sendable () -> NIODeadline = { .now() }
    ) throws {
        self.server = server
        self.client = HTTPClients(
            .plainSpoken(
                tls: try server.tlsConfiguration(),
                connect: server.limits.connect,
                read: server.limits.idle
            ),
            proxies: server.proxies
        )
        self.authenticator = Authenticator(
            server: "the trust server",
            host: server.host,
            source: credentials,
            scopes: .ofChallenge,
            now: { .seconds(now().timeIntervalSinceReferenceDate) }
        )
        self.uptime = uptime
    }

    /// Closes all connections.
    package func shutdown() async throws {
        try await self.client.shutdown()
    }

    /// Opens a client for the time that the body runs.
    package static func with<Result: Sendable>(
        _ server: NotaryServer,
        credentials: any CredentialSource = FixedCredential(),
        _ body: (NotaryTransport) async throws -> Result
    ) async throws -> Result {
        let transport = try NotaryTransport(server, credentials: credentials)
        do {
            let result = try await body(transport)
            try? await transport.shutdown()
            return result
        } catch {
            try? await transport.shutdown()
            throw error
        }
    }

    // MARK: TrustTransport

    package func fetch(
        _ role: RoleName,
        _ reference: MetadataReference,
        of gun: GUN,
        limit: Int
    ) async throws -> [UInt8] {
        let path = TrustPath.metadata(gun, role, reference)
        let reply: HTTPReply
        do {
            reply = try await self.send(.GET, path, access: Access(gun, [.pull]), limit: limit)
        } catch let error as TrustClientError where error.code == .rollback {
            throw TrustClientError(.rollback, "\(gun): \(role): \(error.message)", refusal: error.refusal)
        }
        guard reply.status == 200 else {
            if reply.status == 404 {
                throw TrustClientError(.noTrustData, "the trust server does not have \(role) of \(gun)")
            }
            throw self.failure(reply)
        }
        return reply.body
    }

    package func upload(_ metadata: [MetadataUpload], to gun: GUN) async throws {
        var generator = SystemRandomNumberGenerator()
        let random = (0..<30).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let form = MultipartForm(files: metadata.map { ($0.role, $0.bytes) }, random: random)
        let reply = try await self.send(
            .POST,
            .collection(gun),
            access: Access(gun, [.push, .pull]),
            body: (form.contentType, form.body),
            limit: NotaryError.bodyLimit
        )
        guard reply.status == 200 else { throw self.failure(reply) }
    }

    package func serverKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.key(.GET, role, gun, Access(gun, [.push, .pull]))
    }

    package func rotateServerKey(for role: RoleName, of gun: GUN) async throws -> PublicKey {
        try await self.key(.POST, role, gun, Access(gun, [.all]))
    }

    package func delete(_ gun: GUN) async throws {
        let reply = try await self.send(
            .DELETE,
            .collection(gun),
            access: Access(gun, [.all]),
            limit: NotaryError.bodyLimit
        )
        guard reply.status == 200 else { throw self.failure(reply) }
    }

    package func ping() async throws {
        // A server that asks for a token for everybody's catalogue is a trust server all the same.
        let reply = try await self.exchange(.GET, .ping, token: nil, body: nil, limit: NotaryError.bodyLimit)
        guard (200..<300).contains(reply.status) || reply.status == 401 else { throw self.failure(reply) }
    }

    private func key(
        _ method: HTTPMethod,
        _ role: RoleName,
        _ gun: GUN,
        _ access: Access
    ) async throws -> PublicKey {
        let reply = try await self.send(method, .key(gun, role), access: access, limit: Self.keyLimit)
        guard reply.status == 200 else { throw self.failure(reply) }
        do {
            return try KeyResponse.decode(reply.body)
        } catch {
            throw TrustClientError(.rejected, "the trust server's key for \(role) of \(gun) cannot be read: \(error)")
        }
    }

    // MARK: Requests

    /// Sends a request, authenticating as the server asks.
    private func send(
        _ method: HTTPMethod,
        _ path: TrustPath,
        access: Access,
        body: (type: String, bytes: [UInt8])? = nil,
        limit: Int
    ) async throws -> HTTPReply {
        let known = try await Self.authenticating {
            try await self.authenticator.authorization(
                scopes: [access.scope],
                plainRealm: .withoutCredentials,
                send: { try await self.askService($0) }
            )
        }
        let reply = try await self.exchange(method, path, token: known, body: body, limit: limit)
        guard reply.status == 401 else { return reply }
        let fresh = try await Self.authenticating {
            try await self.authenticator.authorization(
                after: reply.challenges,
                rejected: known,
                scopes: [access.scope],
                plainRealm: .withoutCredentials,
                send: { try await self.askService($0) }
            )
        }
        guard let fresh else { return reply }
        return try await self.exchange(method, path, token: fresh, body: body, limit: limit)
    }

    private static func authenticating<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as HTTPAccessError {
            throw TrustClientError(error)
        }
    }

    private func askService(_ question: TokenRequest) async throws -> TokenReply {
        var request = HTTPClientRequest(url: question.url.description)
        request.method = question.method
        request.headers = question.headers
        request.headers.add(name: "User-Agent", value: self.server.userAgent)
        if let form = question.form { request.body = .bytes(Array(form.utf8)) }
        let reply = try await self.execute(request, limit: Self.tokenLimit)
        return TokenReply(status: HTTPResponseStatus(statusCode: reply.status), body: ByteBuffer(bytes: reply.body))
    }

    private func exchange(
        _ method: HTTPMethod,
        _ path: TrustPath,
        token: String?,
        body: (type: String, bytes: [UInt8])?,
        limit: Int
    ) async throws -> HTTPReply {
        var request = HTTPClientRequest(url: self.server.url + path.encoded)
        request.method = method
        request.headers.add(name: "User-Agent", value: self.server.userAgent)
        if let token { request.headers.add(name: "Authorization", value: token) }
        if let body {
            request.headers.add(name: "Content-Type", value: body.type)
            request.body = .bytes(body.bytes, length: .known(Int64(body.bytes.count)))
        }
        return try await self.execute(request, limit: limit)
    }

    /// Sends one request and takes the reply, or an error's beginning.
    private func execute(_ request: HTTPClientRequest, limit: Int) async throws -> HTTPReply {
        do {
            guard let url = HTTPURL(request.url) else {
                throw TrustClientError(.invalid, "\(request.url.prefix(300)) is not a URL that can be asked")
            }
            let deadline = NIODeadline.now() + self.server.limits.response
            let response = try await self.client.execute(request, to: url, deadline: deadline)
            let status = Int(response.status.code)
            let reader = BoundedBody(limits: self.server.limits, uptime: self.uptime)
            let body =
                status == 200
                ? try await reader.read(response, limit: limit)
                : try await reader.readBeginning(response, limit: HTTPReply.errorLimit)
            return HTTPReply(status: status, body: body, challenges: response.headers["WWW-Authenticate"])
        } catch let error as TrustClientError {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch let error as BodyRefusal {
            let message = "the trust server \(error)"
            if case .tooLarge = error { throw TrustClientError(TUFError(.tooLarge, message)) }
            throw TrustClientError(.unreachable, message)
        } catch {
            let failure = ConnectionFailure(
                error,
                server: self.server.host,
                certificates: "~/.docker/tls",
                noTLSAdvice: "name the trust server with --server or DOCKER_CONTENT_TRUST_SERVER"
            )
            throw TrustClientError(.unreachable, "cannot reach the trust server \(self.server.url): \(failure)")
        }
    }

    private func failure(_ reply: HTTPReply) -> TrustClientError {
        let error = NotaryError(decoding: reply.body)
        let code = error?.code.rawValue
        switch (reply.status, error?.code) {
        case (400, .version):
            return TrustClientError(
                .conflict,
                "somebody else has published a newer version meanwhile (the trust server: \(error?.description ?? ""))",
                serverCode: code
            )
        case (400, _):
            let reason = error?.description ?? "no reason given"
            return TrustClientError(.rejected, "the trust server rejected the operation: \(reason)", serverCode: code)
        case (401, _), (403, _):
            return TrustClientError(
                .unauthorised,
                "not authorised to do this on \(self.server.url): the server returned \(reply.status). Log in, or check "
                    + "what your account may do",
                serverCode: code
            )
        case (404, _):
            return TrustClientError(.noTrustData, "\(self.server.url) has no trust data for this", serverCode: code)
        default:
            let detail = error.map { ": \($0)" } ?? ""
            return TrustClientError(
                .unreachable,
                "the trust server \(self.server.url) returned \(reply.status)\(detail)",
                serverCode: code
            )
        }
    }

}
