// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import TUF
import TUFRepository
import TrustClient

/// `hallmark witness`
struct Witness: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stage the signing of roles again as they are, with a later expiry.",
        discussion: """
            On a trust server: of targets and delegated roles, also where their content is no longer signed by enough of the \
            keys of today. Look at it first: you vouch for it.

            In a directory: the root and targets, whose keys are not where hallmark refresh runs, need it before they expire.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @Argument(
        help: ArgumentHelp(
            "targets or delegated roles; in a directory root, snapshot and timestamp as well.",
            valueName: "role"
        ),
        completion: .roles
    )
    var roles: [String]
    @Flag(name: [.customShort("p"), .long], help: "Publish at once, with all that is staged.")
    var publish = false
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if self.operand.collection.isGUN { _ = try self.serverRoles }
    }

    private var serverRoles: [RoleName] {
        get throws { try self.roles.map { try RoleName(argument: $0) } }
    }

    func run() async throws {
        let names = self.roles.joined(separator: ", ")
        switch try self.operand.collection.changeable(by: "witness") {
        case .gun(let gun):
            try await self.trust.managed(gun).stage(
                try self.serverRoles.map { .witness($0) },
                "Witnessing of \(names)",
                publishing: self.publish,
                self.output
            )
        case .directory(let directory):
            try await self.trust.repository(directory).stage(
                self.roles.map { .renew(RoleName($0)) },
                "\(names) staged to be signed again.",
                publishing: self.publish,
                self.output
            )
        }
    }
}
