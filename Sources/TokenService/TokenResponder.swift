// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import TokenAuthentication

/// Answers requests for tokens.
final class TokenResponder: HTTPResponder {
    private static let maximumForm = 64 * 1024

    /// See ``TokenService/setRegistryHosts(_:)``.
    let registryHosts = Mutex<Set<String>>([])
    private let configuration: TokenServiceConfiguration
    private let access: AccessDirectory
    private let keys: TokenKeys
    private let verifier: PasswordVerifier
    private let limiter: LoginLimiter
    private let refreshTokens: RefreshTokens
    private let requests: MetricCounter
    private let logger: Logger
    private let now: @Sendable () -> Int64

    init(
        configuration: TokenServiceConfiguration,
        access: AccessDirectory,
        keys: TokenKeys,
        metrics: Metrics,
        logger: Logger,
        now: @escaping @Sendable () -> Int64,
        clock: @escaping @Sendable () -> Duration
    ) {
        self.configuration = configuration
        self.access = access
        self.keys = keys
        self.verifier = PasswordVerifier(
            workers: PasswordWorkers(),
            lifetime: configuration.verdictLifetime,
            now: clock
        )
        self.limiter = LoginLimiter(now: clock)
        self.refreshTokens = RefreshTokens(key: keys.refreshKey, lifetime: configuration.refreshLifetime)
        self.requests = metrics.counter(
            "hallmark_token_requests_total",
            help: "Requests for tokens by result.",
            labels: ["result"]
        )
        self.logger = logger
        self.now = now
    }

