// SPDX-License-Identifier: Apache-2.0

/// Who may do what. What no rule allows is denied.
package struct AccessRules: Sendable {
    /// What a rule allows.
    package enum Action: String, Sendable, Hashable, CaseIterable {
        case pull
        case push
        case delete
        /// All of these, and what only the owner of a collection may do in a trust server: delete it, or have its
        /// server-managed keys rotated.
        case all = "*"
        /// List all repositories, or all changes in a trust server.
        case catalog
    }

    /// Who asks.
    package enum Subject: Sendable, Hashable {
        /// Somebody who is not logged in.
        case anonymous
        case user(String)

        var name: String? {
            if case .user(let name) = self { name } else { nil }
        }
    }

    struct Rule: Sendable {
        var users: Set<String> = []
        var groups: Set<String> = []
        /// Everybody who is logged in.
        var allowsEveryUser = false
        /// Those who are not.
        var allowsAnonymous = false
        var patterns: [RepositoryPattern] = []
        var actions: Set<Action> = []
    }

    /// A repository, as the rules name it.
    struct Repository: Sendable {
        let segments: [[UInt8]]
        /// It belongs to another registry, whose name is the first segment.
        let hostIsFirst: Bool
    }

    private let groups: [String: Set<String>]
    private let rules: [Rule]

    init(groups: [String: Set<String>], rules: [Rule]) {
        self.groups = groups
        self.rules = rules
    }

    /// What holds where there is no file of rules: every user may pull and push everything, others nothing.
    package static let everyUser = AccessRules(
        groups: [:],
        rules: [
            Rule(
                allowsEveryUser: true,
                patterns: (try? RepositoryPattern("**")).map { [$0] } ?? [],
                actions: [.all, .catalog]
            )
        ]
    )

    /// Whether some rule is for those who are not logged in.
    var allowsAnonymous: Bool { self.rules.contains(where: \.allowsAnonymous) }

    /// The rules that are for somebody: what is asked of them is asked of no others.
    func rules(for subject: Subject) -> SubjectRules {
        guard let user = subject.name else {
            return SubjectRules(user: nil, rules: self.rules.filter(\.allowsAnonymous))
        }
        let groups = self.groups.filter { $0.value.contains(user) }.map(\.key)
        return SubjectRules(
            user: user,
            rules: self.rules.filter { rule in
                rule.allowsEveryUser || rule.users.contains(user) || groups.contains(where: rule.groups.contains)
            }
        )
    }

    /// What one subject may do.
    struct SubjectRules: Sendable {
        let user: String?
        let rules: [Rule]

        /// All that is allowed on a repository, in the order of ``Action``.
        func actions(on repository: Repository) -> [Action] {
            var allowed: Set<Action> = []
            for rule in self.rules where !rule.actions.isSubset(of: allowed) {
                let isMeant = rule.patterns.contains {
                    $0.matches(repository.segments, user: self.user, hostIsFirst: repository.hostIsFirst)
                }
                if isMeant { allowed.formUnion(rule.actions) }
            }
            return Action.allCases.filter { $0 != .catalog && allowed.contains($0) }
        }

        /// Whether everything may be listed.
        var allowsCatalog: Bool { self.rules.contains { $0.actions.contains(.catalog) } }
    }
}
