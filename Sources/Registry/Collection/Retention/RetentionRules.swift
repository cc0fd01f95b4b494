// SPDX-License-Identifier: Apache-2.0

import OCI

/// Which tags stay.
///
/// A tag stays when it is protected, when no rule is about it, or when any rule that is about it keeps it. Within a rule, any of
/// its reasons to keep is enough. A tag that stands for what is attached to another image (`sha256-<digest>.sig` and the like) is
/// no rule's business: it stays as long as that image.
package struct RetentionRules: Sendable {
    /// Reasons to keep a tag.
    struct Keep: Sendable, Hashable {
        /// The so many that were changed last, of those that the rule is about in a repository.
        var newest: Int?
        /// The so many highest versions, of those that the rule is about in a repository.
        var versions: Int?
        /// Those that were changed within so many seconds.
        var changedWithin: Int64?
        /// Those whose image was pushed or asked for within so many seconds.
        var seenWithin: Int64?

        /// Whether it has an opinion only on tags that are versions.
        var isAboutVersionsOnly: Bool {
            self.versions != nil && self.newest == nil && self.changedWithin == nil && self.seenWithin == nil
        }
    }

    struct Rule: Sendable {
        /// Where it stands, for whoever wants to know why a tag goes.
        var line = 0
        var repositories: [NamePattern] = []
        /// Empty: all.
        var tags: [NamePattern] = []
        /// None of those.
        var exceptTags: [NamePattern] = []
        /// Nil when the rule says nothing about tags.
        var keep: Keep?
        /// After how many seconds untagged manifests go; nil when it says nothing about them.
        var untagged: UntaggedPolicy?

        func isAbout(repository: String) -> Bool { self.repositories.contains { $0.matches(repository) } }

        func isAbout(tag: String) -> Bool {
            (self.tags.isEmpty || self.tags.contains { $0.matches(tag) })
                && !self.exceptTags.contains { $0.matches(tag) }
        }
    }

    /// What happens to manifests that nothing holds.
    package enum UntaggedPolicy: Sendable, Hashable {
        case keep
        /// They go when nobody has pushed or asked for them for so many seconds.
        case remove(after: Int64)
    }

    /// The tags that no rule takes.
    struct Protection: Sendable {
        var repositories: [NamePattern] = []
        /// Empty: all.
        var tags: [NamePattern] = []
    }

    let rules: [Rule]
    let protected: [Protection]

    init(rules: [Rule], protected: [Protection] = []) {
        self.rules = rules
        self.protected = protected
    }

    /// Whether any rule is about tags.
    var concernsTags: Bool { self.rules.contains { $0.keep != nil } }

    /// Whether any rule lets untagged manifests go.
    var removesUntagged: Bool { self.rules.contains { if case .remove = $0.untagged { true } else { false } } }

    /// What is to be done with the untagged manifests of a repository: the first rule that says something counts; nil when none
    /// does.
    func untagged(in repository: String) -> UntaggedPolicy? {
        self.rules.first { $0.untagged != nil && $0.isAbout(repository: repository) }?.untagged
    }

    /// What the rules say about one repository; nil when they say nothing.
    func evaluation(of repository: String, at now: Int64) -> RetentionEvaluation? {
        let rules = self.rules.filter { $0.keep != nil && $0.isAbout(repository: repository) }
        guard !rules.isEmpty else { return nil }
        let protections = self.protected.filter { protection in
            protection.repositories.contains { $0.matches(repository) }
        }
        guard !protections.contains(where: \.tags.isEmpty) else { return nil }
        return RetentionEvaluation(rules: rules, protected: protections.flatMap(\.tags), now: now)
    }
}

/// A tag, as rules look at it. Times are Unix seconds.
struct RetainedTag: Sendable, Hashable {
    let name: String
    let digest: String
    let updatedAt: Int64
    /// When the manifest was last pushed or asked for, as far as the database knows.
    let seenAt: Int64
}
