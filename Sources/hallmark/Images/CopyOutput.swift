// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import Foundation
import OCI
import RegistryClient
import TUF

/// What `hallmark copy` says in the end.
struct CopyOutput {
    private let report: CopyReport
    private let isRehearsal: Bool
    private let signed: [SignedRepository]?

    /// - Parameter signed: what was signed in the destination; nil when nothing was to be.
    init(_ report: CopyReport, isRehearsal: Bool, signed: [SignedRepository]? = nil) {
        self.report = report
        self.isRehearsal = isRehearsal
        self.signed = signed
    }

    func write(as format: OutputFormat) {
        if format == .json {
            JSONOutput.write(Report(self.report, isRehearsal: self.isRehearsal, signed: self.signed))
            return
        }
        for repository in self.report.repositories {
            print(TerminalText.line(self.line(repository)))
            for failure in repository.failures { Notice.write("hallmark: \(failure.image): \(failure.error)") }
        }
        if self.report.repositories.count > 1 { print(TerminalText.line(self.total)) }
        guard let signed = self.signed, !self.isRehearsal else { return }
        for image in signed.flatMap(\.images) {
            let roles = image.roles.map(\.text).joined(separator: ", ")
            print("Signed \(image.target.reference.familiarDescription)@\(image.target.digest) as \(roles)")
        }
        if signed.isEmpty { print("Nothing to sign: the destination has the same signed") }
    }

    /// How the command ends when something failed: as all failures would, or with 1 when they differ.
    static func status(_ failures: [CopyReport.Failure]) -> ExitStatus? {
        let found = Set(failures.map { ExitStatus($0.error) })
        return found.count > 1 ? .failure : found.first
    }

    private func line(_ repository: CopyReport.Repository) -> String {
        let name =
            repository.source == repository.destination
            ? repository.source.description : "\(repository.source) to \(repository.destination)"
        return "\(name): \(self.text(repository.copied, repository.bytes, repository.mounted, repository.skipped))"
    }

    private var total: String {
        var (copied, skipped, mounted, bytes) = (CopyReport.Counts(), CopyReport.Counts(), 0, Int64(0))
        for repository in self.report.repositories {
            copied.add(repository.copied)
            skipped.add(repository.skipped)
            mounted += repository.mounted
            bytes &+= repository.bytes
        }
        return "\(self.report.repositories.count) repositories: \(self.text(copied, bytes, mounted, skipped))"
    }

    private func text(
        _ copied: CopyReport.Counts,
        _ bytes: Int64,
        _ mounted: Int,
        _ skipped: CopyReport.Counts
    ) -> String {
        let verb = self.isRehearsal ? "would copy" : "copied"
        return "\(verb) \(copied.tags) tags, \(copied.manifests) manifests, \(copied.blobs) blobs "
            + "(\(mounted) mounted), \(CopyDisplay.size(bytes)); there already: \(skipped.tags) tags, "
            + "\(skipped.manifests) manifests, \(skipped.blobs) blobs"
    }

    private struct Report: Encodable {
        struct Counts: Encodable {
            let tags: Int
            let manifests: Int
            let blobs: Int

            init(_ counts: CopyReport.Counts) {
                self.tags = counts.tags
                self.manifests = counts.manifests
                self.blobs = counts.blobs
            }
        }

        struct Failed: Encodable {
            let image: String
            let code: String
            let reason: String
        }

        struct Repository: Encodable {
            let source: String
            let destination: String
            let copied: Counts
            let skipped: Counts
            let mounted: Int
            let bytes: Int64
            let failed: [Failed]
        }

        let dryRun: Bool
        let repositories: [Repository]
        let signed: [SigningReport.Repository]?

        init(_ report: CopyReport, isRehearsal: Bool, signed: [SignedRepository]?) {
            self.dryRun = isRehearsal
            self.signed = signed.map { SigningReport($0).signed }
            self.repositories = report.repositories.map { repository in
                Repository(
                    source: repository.source.description,
                    destination: repository.destination.description,
                    copied: Counts(repository.copied),
                    skipped: Counts(repository.skipped),
                    mounted: repository.mounted,
                    bytes: repository.bytes,
                    failed: repository.failures.map {
                        Failed(image: $0.image, code: ExitStatus($0.error).name, reason: "\($0.error)")
                    }
                )
            }
        }
    }
}

extension CopyReport.Counts {
    mutating func add(_ other: CopyReport.Counts) {
        self.tags += other.tags
        self.manifests += other.manifests
        self.blobs += other.blobs
    }
}
