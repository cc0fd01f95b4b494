// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import NIOHTTP1
import PercentEncoding
import Synchronization

/// What a token service is asked.
package struct TokenRequest: Sendable {
    package let method: HTTPMethod
    package let url: HTTPURL
    package let headers: HTTPHeaders
    /// The body; its type is among the headers.
    package let form: String?
}

/// What a token service answers; the body is bounded by who sends the request.
package struct TokenReply: Sendable {
    package let status: HTTPResponseStatus
    package let body: ByteBuffer

    package init(status: HTTPResponseStatus, body: ByteBuffer) {
        self.status = status
        self.body = body
    }
}

/// Answers a server's challenges: keeps what it asked for, and the tokens got for it, until they expire
/// (RFC 9110, section 11; Docker's token specification).
package final class Authenticator: Sendable {
    /// Sends one request to a token service.
    package typealias Send = @Sendable (_ request: TokenRequest) async throws -> TokenReply

    /// What tokens are asked for when both a request and its challenge name scopes.
    package enum ScopeChoice: Sendable {
        /// What the request needs: a token can be had before the server asks.
        case ofRequest
        /// What the server asks for, each time it asks.
        case ofChallenge
    }

    /// Whether a token service without TLS may be asked.
    package enum PlainRealm: Sendable {
        case refused
        /// Anonymously; with credentials only on this machine.
        case withoutCredentials
        /// For servers that are spoken to without TLS themselves.
        case allowed
    }

    private struct State {
        var challenge: AuthenticationChallenge?
        var tokens: [[String]: Token] = [:]
        var refreshToken: String?
    }

    private struct Token: Sendable {
        let value: String
        let expiry: Duration
    }

    /// The most tokens kept; a client that walks many repositories needs one for each.
    private static let maximumTokens = 4096

    private let server: String
    private let host: String
    private let source: any CredentialSource
    private let choice: ScopeChoice
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - server: what messages call the server.
    ///   - host: what `source` knows the server by.
    ///   - source: knows the credentials.
    ///   - choice: which scopes a token is asked for.
    ///   - now: the time since any fixed point, which tokens expire by.
    package init(
        server: String,
        host: String,
        source: any CredentialSource,
        scopes choice: ScopeChoice,
        now: @escaping @Sendable () -> Duration
    ) {
        self.server = server
        self.host = host
        self.source = source
        self.choice = choice
        self.now = now
    }

    /// The `Authorization` to send at first; nil before any challenge.
    /// - Throws: ``HTTPAccessError``; what `send` throws.
    package func authorization(scopes: [String], plainRealm: PlainRealm, send: Send) async throws -> String? {
        guard let challenge = self.state.withLock({ $0.challenge }) else { return nil }
        if self.choice == .ofChallenge, case .bearer = challenge {
            // What the server will ask for is known only when it does.
            return self.known(scopes.sorted()).map { "Bearer " + $0 }
        }
        return try await self.answer(challenge, scopes: scopes, plainRealm: plainRealm, send: send)
    }

    /// The `Authorization` after a 401; nil when there is nothing (more) to offer.
    /// - Parameters:
    ///   - fields: the values of `WWW-Authenticate`.
    ///   - rejected: the authorization that the server has just refused.
    ///   - scopes: what the request needs.
    ///   - plainRealm: whether a token service without TLS may be asked.
    ///   - send: asks a token service.
    /// - Throws: ``HTTPAccessError``; what `send` throws.
    package func authorization(
        after fields: [String],
        rejected: String?,
        scopes: [String],
        plainRealm: PlainRealm,
        send: Send
    ) async throws -> String? {
        guard let challenge = AuthenticationChallenge.preferred(fields) else { return nil }
        self.state.withLock { state in
            state.challenge = challenge
            state.tokens = state.tokens.filter { "Bearer " + $0.value.value != rejected }
        }
        let answer = try await self.answer(challenge, scopes: scopes, plainRealm: plainRealm, send: send)
        return answer == rejected ? nil : answer
    }

    private func known(_ scopes: [String]) -> String? {
        let now = self.now()
        guard let token = self.state.withLock({ $0.tokens[scopes] }), token.expiry > now else { return nil }
        return token.value
    }

    private func answer(
        _ challenge: AuthenticationChallenge,
        scopes: [String],
        plainRealm: PlainRealm,
        send: Send
    ) async throws -> String? {
        switch challenge {
        case .basic:
            switch try await self.source.credential(for: self.host) {
            case .password(let username, let password): return Credential.basic(username, password)
            case .bearerToken(let token): return "Bearer " + token
            case .identityToken, nil: return nil
            }
        case .bearer(let realm, let service, let offered):
            // Without scopes of its own a request takes those of the challenge.
            let key = (scopes.isEmpty ? offered : scopes).sorted()
            if let token = self.known(key) { return "Bearer " + token }
            let url = try self.service(realm, plainRealm)
            let credential = try await self.source.credential(for: self.host)
            if case .bearerToken(let token) = credential { return "Bearer " + token }
            if plainRealm == .withoutCredentials { try self.requireConfidential(url, credential) }
            let wanted = self.choice == .ofChallenge && !offered.isEmpty ? offered : key
            let token = try await self.fetch(url, service, wanted, credential, send)
            self.keep(token, key)
            return "Bearer " + token.value
        }
    }

    private func keep(_ token: Token, _ scopes: [String]) {
        let now = self.now()
        self.state.withLock { state in
            // A gateway sees many repositories; what has expired must not pile up.
            if state.tokens.count >= Self.maximumTokens {
                state.tokens = state.tokens.filter { $0.value.expiry > now }
                if state.tokens.count >= Self.maximumTokens { state.tokens.removeAll() }
            }
            state.tokens[scopes] = token
        }
    }

    private func service(_ realm: String, _ plainRealm: PlainRealm) throws -> HTTPURL {
        guard let url = HTTPURL(realm), url.origin.scheme == .https || plainRealm != .refused else {
            throw HTTPAccessError(
                .challenge,
                "\(self.server) names \"\(realm.printable())\" to authenticate, which is not an HTTPS URL"
            )
        }
        return url
    }

    /// A password must not travel in clear because a server names a realm without TLS.
    private func requireConfidential(_ realm: HTTPURL, _ credential: Credential?) throws {
        guard credential == nil || realm.origin.scheme == .https || realm.origin.isLoopback else {
            throw HTTPAccessError(
                .challenge,
                "\(self.server) names a token service without TLS (\(realm.origin.authority)): credentials are not sent there"
            )
        }
    }

    private func fetch(
        _ realm: HTTPURL,
        _ service: String?,
        _ scopes: [String],
        _ credential: Credential?,
        _ send: Send
    ) async throws -> Token {
        let started = self.now()
        let request: TokenRequest
        if case .identityToken(let token) = credential {
            let refreshToken = self.state.withLock { $0.refreshToken } ?? token
            let form = [
                ("grant_type", "refresh_token"), ("refresh_token", refreshToken), ("service", service ?? ""),
                ("scope", scopes.joined(separator: " ")), ("client_id", "hallmark"), ("access_type", "offline"),
            ].map { $0 + "=" + PercentCoding.encode($1) }.joined(separator: "&")
            let headers: HTTPHeaders = ["Content-Type": "application/x-www-form-urlencoded"]
            request = TokenRequest(method: .POST, url: realm, headers: headers, form: form)
        } else {
            var url = realm
            var headers = HTTPHeaders()
            if let service { url = url.adding("service", service) }
            for scope in scopes { url = url.adding("scope", scope) }
            if case .password(let username, let password) = credential {
                url = url.adding("account", username)
                headers.add(name: "Authorization", value: Credential.basic(username, password))
            }
            request = TokenRequest(method: .GET, url: url, headers: headers, form: nil)
        }
        return try self.token(try await send(request), realm, started)
    }

    private struct TokenDocument: Decodable {
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

    private func token(_ reply: TokenReply, _ realm: HTTPURL, _ started: Duration) throws -> Token {
        let authority = realm.origin.authority
        switch reply.status.code {
        case 200..<300: break
        case 400, 401, 403:
            throw HTTPAccessError(
                .refused,
                "\(authority) does not accept the credentials for \(self.server); log in again"
            )
        default:
            throw HTTPAccessError(
                .unavailable,
                "\(authority) answers \(reply.status.code) where a token for \(self.server) was asked for"
            )
        }
        let decoded = BoundedJSON.decode(TokenDocument.self, from: reply.body)
        let value = decoded?.token.flatMap { $0.isEmpty ? nil : $0 } ?? decoded?.accessToken ?? ""
        guard !value.isEmpty, value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw HTTPAccessError(.noToken, "\(authority) sent no token for \(self.server)")
        }
        if let refreshToken = decoded?.refreshToken, !refreshToken.isEmpty {
            self.state.withLock { $0.refreshToken = refreshToken }
        }
        // 60 seconds is both the default and the least that services may give; some of it is kept for the request itself.
        let lifetime = min(max(decoded?.expiresIn ?? 60, 60), 86_400)
        return Token(value: value, expiry: started + .seconds(lifetime * 0.9))
    }
}
