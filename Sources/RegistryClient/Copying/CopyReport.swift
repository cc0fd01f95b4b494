// SPDX-License-Identifier: Apache-2.0

package import OCI

/// What a copy has done.
package struct CopyReport: Sendable {
    /// Something that could not be copied.
    package struct Failure: Sendable {
        /// `name:tag`, `name@digest`, or the name when all of it is meant.
        package let image: String
        /// Why.
        package let error: any Error
    }

    /// How many of each kind.
    package struct Counts: Sendable, Hashable {
        package var tags = 0
        package var manifests = 0
        package var blobs = 0

        package init() {}
    }

    /// One repository.
    package struct Repository: Sendable {
        package let source: RepositoryName
        package let destination: RepositoryName
        /// What is new in the destination; in a rehearsal what would be.
        package var copied = Counts()
        /// What was there.
        package var skipped = Counts()
        /// Blobs that the destination took from another repository of its own, among ``copied``'s.
        package var mounted = 0
        /// What went over the wire, manifests not counted; in a rehearsal what would.
        package var bytes: Int64 = 0
        package var failures: [Failure] = []
    }

    package var repositories: [Repository] = []

    /// All failures, in the order of the repositories.
    package var failures: [Failure] { self.repositories.flatMap(\.failures) }
}

/// How far a copy is, for a display.
package struct CopyState: Sendable, Hashable {
    /// Repositories that are to be copied; 0 until their list is here.
    package var repositories = 0
    package var finishedRepositories = 0
    /// Tags that are known so far.
    package var tags = 0
    package var finishedTags = 0
    package var blobs = 0
    package var bytes: Int64 = 0
    package var failures = 0
}
