// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUF
import TrustClient

/// `hallmark move`
struct Move: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take a collection along to another trust server, with its keys and its name.",
        discussion: """
            For who holds the root key, and has nothing of the old server but what it serves. Targets and delegations go as they are, \
            signed as they are. The next root names keys of the new server for the timestamp, and for the snapshot where the old server \
            signed that: clients follow it as they follow any rotation, once they ask the new server.

            --server is the new one. Without --from what is kept in the trust directory is taken: read the collection once more from \
            the old server while it is there (hallmark list). The new server must know nothing of it.
            """
    )

    @Argument(
        help: ArgumentHelp("The collection's globally unique name.", valueName: "gun"),
        completion: .collections,
        transform: GUN.init(argument:)
    )
    var gun: GUN

    @Option(help: ArgumentHelp("The trust server that it comes from.", valueName: "url"))
    var from: String?

    @Option(
        name: .customLong("from-tlscacert"),
        help: ArgumentHelp("A CA of that server, PEM, besides the system's.", valueName: "file")
    )
    var fromAuthority: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let from = self.from, !from.hasPrefix("https://") {
            throw ValidationError("--from is a URL with https://, not \(from)")
        }
        guard self.from != nil || self.fromAuthority == nil else {
            throw ValidationError("--from-tlscacert goes with --from")
        }
    }

    func run() async throws {
        let (outcome, refusal) = try await self.trust.managed(self.gun).move(
            from: self.from,
            authorityFile: self.fromAuthority?.expandingTilde
        )
        if self.output.output == .json {
            JSONOutput.write(
                Report(
                    name: self.gun.text,
                    published: outcome.roles.map(\.text),
                    rootVersion: outcome.rootVersion,
                    serverManagesSnapshot: outcome.serverManagesSnapshot,
                    warnings: outcome.warnings.map(\.description)
                )
            )
        } else {
            let roles = outcome.roles.map(\.text).joined(separator: ", ")
            print(
                "Successfully moved \(self.gun): published \(roles), under version \(outcome.rootVersion) of the root"
            )
            for warning in outcome.warnings { Notice.write("\(warning)") }
        }
        if let refusal {
            throw TrustClientError(
                refusal.code,
                "it was sent, and readers refuse it: \(refusal.message)",
                refusal: refusal.refusal
            )
        }
    }

    private struct Report: Encodable {
        let name: String
        let published: [String]
        let rootVersion: Int64
        let serverManagesSnapshot: Bool
        let warnings: [String]
    }
}
