// SPDX-License-Identifier: Apache-2.0

/// Actions on one resource: what a request needs, what a client asks of a token service, and what a token grants
/// (<https://distribution.github.io/distribution/spec/auth/scope/>).
///
/// As text, in the `scope` of a challenge or of a token request, it is `repository:name:pull,push`:
///
///     let asked = try AccessEntry.list(scope: "repository:example.org:5000/team/app:pull,push registry:catalog:*")
///     let granted = asked.map { $0.limited(to: ["pull"]) }.filter { !$0.actions.isEmpty }
///     AccessEntry.scope(of: granted)   // "repository:example.org:5000/team/app:pull"
///
/// As JSON, in the `access` claim of a token, it is `{"type":"repository","name":"name","actions":["pull","push"]}`.
package struct AccessEntry: Sendable, Hashable {
    /// The action that stands for all others.
    package static let allActions = "*"
    /// The list of all repositories, or of all changes in a trust server.
    package static let catalog = AccessEntry(type: "registry", name: "catalog", actions: [Self.allActions])

    /// What kind of resource: `repository` or `registry`.
    package let type: String
    /// What kind of repository, as in `repository(plugin):name:pull`; usually nil. It makes no difference to what is granted.
    package let resourceClass: String?
    /// The repository or collection, without the registry's host for a registry, with it for a trust server.
    package let name: String
    /// `pull`, `push`, `delete`, `*`: each once, in the order given.
    package let actions: [String]

    package init(type: String, class resourceClass: String? = nil, name: String, actions: [String]) {
        self.type = type
        self.resourceClass = resourceClass
        self.name = name
        var unique: [String] = []
        for action in actions where !unique.contains(action) { unique.append(action) }
        self.actions = unique
    }

    /// Actions on a repository.
    package static func repository(_ name: String, _ actions: String...) -> AccessEntry {
        AccessEntry(type: "repository", name: name, actions: actions)
    }

    /// The same resource with those of its actions that are among `allowed`; with `*` among them, all of them. Where
    /// all actions are asked for and only some are allowed, it is those.
    package func limited(to allowed: some Collection<String>) -> AccessEntry {
        var kept = self.actions
        if !allowed.contains(Self.allActions) {
            kept = self.actions.contains(Self.allActions) ? Array(allowed) : self.actions.filter(allowed.contains)
        }
        return AccessEntry(type: self.type, class: self.resourceClass, name: self.name, actions: kept)
    }

    /// Whether a token with this entry may do `action` on a resource. `*` grants all actions; that a request needs `*`
    /// is granted by nothing else.
    package func grants(_ action: String, onType type: String, name: String) -> Bool {
        // By their bytes: names that only look the same are not.
        self.type == type && self.name.utf8.elementsEqual(name.utf8)
            && (self.actions.contains(action) || self.actions.contains(Self.allActions))
    }
}

extension Sequence<AccessEntry> {
    /// Whether the entries together grant all actions of `needed`.
    package func grant(_ needed: AccessEntry) -> Bool {
        needed.actions.allSatisfy { action in
            self.contains { $0.grants(action, onType: needed.type, name: needed.name) }
        }
    }
}

extension AccessEntry: Codable {
    private enum CodingKeys: String, CodingKey {
        case type
        case resourceClass = "class"
        case name
        case actions
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            type: try container.decode(String.self, forKey: .type),
            class: try container.decodeIfPresent(String.self, forKey: .resourceClass).flatMap { $0.isEmpty ? nil : $0 },
            name: try container.decode(String.self, forKey: .name),
            actions: try container.decodeIfPresent([String].self, forKey: .actions) ?? []
        )
    }
}
