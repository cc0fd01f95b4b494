// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What an import has done, or in a rehearsal would do.
package struct ImportReport: Sendable, Equatable {
    /// Something that was left, and why.
    package struct Problem: Sendable, Equatable {
        /// The repository; empty for what belongs to none.
        package let repository: String
        /// A tag, a digest or a path.
        package let item: String
        package let reason: String
    }

    /// The most problems that are told one by one.
    package static let maximumProblems = 10_000

    package var repositories = 0
    /// Blobs that are new here.
    package var blobs = 0
    /// Of these, files that have got another name and take no more room.
    package var linkedBlobs = 0
    /// The bytes of the others.
    package var copiedBytes: Int64 = 0
    /// Blobs that a repository has got, but whose bytes were here.
    package var sharedBlobs = 0
    package var manifests = 0
    package var tags = 0
    /// What was here.
    package var presentBlobs = 0
    package var presentManifests = 0
    package var presentTags = 0
    /// Tags that stand for something else here, and go on doing so.
    package var keptTags = 0
    package var problems: [Problem] = []
    /// How many there are, told or not.
    package var problemCount = 0
}

/// Counts while an import runs.
package final class ImportProgress: Sendable {
    private let report = Mutex(ImportReport())

    package init() {}

    /// How far it is.
    package var current: ImportReport { self.report.withLock { $0 } }

    func update(_ change: (inout ImportReport) -> Void) { self.report.withLock { change(&$0) } }

    func problem(_ repository: String, _ item: String, _ reason: String) {
        self.report.withLock { report in
            report.problemCount += 1
            guard report.problems.count < ImportReport.maximumProblems else { return }
            report.problems.append(.init(repository: repository, item: item, reason: reason))
        }
    }
}
