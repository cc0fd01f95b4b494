// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOHTTP1
import OCI
import TokenAuthentication

extension AccessRequirement {
    /// What a request to a registry needs.
    /// - Parameter path: nil for a path of no registry: only who has a token is told more about it.
    init(_ method: HTTPMethod, _ path: RegistryPath?, _ query: RegistryQuery) {
        switch path {
        case nil, .base: self = .token
        case .catalog: self = .entry(.catalog)
        case .uploads(let name): self = .repository(name, method, useful: Self.source(of: query))
        case .upload(let name, _):
            // Whoever may upload may think better of it: nothing that others can see is deleted.
            self = .repository(name, method == .DELETE ? .PUT : method)
        case .tags(let name), .blob(let name, _), .manifest(let name, _), .referrers(let name, _):
            self = .repository(name, method)
        }
    }

    private static func repository(
        _ name: RepositoryName,
        _ method: HTTPMethod,
        useful: [AccessEntry] = []
    ) -> AccessRequirement {
        let actions: [String]
        switch method {
        case .GET, .HEAD: actions = ["pull"]
        case .POST, .PUT, .PATCH: actions = ["pull", "push"]
        case .DELETE: actions = ["delete"]
        // No route has another method; only who has a token is told.
        default: return .token
        }
        return .entries([AccessEntry(type: "repository", name: name.description, actions: actions)], useful: useful)
    }

    /// A blob is mounted from there if that may be read.
    private static func source(of query: RegistryQuery) -> [AccessEntry] {
        guard query["mount"] != nil, let from = query["from"], let source = try? RepositoryName(from) else { return [] }
        return [.repository(source.description, "pull")]
    }
}

extension AuthorizationRefusal {
    private struct Body: Encodable {
        let errors: [Item]
    }

    private struct Item: Encodable {
        let code = RegistryError.Code.unauthorized.rawValue
        let message = "authentication required"
        let detail: [Detail]?

        private enum CodingKeys: String, CodingKey {
            case code
            case message
            case detail
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(self.code, forKey: .code)
            try container.encode(self.message, forKey: .message)
            // Null too, as docker-registry has it.
            try container.encode(self.detail, forKey: .detail)
        }
    }

    private struct Detail: Encodable {
        let type: String
        let resourceClass: String
        let name: String
        let action: String

        private enum CodingKeys: String, CodingKey {
            case type = "Type"
            case resourceClass = "Class"
            case name = "Name"
            case action = "Action"
        }
    }

    /// The reply, as docker-registry gives it.
    var response: HTTPResponse {
        let details = self.needed.flatMap { entry in
            entry.actions.map {
                Detail(type: entry.type, resourceClass: entry.resourceClass ?? "", name: entry.name, action: $0)
            }
        }
        let body = Body(errors: [Item(detail: details.isEmpty ? nil : details)])
        var response = HTTPResponse.json(
            .unauthorized,
            bytes: RegistryJSON.encode(body),
            contentType: "application/json",
            headers: self.headers
        )
        response.logMetadata = self.logMetadata
        return response
    }
}
