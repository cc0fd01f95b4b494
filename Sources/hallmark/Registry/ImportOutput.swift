// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import Registry

/// What `hallmark registry import` says in the end.
struct ImportOutput {
    private let report: ImportReport
    private let isRehearsal: Bool

    init(_ report: ImportReport, isRehearsal: Bool) {
        self.report = report
        self.isRehearsal = isRehearsal
    }

    func write(as format: OutputFormat) {
        if format == .json {
            JSONOutput.write(Report(self.report, isRehearsal: self.isRehearsal))
            return
        }
        for problem in self.report.problems {
            let place = problem.repository.isEmpty ? problem.item : "\(problem.repository) \(problem.item)"
            Notice.write("hallmark: \(place): \(problem.reason)")
        }
        let report = self.report
        print(
            TerminalText.lines(
                """
                \(self.isRehearsal ? "Would import" : "Imported") \(report.repositories) repositories:
                  blobs      \(report.blobs) new (\(report.linkedBlobs) of them linked, \
                \(CopyDisplay.size(report.copiedBytes)) copied), \(report.sharedBlobs) shared, \
                \(report.presentBlobs) there already
                  manifests  \(report.manifests) new, \(report.presentManifests) there already
                  tags       \(report.tags) set, \(report.presentTags) there already, \(report.keptTags) kept
                """
            )
        )
    }

    private struct Report: Encodable {
        struct Blobs: Encodable {
            let imported: Int
            let linked: Int
            let copiedBytes: Int64
            let shared: Int
            let present: Int
        }

        struct Manifests: Encodable {
            let imported: Int
            let present: Int
        }

        struct Tags: Encodable {
            let set: Int
            let present: Int
            let kept: Int
        }

        struct Problem: Encodable {
            let repository: String
            let item: String
            let reason: String
        }

        let dryRun: Bool
        let repositories: Int
        let blobs: Blobs
        let manifests: Manifests
        let tags: Tags
        let problems: [Problem]
        let problemCount: Int

        init(_ report: ImportReport, isRehearsal: Bool) {
            self.dryRun = isRehearsal
            self.repositories = report.repositories
            self.blobs = Blobs(
                imported: report.blobs,
                linked: report.linkedBlobs,
                copiedBytes: report.copiedBytes,
                shared: report.sharedBlobs,
                present: report.presentBlobs
            )
            self.manifests = Manifests(imported: report.manifests, present: report.presentManifests)
            self.tags = Tags(set: report.tags, present: report.presentTags, kept: report.keptTags)
            self.problems = report.problems.map {
                Problem(repository: $0.repository, item: $0.item, reason: $0.reason)
            }
            self.problemCount = report.problemCount
        }
    }
}

/// A line that tells how far an import is, redrawn in place: on a terminal only, never in a pipe.
struct ImportDisplay {
    private let line: LiveLine

    init(isEnabled: Bool) {
        self.line = LiveLine(isEnabled: isEnabled)
    }

    /// Shows what the progress says while the body runs, and takes the line away in the end.
    func showing<Result: Sendable>(
        _ progress: ImportProgress,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await self.line.showing(body) {
            let now = progress.current
            let problems = now.problemCount > 0 ? ", \(now.problemCount) problems" : ""
            return "\(now.repositories) repositories, \(now.blobs + now.sharedBlobs + now.presentBlobs) blobs, "
                + "\(now.manifests + now.presentManifests) manifests, "
                + "\(now.tags + now.presentTags + now.keptTags) tags\(problems)"
        }
    }
}
