// SPDX-License-Identifier: Apache-2.0

/// What goes, and when. Times are seconds.
package struct CollectionPolicy: Sendable {
    /// How long what a client was told of stays, although nothing holds on to it. Default: a day.
    package var graceTime: Int64 = 24 * 60 * 60
    /// What becomes of manifests that have no tag, are in no index and are about no manifest that stays. Default: they stay.
    package var untagged = RetentionRules.UntaggedPolicy.keep
    /// Whether referrers and attached tags go whose subject is not in the repository; those of manifests that are collected go in
    /// any case, by the policy for what is untagged. Not for repositories with signatures of what is elsewhere. Default: false.
    package var removesOrphanedReferrers = false
    /// Whether repositories are forgotten that have nothing any more. Default: true.
    package var removesEmptyRepositories = true
    /// Which tags stay; nil when all do.
    package var retention: RetentionRules?
    /// How old bytes that nothing names must be to be removed: younger ones may be of a push that is about to name them. Default: a
    /// day.
    package var orphanAge: Int64 = 24 * 60 * 60

    package init() {}

    /// After how many seconds the untagged manifests of a repository go; nil when they stay.
    func untaggedAge(in repository: String) -> Int64? {
        switch self.retention?.untagged(in: repository) ?? self.untagged {
        case .keep: nil
        case .remove(let age): max(age, self.graceTime)
        }
    }

    /// Whether any manifest may go at all.
    var removesManifests: Bool {
        if case .remove = self.untagged { return true }
        return self.removesOrphanedReferrers || self.retention?.removesUntagged == true
    }
}
