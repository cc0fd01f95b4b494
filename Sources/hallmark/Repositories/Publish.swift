// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import TUF
import TUFRepository
import TrustClient

/// `hallmark publish`
struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish what is staged, or what waited for signatures and has them now.",
        discussion: """
            To a trust server: all or nothing; what is staged stays so until the server has it. A collection that nobody knows \
            is begun, as hallmark init does, if anything is staged for it.

            In a directory: everything is verified as a client would before a file is written.

            Exit code 12 when signatures are missing: the files to be signed are in DIR/pending then, or in tuf/GUN/pending in \
            the trust directory, and nothing of it is published.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @Flag(help: "On a trust server: have others sign also what takes one signature, whose key is not here.")
    var ceremony = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.operand.collection.check(onlyServers: [("--ceremony", self.ceremony)])
    }

    func run() async throws {
        var report = ChangeReport(self.operand.collection.name, self.output)
        switch try self.operand.collection.changeable(by: "publish") {
        case .gun(let gun):
            report.say("Pushing changes to \(gun)")
            let collection = try self.trust.managed(gun)
            let publication = try await collection.publish(self.ceremony ? .always : .whereThresholdsAsk)
            report.add(publication)
            report.finish()
            try collection.ceremonies.requireComplete(publication.pending)
        case .directory(let directory):
            try await self.trust.repository(directory).finish(&report, publishing: true)
        }
    }
}

/// `hallmark refresh`
struct Refresh: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sign the timestamp, the snapshot and bins again that are about to expire.",
        discussion: "Does nothing when nothing is due. Staged changes stay staged."
    )

    @OptionGroup var repository: RepositoryArgument

    @Option(
        help: ArgumentHelp("Go on, looking this often (30m, 12h …), until interrupted.", valueName: "time"),
        transform: TimeSpan.init(argument:)
    )
    var every: TimeSpan?

    @Flag(help: "Sign targets and delegated roles again too that are due, if their keys are at hand.")
    var all = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.every == nil || self.output.output == .text else {
            throw ValidationError("--every goes on until it is interrupted: it has no JSON to end with")
        }
    }

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "refresh")
        let repository = try await self.trust.repository(directory)
        guard let every = self.every else { return try await self.refresh(repository) }
        _ = try await Interruption.isEnding {
            while true {
                do {
                    try await self.refresh(repository)
                } catch let error as RepositoryError where error.code == .storage {
                    // A full disk may have room next time; what cannot be read or signed needs somebody.
                    Notice.write("\(error)")
                }
                try await Task.sleep(for: .seconds(every.seconds))
            }
        }
    }

    private func refresh(_ repository: StaticRepository) async throws {
        let outcome = try await repository.refresh(includingOthers: self.all)
        var report = ChangeReport(repository.directory, self.output)
        report.add(published: outcome.published)
        if outcome.published.isEmpty, self.every == nil { report.say("Nothing is due.") }
        report.finish()
    }
}