    func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        do {
            // Signing and matching take their time: not on the connection's event loop.
            let response = try await withTaskExecutorPreference(globalConcurrentExecutor) {
                try await self.answer(request)
            }
            self.requests.add(1, "granted")
            return response
        } catch let error as TokenServiceError {
            self.requests.add(1, error.code.label)
            return error.response
        }
    }

    private func answer(_ request: HTTPRequest) async throws -> HTTPResponse {
        let grant: TokenGrant
        switch request.method {
        case .GET:
            grant = try TokenGrant(query: request.query, authorization: request.headers.first(name: "authorization"))
        case .POST:
            let body: ByteBuffer
            do {
                body = try await request.body.collect(upTo: Self.maximumForm)
            } catch is HTTPBodyTooLargeError {
                throw TokenServiceError(.invalidRequest, "the form is larger than \(Self.maximumForm) bytes")
            }
            grant = try TokenGrant(form: String(buffer: body))
        default:
            return HTTPResponse(status: .methodNotAllowed, headers: ["Allow": "GET, POST"])
        }
        let service = try self.service(grant)
        let access = self.access.current
        let address = self.configuration.trustedProxies.clientText(of: request)
        let subject = try await self.subject(grant.credential, access, address)
        return try self.reply(to: grant, service: service, subject, access)
    }

    private func service(_ grant: TokenGrant) throws -> String {
        let known = self.configuration.registryServices + self.configuration.trustServices
        guard let service = grant.service ?? known.first, known.contains(service) else {
            throw TokenServiceError(
                .unknownService,
                "tokens for \"\((grant.service ?? "").prefix(128))\" are not made here, only for \(known.joined(separator: " and "))"
            )
        }
        return service
    }

    // MARK: Who

    private func subject(
        _ credential: TokenGrant.Credential,
        _ access: AccessDirectory.Snapshot,
        _ address: String
    ) async throws -> AccessRules.Subject {
        switch credential {
        case .none: return .anonymous
        case .refreshToken(let token):
            guard let user = self.refreshTokens.user(of: token, now: self.now(), hash: { access.users.hashes[$0] })
            else {
                self.log("a refresh token is not accepted", nil, address)
                throw TokenServiceError(.unauthorized, "this login has ended: log in again")
            }
            return .user(user)
        case .password(let user, let password):
            try await self.logIn(user, password, access, address)
            return .user(user)
        }
    }

    private func logIn(
        _ user: String,
        _ password: String,
        _ access: AccessDirectory.Snapshot,
        _ address: String
    ) async throws {
        var isCounted = false
        let verdict = await self.verifier.verify(
            password,
            of: user,
            hash: access.users.hashes[user],
            costs: access.costs
        ) {
            let wait = self.limiter.begin(user: user, address: address)
            isCounted = wait == nil
            return wait
        }
        switch verdict {
        case .right:
            if isCounted { self.limiter.succeeded(user: user, address: address) }
        case .wrong:
            if isCounted { self.log("a login failed", user, address) }
            throw TokenServiceError(.unauthorized, "incorrect user name or password")
        case .busy:
            if isCounted { self.limiter.abandoned(user: user, address: address) }
            throw TokenServiceError(.unavailable, "too many log in at the moment: try again", retryAfter: 2)
        case .refused(let wait):
            let seconds = wait.components.seconds + (wait.components.attoseconds > 0 ? 1 : 0)
            self.log("a login is not tried, after too many that failed", user, address)
            throw TokenServiceError(
                .tooManyRequests,
                "too many failed logins: try again in \(seconds) seconds",
                retryAfter: seconds
            )
        }
    }

    private func log(_ what: Logger.Message, _ user: String?, _ address: String) {
        var metadata: Logger.Metadata = ["address": "\(address)"]
        // The name may be anything, a password in the wrong place too: only one that could be a user's is shown.
        if let user, (try? UsersFile.check(name: user)) != nil { metadata["user"] = "\(user.prefix(64))" }
        self.logger.notice(what, metadata: metadata)
    }

    // MARK: What

    private struct Reply: Encodable {
        let token: String
        let accessToken: String
        let expiresIn: Int64
        let issuedAt: String
        let scope: String
        let refreshToken: String?

        private enum CodingKeys: String, CodingKey {
            case token
            case accessToken = "access_token"
            case expiresIn = "expires_in"
            case issuedAt = "issued_at"
            case scope
            case refreshToken = "refresh_token"
        }
    }

    private func reply(
        to grant: TokenGrant,
        service: String,
        _ subject: AccessRules.Subject,
        _ access: AccessDirectory.Snapshot
    ) throws -> HTTPResponse {
        let rules = access.rules.rules(for: subject)
        let granted = grant.scopes.map { self.granted($0, rules, service) }.filter { !$0.actions.isEmpty }
        // Who asks for something without a name gets a token, be it for nothing: notary asks so first, and gives its password
        // only when the server refuses that token.
        if subject == .anonymous, grant.scopes.isEmpty, !access.rules.allowsAnonymous {
            throw TokenServiceError(.unauthorized, "this needs a login")
        }
        let now = self.now()
        let user = subject.name ?? ""
        let token = try self.keys.signer.token(
            JSONWebToken.Claims(
                issuer: self.configuration.issuer,
                subject: user,
                audience: [service],
                issuedAt: now,
                expires: now + self.configuration.tokenLifetime,
                id: String(format: UInt64.random(in: .min ... .max)) + String(format: UInt64.random(in: .min ... .max)),
                access: granted
            )
        )
        let refreshToken =
            grant.isOffline
            ? access.users.hashes[user].map { self.refreshTokens.token(for: user, hash: $0, now: now) } : nil
        let reply = Reply(
            token: token,
            accessToken: token,
            expiresIn: self.configuration.tokenLifetime,
            issuedAt: Date(timeIntervalSince1970: TimeInterval(now)).formatted(.iso8601),
            scope: AccessEntry.scope(of: granted),
            refreshToken: refreshToken
        )
        return try HTTPResponse.json(encoding: reply, headers: ["Cache-Control": "no-store", "Pragma": "no-cache"])
    }

    private func granted(_ asked: AccessEntry, _ rules: AccessRules.SubjectRules, _ service: String) -> AccessEntry {
        switch asked.type {
        case "repository":
            let repository = self.repository(asked.name, of: service)
            return asked.limited(to: rules.actions(on: repository).map(\.rawValue))
        case "registry" where asked.name == "catalog":
            return asked.limited(to: rules.allowsCatalog ? [AccessEntry.allActions] : [])
        default:
            return asked.limited(to: [])
        }
    }

    /// A registry's names are those of the rules. A trust server's begin with a registry: ours is left out, another's stays.
    private func repository(_ name: String, of service: String) -> AccessRules.Repository {
        var segments = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map(Array.init)
        guard self.configuration.trustServices.contains(service),
            !self.configuration.registryServices.contains(service),
            segments.count > 1, let first = segments.first
        else { return AccessRules.Repository(segments: segments, hostIsFirst: false) }
        let host = String(decoding: first, as: UTF8.self)
        guard host == "localhost" || host.contains(".") || host.contains(":") else {
            return AccessRules.Repository(segments: segments, hostIsFirst: false)
        }
        let isOurs = self.registryHosts.withLock { $0.contains(host.lowercased()) }
        if isOurs { segments.removeFirst() }
        return AccessRules.Repository(segments: segments, hostIsFirst: !isOurs)
    }
}

extension String {
    fileprivate init(format number: UInt64) {
        self = String(number, radix: 16)
    }
}
