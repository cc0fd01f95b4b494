// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import TUF
import TUFRepository

/// `hallmark delegation bins`
struct DelegationBins: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bins",
        abstract: "Stage the sharing out of all targets over bins, by the hash of their paths.",
        discussion: """
            Readers fetch one bin in place of the list of all targets. Targets that are there move to their bins, and new ones \
            go to them by themselves.
            """
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("How many: a power of two.", valueName: "number"))
    var count: Int
    @OptionGroup var keys: DelegationKeys
    @Option(help: ArgumentHelp("What the names of the roles begin with.", valueName: "name"))
    var prefix = "bin"
    @Flag(help: "Describe them once (TAP 15), where all readers know that, in place of one by one.")
    var succinct = false
    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "delegation bins")
        let repository = try await self.trust.repository(directory)
        try await repository.requireRepository()
        var report = ChangeReport(directory, self.output)
        let edit = StagedChange.BinsEdit(
            count: self.count,
            keys: try await self.keys.keys(for: RoleName(self.prefix), self.trust, &report),
            threshold: self.keys.threshold ?? 1,
            prefix: self.prefix,
            isSuccinct: self.succinct
        )
        try await repository.stage([.bins(edit)], "\(self.count) bins staged.", publishing: self.publish, &report)
    }
}
