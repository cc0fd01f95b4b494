// SPDX-License-Identifier: Apache-2.0

import Foundation
import PercentEncoding
import TokenAuthentication

/// What a client asks a token service for, by either of the two ways
/// (<https://distribution.github.io/distribution/spec/auth/token/>, <https://distribution.github.io/distribution/spec/auth/oauth/>).
struct TokenGrant: Sendable {
    /// Who says to be who.
    enum Credential: Sendable {
        case none
        case password(user: String, password: String)
        case refreshToken(String)
    }

    /// The most fields of a request that are looked at.
    private static let maximumFields = 128

    var credential: Credential = .none
    /// The server that the token is for; nil when the client does not say.
    var service: String?
    var scopes: [AccessEntry] = []
    /// The client wants a refresh token too.
    var isOffline = false

    /// A GET: everything is in the query, but the password.
    /// - Throws: ``TokenServiceError``.
    init(query: String?, authorization: String?) throws(TokenServiceError) {
        let fields = try Self.fields(query ?? "")
        self.service = fields.first { $0.name == "service" }?.value
        self.scopes = try Self.scopes(fields)
        self.isOffline = fields.contains { $0.name == "offline_token" && $0.value == "true" }
        if let authorization { self.credential = try Self.basic(authorization) }
    }

    /// A POST of a form.
    /// - Throws: ``TokenServiceError``.
    init(form: String) throws(TokenServiceError) {
        let fields = try Self.fields(form)
        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        self.service = value("service")
        self.scopes = try Self.scopes(fields)
        self.isOffline = value("access_type") == "offline"
        switch value("grant_type") {
        case "password":
            guard let user = value("username"), let password = value("password") else {
                throw TokenServiceError(.invalidRequest, "grant_type=password goes with username and password")
            }
            self.credential = .password(user: user, password: password)
        case "refresh_token":
            guard let token = value("refresh_token") else {
                throw TokenServiceError(.invalidRequest, "grant_type=refresh_token goes with refresh_token")
            }
            self.credential = .refreshToken(token)
        default:
            throw TokenServiceError(.unsupportedGrantType, "grant_type is password or refresh_token")
        }
    }

    private static func fields(_ text: String) throws(TokenServiceError) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        for (name, value) in PercentCoding.items(of: text, limit: self.maximumFields) {
            guard let name = PercentCoding.decode(name, plusIsSpace: true),
                let value = PercentCoding.decode(value, plusIsSpace: true)
            else {
                throw TokenServiceError(.invalidRequest, "the request has fields that are not percent-encoded UTF-8")
            }
            fields.append((name, value))
        }
        return fields
    }

    /// May be given several times, and each may name several resources.
    private static func scopes(_ fields: [(name: String, value: String)]) throws(TokenServiceError) -> [AccessEntry] {
        do {
            return try AccessEntry.list(scope: fields.filter { $0.name == "scope" }.map(\.value).joined(separator: " "))
        } catch {
            throw TokenServiceError(.invalidScope, error.message)
        }
    }

    /// - Returns: `.none` for empty credentials, which some clients send when they have no others.
    private static func basic(_ authorization: String) throws(TokenServiceError) -> Credential {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic", let bytes = Data(base64Encoded: String(parts[1])),
            let text = String(validating: bytes, as: UTF8.self),
            let colon = text.utf8.firstIndex(of: UInt8(ascii: ":"))
        else { throw TokenServiceError(.invalidRequest, "Authorization must be Basic, with name:password in base 64") }
        let (user, password) = (String(text[..<colon]), String(text[colon...].dropFirst()))
        return user.isEmpty && password.isEmpty ? .none : .password(user: user, password: password)
    }
}
