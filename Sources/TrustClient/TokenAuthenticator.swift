// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import NIOHTTP1
import NotaryAPI
import Synchronization
import TUF

/// What a request does to a collection, in the terms of token authentication.
struct Access: Sendable, Hashable {
    enum Action: String, Sendable {
        case pull
        case push
        case all = "*"
    }

    let gun: GUN
    let actions: [Action]

    init(_ gun: GUN, _ actions: [Action]) {
        self.gun = gun
        self.actions = actions
    }

    var scope: String { "repository:\(self.gun):\(self.actions.map(\.rawValue).joined(separator: ","))" }
}

/// Gets tokens from the service that a server names, and keeps them while they are good.
final class TokenAuthenticator: Sendable {
    /// Sends a request and takes a reply of at most so many bytes.
    typealias Exchange = (_ request: HTTPClientRequest, _ limit: Int) async throws -> HTTPReply

    private struct Authorization: Sendable {
        let value: String
        let expires: Date
    }

    private static let replyLimit = 1 << 20
    /// What Docker's token specification assumes when a reply does not say.
    private static let defaultLifetime: Int64 = 60

    private let server: NotaryServer
    private let credentials: CredentialsProvider
    private let now: @Sendable () -> Date
    private let known = Mutex<[Access: Authorization]>([:])

    init(server: NotaryServer, credentials: @escaping CredentialsProvider, now: @escaping @Sendable () -> Date) {
        self.server = server
        self.credentials = credentials
        self.now = now
    }

    /// The value of the Authorization field for an access, if one is known.
    func authorization(for access: Access) -> String? {
        let now = self.now()
        return self.known.withLock { known in
            guard let authorization = known[access], authorization.expires > now else { return nil }
            return authorization.value
        }
    }

    /// Answers a challenge.
    /// - Parameter replacing: the authorization that the server has just refused.
    /// - Returns: the value of the Authorization field; nil when there is no answer but the one that was refused.
    func authorize(
        _ access: Access,
        _ challenge: AuthenticationChallenge,
        replacing: String?,
        _ exchange: Exchange
    ) async throws -> String? {
        let authorization: Authorization?
        switch challenge {
        case .basic: authorization = try await self.basic()
        case .bearer(let realm, let service, let scopes):
            authorization = try await self.token(
                realm: realm,
                service: service,
                scopes: scopes.isEmpty ? [access.scope] : scopes,
                exchange
            )
        }
        guard let authorization, authorization.value != replacing else { return nil }
        self.known.withLock { known in
            // A gateway sees many collections; what has expired must not pile up.
            if known.count >= 4096 {
                let now = self.now()
                known = known.filter { $0.value.expires > now }
                if known.count >= 4096 { known.removeAll() }
            }
            known[access] = authorization
        }
        return authorization.value
    }

    private func basic() async throws -> Authorization? {
        guard let host = Self.host(self.server.url),
            case .basic(let username, let password) = try await self.credentials(host)
        else { return nil }
        return Authorization(value: Self.basicValue(username, password), expires: .distantFuture)
    }

    private static func basicValue(_ username: String, _ password: String) -> String {
        "Basic \(Base64.encode(Array("\(username):\(password)".utf8)))"
    }

    private static func host(_ url: String) -> String? {
        guard let url = URL(string: url), let host = url.host else { return nil }
        return url.port.map { "\(host):\($0)" } ?? host
    }

    private func token(
        realm: String,
        service: String?,
        scopes: [String],
        _ exchange: Exchange
    ) async throws -> Authorization? {
        guard var components = URLComponents(string: realm), let host = Self.host(self.server.url),
            ["https", "http"].contains(components.scheme?.lowercased() ?? ""), components.host?.isEmpty == false
        else {
            throw TrustClientError(
                .unauthorised,
                "the trust server names a token service that is no URL: \(realm.prefix(200))"
            )
        }
        let credentials = try await self.credentials(host)
        try self.requireConfidential(components, credentials)
        var request: HTTPClientRequest
        if case .identityToken(let token) = credentials {
            request = HTTPClientRequest(url: realm)
            request.method = .POST
            let form = [
                ("grant_type", "refresh_token"), ("service", service ?? ""), ("scope", scopes.joined(separator: " ")),
                ("client_id", "docker"), ("refresh_token", token),
            ]
            let body = form.map { "\($0)=\(Self.formEncoded($1))" }.joined(separator: "&")
            request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
            request.body = .bytes(Array(body.utf8))
        } else {
            var query = components.percentEncodedQuery.map { [$0] } ?? []
            if let service { query.append("service=\(Self.formEncoded(service))") }
            query += scopes.map { "scope=\(Self.formEncoded($0))" }
            if case .basic(let username, _) = credentials { query.append("account=\(Self.formEncoded(username))") }
            components.percentEncodedQuery = query.joined(separator: "&")
            request = HTTPClientRequest(url: components.string ?? realm)
            if case .basic(let username, let password) = credentials {
                request.headers.add(name: "Authorization", value: Self.basicValue(username, password))
            }
        }
        request.headers.add(name: "User-Agent", value: self.server.userAgent)
        let reply = try await exchange(request, Self.replyLimit)
        return try self.authorization(from: reply, realm)
    }

    private func authorization(from reply: HTTPReply, _ realm: String) throws -> Authorization {
        guard reply.status == 200 else {
            guard reply.status == 401 || reply.status == 403 || reply.status == 400 else {
                throw TrustClientError(.unreachable, "the token service \(realm) returned \(reply.status)")
            }
            throw TrustClientError(.unauthorised, "the token service \(realm) refused: it returned \(reply.status)")
        }
        guard let json = try? JSONParser.parse(reply.body),
            let token = json["token"]?.string ?? json["access_token"]?.string, !token.isEmpty,
            token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw TrustClientError(.unauthorised, "the token service \(realm) did not return a token")
        }
        let lifetime = max(json["expires_in"]?.integer ?? Self.defaultLifetime, Self.defaultLifetime)
        // A tenth less, so that a token does not expire on its way.
        let seconds = Double(min(lifetime, 86400)) * 0.9
        return Authorization(value: "Bearer \(token)", expires: self.now().addingTimeInterval(seconds))
    }

    /// A password must not travel in clear because a server names a realm without TLS.
    private func requireConfidential(_ realm: URLComponents, _ credentials: Credentials?) throws {
        guard credentials != nil, realm.scheme?.lowercased() != "https" else { return }
        let host = realm.host ?? ""
        let isAddress = host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || $0 &- UInt8(ascii: "0") < 10 }
        guard ["localhost", "[::1]", "::1"].contains(host) || (isAddress && host.hasPrefix("127.")) else {
            throw TrustClientError(
                .unauthorised,
                "the trust server names a token service without TLS (\(host)): credentials are not sent there"
            )
        }
    }

    private static func formEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default: encoded += "%" + Hexadecimal.encode([byte]).uppercased()
            }
        }
        return encoded
    }
}
