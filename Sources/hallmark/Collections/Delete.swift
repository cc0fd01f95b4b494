// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI

/// `hallmark delete`
struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Forget a trust server's collection on this machine, with what is staged of it; its keys stay.",
        discussion: """
            With --remote it is deleted on the server as well, for everybody: who knows it refuses what may come under its name \
            later.
            """
    )

    @Argument(
        help: ArgumentHelp("The collection's globally unique name.", valueName: "gun"),
        completion: .collections,
        transform: CollectionArgument.init(argument:)
    )
    var collection: CollectionArgument

    @Flag(help: "Delete it on the trust server too.")
    var remote = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        guard case .gun(let gun) = self.collection else {
            throw ValidationError(
                "\(self.collection.name) is not on a trust server: to delete a repository, remove its directory"
            )
        }
        var report = ChangeReport(gun.text, self.output)
        report.say("Deleting trust data for repository \(gun)")
        try await self.trust.managed(gun).delete(remotely: self.remote)
        report.add(deleted: self.remote ? "remote" : "local")
        let places = self.remote ? "local and remote" : "local"
        report.say("Successfully deleted \(places) trust data for repository \(gun)")
        report.finish()
    }
}
