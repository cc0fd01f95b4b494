// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

extension JSONWebToken.Header: Codable {
    private enum CodingKeys: String, CodingKey {
        case type = "typ"
        case algorithm = "alg"
        case keyID = "kid"
        case certificates = "x5c"
        case key = "jwk"
        case critical = "crit"
    }

    /// - Throws: ``TokenError`` with code `malformed` or `algorithm`.
    init(json: [UInt8]) throws(TokenError) {
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(json))
        } catch let error as TokenError {
            throw error
        } catch {
            throw TokenError(.malformed, "the token's header cannot be read")
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard !container.contains(.critical) else {
            throw TokenError(.malformed, "the token needs an extension that is not understood")
        }
        let name = try container.decode(String.self, forKey: .algorithm)
        guard let algorithm = TokenAlgorithm(rawValue: name) else {
            throw TokenError(.algorithm, "tokens by \(name.prefix(32)) are not accepted")
        }
        let certificates = try container.decodeIfPresent([String].self, forKey: .certificates)?.map { text in
            guard let der = Data(base64Encoded: text) else {
                throw TokenError(.malformed, "a certificate of the token is not base 64")
            }
            return Array(der)
        }
        guard certificates?.count ?? 0 <= JSONWebToken.maximumCertificateCount else {
            throw TokenError(.malformed, "more than \(JSONWebToken.maximumCertificateCount) certificates in a token")
        }
        self.init(
            algorithm: algorithm,
            keyID: try container.decodeIfPresent(String.self, forKey: .keyID),
            certificates: certificates.flatMap { $0.isEmpty ? nil : $0 },
            key: try container.decodeIfPresent(JSONWebKey.self, forKey: .key)
        )
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode("JWT", forKey: .type)
        try container.encode(self.algorithm.rawValue, forKey: .algorithm)
        try container.encodeIfPresent(self.keyID, forKey: .keyID)
        try container.encodeIfPresent(
            self.certificates?.map { Data($0).base64EncodedString() },
            forKey: .certificates
        )
        try container.encodeIfPresent(self.key, forKey: .key)
    }
}

extension JSONWebToken.Claims: Codable {
    private enum CodingKeys: String, CodingKey {
        case issuer = "iss"
        case subject = "sub"
        case audience = "aud"
        case expires = "exp"
        case notBefore = "nbf"
        case issuedAt = "iat"
        case id = "jti"
        case access
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        /// Whole seconds; some issuers give fractions.
        func time(_ key: CodingKeys) throws -> Int64? {
            guard let value = try container.decodeIfPresent(Double.self, forKey: key) else { return nil }
            guard abs(value) <= 0x1p53, let seconds = Int64(exactly: value.rounded(.down)) else {
                throw TokenError(.malformed, "a time of the token is out of range")
            }
            return seconds
        }
        func text(_ key: CodingKeys) throws -> String { try container.decodeIfPresent(String.self, forKey: key) ?? "" }
        guard let expires = try time(.expires) else { throw TokenError(.malformed, "the token never expires") }
        let audience =
            if let one = try? container.decode(String.self, forKey: .audience) { [one] } else {
                try container.decodeIfPresent([String].self, forKey: .audience) ?? []
            }
        self.init(
            issuer: try text(.issuer),
            subject: try text(.subject),
            audience: audience,
            issuedAt: try time(.issuedAt) ?? 0,
            expires: expires,
            notBefore: try time(.notBefore) ?? 0,
            id: try text(.id),
            access: try container.decodeIfPresent([AccessEntry].self, forKey: .access) ?? []
        )
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.issuer, forKey: .issuer)
        try container.encode(self.subject, forKey: .subject)
        if self.audience.count == 1, let service = self.audience.first {
            try container.encode(service, forKey: .audience)
        } else {
            try container.encode(self.audience, forKey: .audience)
        }
        try container.encode(self.expires, forKey: .expires)
        try container.encode(self.notBefore, forKey: .notBefore)
        try container.encode(self.issuedAt, forKey: .issuedAt)
        try container.encode(self.id, forKey: .id)
        try container.encode(self.access, forKey: .access)
    }
}
