// SPDX-License-Identifier: Apache-2.0

package import HTTPService
package import Logging
package import NIOHTTP1

/// What a request must be allowed to do.
package enum AccessRequirement: Sendable, Hashable {
    /// Nothing: health and metrics.
    case none
    /// Any valid token, whatever it grants.
    case token
    /// All of this. What is `useful` is asked for in the same token, without being needed.
    case entries([AccessEntry], useful: [AccessEntry] = [])

    /// One entry.
    package static func entry(_ entry: AccessEntry) -> AccessRequirement { .entries([entry]) }
}

/// Who asks, and what they may do.
package struct Caller: Sendable {
    /// The name in their token; nil for whoever has none.
    package let subject: String?
    /// What their token grants.
    private let access: [AccessEntry]

    init(subject: String?, access: [AccessEntry]) {
        self.subject = subject
        self.access = access
    }

    fileprivate static let anybody = Caller(subject: nil, access: [])

    /// Whether they may do all of this.
    package func may(_ entry: AccessEntry) -> Bool { self.access.grant(entry) }

    /// The repositories in which their token grants an action.
    package func repositories(granting action: String) -> [String] {
        self.access.filter { $0.grants(action, onType: "repository", name: $0.name) }.map(\.name)
    }
}

/// Lets past who has a token for what they ask, and tells all others where to get one.
package struct Authorizer: Sendable {
    private let verifier: TokenVerifier
    private let refusals: MetricCounter?
    private let logger: Logger

    /// - Parameter metrics: Counts who was refused, and why.
    package init(_ verifier: TokenVerifier, metrics: Metrics? = nil, logger: Logger) {
        self.verifier = verifier
        self.logger = logger
        self.refusals = metrics?.counter(
            "hallmark_authorization_refusals_total",
            help: "Requests refused for want of a token that allows them.",
            labels: ["service", "reason"]
        )
    }

    /// Who asks, if their token is known already and allows it. Does not block: for answers from memory.
    package func callerInMemory(_ request: HTTPRequest, for requirement: AccessRequirement) -> Caller? {
        if case .none = requirement { return .anybody }
        guard case .token(let token) = BearerToken(request.headers),
            let claims = self.verifier.claimsInMemory(of: token), claims.access.satisfy(requirement)
        else { return nil }
        return Caller(subject: claims.subject, access: claims.access)
    }

    /// Who asks, if they may.
    /// - Throws: ``AuthorizationRefusal``.
    package func caller(
        _ request: HTTPRequest,
        for requirement: AccessRequirement
    ) async throws(AuthorizationRefusal) -> Caller {
        if case .none = requirement { return .anybody }
        let claims: JSONWebToken.Claims
        switch BearerToken(request.headers) {
        case .absent: throw self.refusal(.noToken, request, requirement)
        case .ambiguous: throw self.refusal(.invalid(.malformed), request, requirement)
        case .token(let token):
            do {
                claims = try await self.verifier.claims(of: token)
            } catch {
                self.logger.info(
                    "a token was refused",
                    metadata: ["request": "\(request.id.map { "\($0)" } ?? "-")", "error": "\(error)"]
                )
                throw self.refusal(.invalid(error.code), request, requirement)
            }
        }
        guard claims.access.satisfy(requirement) else {
            throw self.refusal(.insufficientScope, request, requirement, subject: claims.subject)
        }
        return Caller(subject: claims.subject, access: claims.access)
    }

    private func refusal(
        _ reason: AuthorizationRefusal.Reason,
        _ request: HTTPRequest,
        _ requirement: AccessRequirement,
        subject: String? = nil
    ) -> AuthorizationRefusal {
        let configuration = self.verifier.configuration
        self.refusals?.add(1, configuration.service, reason.name)
        let challenge = BearerChallenge(
            realm: self.verifier.realm(for: request),
            service: configuration.service,
            entries: requirement.entries,
            error: reason.error
        )
        return AuthorizationRefusal(
            reason: reason,
            needed: requirement.needed,
            subject: subject,
            challenge: challenge.description
        )
    }
}

/// A request that is not allowed; always answered with 401, since clients only then fetch another token.
package struct AuthorizationRefusal: Error, Sendable {
    package enum Reason: Sendable, Hashable {
        case noToken
        case invalid(TokenError.Code)
        case insufficientScope

        /// For metrics.
        package var name: String {
            switch self {
            case .noToken: "no_token"
            case .invalid(let code): code.rawValue
            case .insufficientScope: "insufficient_scope"
            }
        }

        /// For the challenge (RFC 6750, section 3.1).
        fileprivate var error: String? {
            switch self {
            case .noToken: nil
            case .invalid: "invalid_token"
            case .insufficientScope: "insufficient_scope"
            }
        }
    }

    package let reason: Reason
    /// What is needed; empty when any token would do.
    package let needed: [AccessEntry]
    /// Whose token it was, if it was valid.
    package let subject: String?
    /// The value of `WWW-Authenticate`.
    package let challenge: String

    /// The field that says where to get a token.
    package var headers: HTTPHeaders { ["Www-Authenticate": self.challenge] }
}

extension AccessRequirement {
    fileprivate var needed: [AccessEntry] {
        switch self {
        case .none, .token: []
        case .entries(let needed, _): needed
        }
    }

    fileprivate var entries: [AccessEntry] {
        switch self {
        case .none, .token: []
        case .entries(let needed, let useful): needed + useful
        }
    }
}

extension [AccessEntry] {
    fileprivate func satisfy(_ requirement: AccessRequirement) -> Bool {
        requirement.needed.allSatisfy { self.grant($0) }
    }
}

extension AuthenticationConfiguration {
    /// The realm of the challenge to a request.
    func realm(for request: HTTPRequest) -> String {
        guard self.redirectsToRequestHost, let host = request.headers.first(name: "Host"), host.isAuthority else {
            return self.realm.isEmpty ? self.redirectPath : self.realm
        }
        return "https://\(host)\(self.redirectPath)"
    }
}

extension String {
    /// A host, and perhaps a port, as a client may name it: nothing that would end up elsewhere in a URL.
    fileprivate var isAuthority: Bool {
        (1...260).contains(self.utf8.count)
            && self.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
                    true
                default: false
                }
            }
    }
}

extension Caller {
    /// What the access log says of them.
    package var logMetadata: Logger.Metadata {
        guard let subject, !subject.isEmpty else { return [:] }
        return ["user": "\(subject.loggable(upTo: 256))"]
    }
}

extension AuthorizationRefusal {
    /// What the access log says of it.
    package var logMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["refused": "\(self.reason.name)"]
        if let subject, !subject.isEmpty { metadata["user"] = "\(subject.loggable(upTo: 256))" }
        return metadata
    }
}
