// SPDX-License-Identifier: Apache-2.0

import ContentTrust
import NotaryAPI
import TUFRepository
import TrustClient

// What all verbs that stage changes have in common.

extension ManagedCollection {
    /// Stages changes, publishes if wanted, and says so in the words of `notary`.
    func stage(
        _ changes: [Change],
        _ sentence: String,
        publishing: Bool,
        _ output: OutputOptions
    ) async throws {
        var report = ChangeReport(self.gun.text, output)
        let publication = publishing ? try await self.publish(changes) : nil
        if publication == nil { try await self.stage(changes) }
        report.add(staged: changes)
        report.say("\(sentence) staged for next publish.")
        if changes.contains(where: \.confusesNotary) {
            report.notice(
                "Warning: notary 0.7 can no longer publish a role with <, > or & in custom data; hallmark can, and both read it"
            )
        }
        if let publication {
            report.say("Auto-publishing changes to \(self.gun)")
            report.add(publication)
        }
        report.finish()
        if let publication { try self.ceremonies.requireComplete(publication.pending) }
    }
}

extension StaticRepository {
    /// Stages changes, publishes if wanted, and says so.
    func stage(
        _ changes: [StagedChange],
        _ sentence: String,
        publishing: Bool,
        _ output: OutputOptions
    ) async throws {
        var report = ChangeReport(self.directory, output)
        try await self.stage(changes, sentence, publishing: publishing, &report)
    }

    /// Stages changes behind what was said before.
    func stage(
        _ changes: [StagedChange],
        _ sentence: String,
        publishing: Bool,
        _ report: inout ChangeReport
    ) async throws {
        try await self.stage(changes)
        report.add(staged: changes)
        report.say(sentence)
        try await self.finish(&report, publishing: publishing)
    }

    /// Publishes if wanted, and ends the report.
    func finish(_ report: inout ChangeReport, publishing: Bool) async throws {
        if publishing {
            try PublishReport.write(try await self.publish(), directory: self.directory, to: &report)
        }
        report.finish()
    }
}
