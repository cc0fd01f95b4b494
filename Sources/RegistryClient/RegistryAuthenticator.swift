// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import Synchronization

/// Answers a registry's challenges: keeps what it asked for, and the tokens got for it, until they expire.
final class RegistryAuthenticator: Sendable {
    /// Sends one request to an authorization service and gives status and body.
    typealias Send =
        @Sendable (_ method: HTTPMethod, _ url: RegistryURL, _ headers: HTTPHeaders, _ form: String?)
        async throws -> (status: HTTPResponseStatus, body: ByteBuffer)

    private struct State {
        var challenge: AuthenticationChallenge?
        var tokens: [[String]: Token] = [:]
        var refreshToken: String?
    }

    private struct Token: Sendable {
        let value: String
        let expiry: ContinuousClock.Instant
    }

    /// The most tokens kept; a client that walks many repositories needs one for each.
    private static let maximumTokens = 1000

    private let registry: String
    private let source: any RegistryCredentialSource
    private let now: @Sendable () -> ContinuousClock.Instant
    private let logger: Logger
    private let state = Mutex(State())

    init(
        registry: String,
        source: any RegistryCredentialSource,
        now: @escaping @Sendable () -> ContinuousClock.Instant,
        logger: Logger
    ) {
        self.registry = registry
        self.source = source
        self.now = now
        self.logger = logger
    }

    /// The `Authorization` to send at first; nil before any challenge.
    /// - Parameter allowsPlainRealm: credentials may go over plain HTTP, since the registry's own connection is plain.
    func authorization(scopes: [String], allowsPlainRealm: Bool, send: Send) async throws -> String? {
        guard let challenge = self.state.withLock({ $0.challenge }) else { return nil }
        return try await self.answer(challenge, scopes: scopes, allowsPlainRealm: allowsPlainRealm, send: send)
    }

    /// The `Authorization` after a 401; nil when there is nothing (more) to offer.
    func authorization(
        after fields: [String],
        rejected: String?,
        scopes: [String],
        allowsPlainRealm: Bool,
        send: Send
    ) async throws -> String? {
        guard let challenge = AuthenticationChallenge.preferred(fields) else { return nil }
        self.state.withLock { state in
            state.challenge = challenge
            state.tokens = state.tokens.filter { "Bearer " + $0.value.value != rejected }
        }
        let answer = try await self.answer(challenge, scopes: scopes, allowsPlainRealm: allowsPlainRealm, send: send)
        return answer == rejected ? nil : answer
    }

    private func answer(
        _ challenge: AuthenticationChallenge,
        scopes: [String],
        allowsPlainRealm: Bool,
        send: Send
    ) async throws -> String? {
        switch challenge {
        case .basic:
            switch try await self.source.credential(for: self.registry) {
            case .password(let username, let password): return Self.basic(username, password)
            case .bearerToken(let token): return "Bearer " + token
            case .identityToken, nil: return nil
            }
        case .bearer(let realm, let service, let offered):
            // Without scopes of its own a request takes those of the challenge.
            let scopes = (scopes.isEmpty ? offered : scopes).sorted()
            let now = self.now()
            if let token = self.state.withLock({ $0.tokens[scopes] }), token.expiry > now {
                return "Bearer " + token.value
            }
            guard let url = RegistryURL(realm), self.mayAsk(url.origin, allowsPlain: allowsPlainRealm) else {
                throw RegistryError(
                    .invalidResponse,
                    "\(self.registry) names \"\(RegistryError.printable(realm))\" to authenticate, which is not an HTTPS URL"
                )
            }
            let credential = try await self.source.credential(for: self.registry)
            if case .bearerToken(let token) = credential { return "Bearer " + token }
            let token = try await self.fetch(url, service, scopes, credential, send)
            self.state.withLock { state in
                if state.tokens.count >= Self.maximumTokens { state.tokens.removeAll() }
                state.tokens[scopes] = token
            }
            return "Bearer " + token.value
        }
    }

    /// Whether credentials may go there. A registry that is spoken to in plain because it is on this machine does not make
    /// plain what leaves the machine.
    private func mayAsk(_ service: RegistryURL.Origin, allowsPlain: Bool) -> Bool {
        guard service.scheme == .http else { return true }
        let isLocal = RegistryURL.Origin(scheme: .http, authority: self.registry)?.isLoopback ?? false
        return allowsPlain && (service.isLoopback || !isLocal)
    }

    private func fetch(
        _ realm: RegistryURL,
        _ service: String?,
        _ scopes: [String],
        _ credential: RegistryCredential?,
        _ send: Send
    ) async throws -> Token {
        let started = self.now()
        let refreshToken: String? =
            if case .identityToken(let token) = credential { self.state.withLock { $0.refreshToken } ?? token } else {
                nil
            }
        let reply: (status: HTTPResponseStatus, body: ByteBuffer)
        if let refreshToken {
            let form = [
                ("grant_type", "refresh_token"), ("refresh_token", refreshToken), ("service", service ?? ""),
                ("scope", scopes.joined(separator: " ")), ("client_id", "hallmark"), ("access_type", "offline"),
            ].map { $0 + "=" + RegistryURL.encode($1) }.joined(separator: "&")
            let headers: HTTPHeaders = ["Content-Type": "application/x-www-form-urlencoded"]
            reply = try await send(.POST, realm, headers, form)
        } else {
            var url = realm
            var headers = HTTPHeaders()
            if let service { url = url.adding("service", service) }
            for scope in scopes { url = url.adding("scope", scope) }
            if case .password(let username, let password) = credential {
                url = url.adding("account", username)
                headers.add(name: "Authorization", value: Self.basic(username, password))
            }
            reply = try await send(.GET, url, headers, nil)
        }
        return try self.token(reply, realm, started)
    }

    private struct TokenReply: Decodable {
        let token: String?
        let accessToken: String?
        let expiresIn: Double?
        let refreshToken: String?

        private enum CodingKeys: String, CodingKey {
            case token
            case accessToken = "access_token"
            case expiresIn = "expires_in"
            case refreshToken = "refresh_token"
        }
    }

    private func token(
        _ reply: (status: HTTPResponseStatus, body: ByteBuffer),
        _ realm: RegistryURL,
        _ started: ContinuousClock.Instant
    ) throws -> Token {
        switch reply.status.code {
        case 200..<300: break
        case 401, 403, 400:
            throw RegistryError(
                .unauthorized,
                "\(realm.origin.authority) does not accept the credentials for \(self.registry); log in again"
            )
        default:
            throw RegistryError(
                .invalidResponse,
                "\(realm.origin.authority) answers \(reply.status.code) where a token for \(self.registry) was asked for"
            )
        }
        let decoded = try? JSONDecoder().decode(TokenReply.self, from: Data(buffer: reply.body))
        let value = decoded?.token.flatMap { $0.isEmpty ? nil : $0 } ?? decoded?.accessToken ?? ""
        guard !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw RegistryError(.invalidResponse, "\(realm.origin.authority) sent no token for \(self.registry)")
        }
        if let refreshToken = decoded?.refreshToken, !refreshToken.isEmpty {
            self.state.withLock { $0.refreshToken = refreshToken }
        }
        // 60 seconds is both the default and the least that services may give; some of it is kept for the request itself.
        let lifetime = min(max(decoded?.expiresIn ?? 60, 60), 86_400)
        return Token(value: value, expiry: started + .seconds(lifetime * 0.9))
    }

    private static func basic(_ username: String, _ password: String) -> String {
        "Basic " + Data((username + ":" + password).utf8).base64EncodedString()
    }
}
