// SPDX-License-Identifier: Apache-2.0

import HTTPService
import NIOHTTP1
import NotaryAPI
import TUF
import TokenAuthentication

extension AccessRequirement {
    /// What a request to a trust server needs, as notary-server has it: whatever is not named here needs the catalog.
    /// - Parameter path: nil for a path of no such server.
    init(_ method: HTTPMethod, _ path: TrustPath?) {
        self =
            switch (method, path) {
            case (.GET, .health), (.GET, .metrics): .none
            case (.GET, .metadata(let gun, _, _)), (.GET, .changefeed(let gun?)): .collection(gun, "pull")
            case (.POST, .collection(let gun)), (.GET, .key(let gun, _)): .collection(gun, "push", "pull")
            case (.DELETE, .collection(let gun)), (.POST, .key(let gun, _)): .collection(gun, AccessEntry.allActions)
            case (.GET, _), (.HEAD, _), (.POST, _), (.PUT, _), (.DELETE, _): .entry(.catalog)
            // The server has no other methods, and says so to everybody.
            default: .none
            }
    }

    private static func collection(_ gun: GUN, _ actions: String...) -> AccessRequirement {
        .entry(AccessEntry(type: "repository", name: gun.text, actions: actions))
    }
}

extension AuthorizationRefusal {
    /// The reply, as notary-server gives it.
    var response: HTTPResponse {
        let detail = JSONValue.array(
            self.needed.flatMap { entry in
                entry.actions.map { action in
                    [
                        "Type": .string(entry.type), "Class": .string(entry.resourceClass ?? ""),
                        "Name": .string(entry.name), "Action": .string(action),
                    ]
                }
            }
        )
        var response = NotaryError(.unauthorized, detail: .json(detail)).response
        response.headers.add(contentsOf: self.headers)
        response.logMetadata = self.logMetadata
        return response
    }
}
