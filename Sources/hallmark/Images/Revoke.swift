// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import OCI
import TUF
import TrustClient

/// `hallmark revoke`
struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take back what was signed of an image: one tag, or all of them.",
        discussion: """
            The tag goes from every role whose key is here, in one publish; nobody who checks trust pulls it from then on. \
            The registry keeps the image. When a role whose key is elsewhere lists the tag as well, it still counts: that is \
            said, and the command ends with 1.
            """
    )

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME:TAG, or REGISTRY/NAME for all its tags.", valueName: "image"),
        completion: .collections,
        transform: InspectedImage.init(argument:)
    )
    var image: InspectedImage

    @Flag(name: [.customShort("y"), .long], help: "Revoke all tags without asking.")
    var yes = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.image.digest == nil else {
            throw ValidationError("what is signed are tags: name one, or the repository")
        }
    }

    func run() async throws {
        if self.image.tag == nil, !self.yes {
            guard isatty(STDIN_FILENO) == 1 else {
                throw ValidationError("say --yes to revoke all tags of \(self.image.reference.gun), or name one")
            }
            try await StandardTerminal().write(
                "Please confirm you would like to delete all signature data for \(self.image.reference.gun)? [y/N] "
            )
            let answer = try await BlockingWork.wait { readLine() }
            guard answer?.lowercased() == "y" else { throw CommandError(.failure, "nothing was revoked") }
        }
        let revocation = try await self.trust.images.revoke(self.image.reference, tag: self.image.tag)
        if self.output.output == .json {
            JSONOutput.write(Report(revocation))
        } else {
            for tag in revocation.tags where !tag.roles.isEmpty {
                let roles = tag.roles.map(\.text).joined(separator: ", ")
                print(TerminalText.line("Revoked \(self.image.reference.familiarName):\(tag.name) from \(roles)"))
            }
        }
        if let left = revocation.stillReleased.first {
            let roles = left.otherRoles.map(\.text).joined(separator: ", ")
            throw CommandError(
                .failure,
                "\(revocation.stillReleased.map(\.name).joined(separator: ", ")) of \(revocation.gun) still counts: it is signed as "
                    + "\(roles) too, of which no key is here. Have it revoked by who has one"
            )
        }
    }

    private struct Report: Encodable {
        struct Revoked: Encodable {
            let name: String
            let roles: [String]
            let otherRoles: [String]
            let stillCounts: Bool
        }

        let name: String
        let tags: [Revoked]

        init(_ revocation: Revocation) {
            self.name = revocation.gun
            self.tags = revocation.tags.map {
                Revoked(
                    name: $0.name,
                    roles: $0.roles.map(\.text),
                    otherRoles: $0.otherRoles.map(\.text),
                    stillCounts: $0.isStillReleased
                )
            }
        }
    }
}
