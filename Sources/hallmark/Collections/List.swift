// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUF
import TrustClient

/// `hallmark list`
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the targets of a trusted collection of any files."
    )

    @Argument(
        help: ArgumentHelp("The collection's globally unique name.", valueName: "gun"),
        transform: GUN.init(argument:)
    )
    var gun: GUN

    @Option(
        name: [.customShort("r"), .long],
        parsing: .singleValue,
        help: ArgumentHelp("Only what this role and those below it list; may be repeated.", valueName: "role"),
        transform: RoleName.init(argument:)
    )
    var roles: [RoleName] = []

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let gun = self.gun
        let listing = try await TrustedFiles(settings: try self.trust.settings).list(
            gun,
            roles: self.roles.isEmpty ? [.targets] : self.roles
        )
        if self.output.output == .json {
            JSONOutput.write(Report(gun, listing))
            return
        }
        Notice.show(gun: gun.text, firstUse: listing.firstUse, warnings: listing.warnings)
        guard !listing.targets.isEmpty else {
            print("\nNo targets present in this repository.\n")
            return
        }
        let rows = listing.targets.map { target in
            let digest = target.file.hashes.sha256.map { Hexadecimal.encode($0) } ?? "-"
            return [target.name, digest, String(target.file.length), target.role.text]
        }
        print("\n\(Table(["NAME", "DIGEST", "SIZE (BYTES)", "ROLE"], rows).text)\n")
    }

    private struct Report: Encodable {
        struct Target: Encodable {
            let name: String
            let hashes: [String: String]
            let length: Int64
            let role: String
        }

        let name: String
        let targets: [Target]
        let trust: TrustReport

        init(_ gun: GUN, _ listing: TrustedFiles.Listing) {
            self.name = gun.text
            self.targets = listing.targets.map { target in
                Target(
                    name: target.name,
                    hashes: Dictionary(
                        target.file.hashes.digests.map { ($0.key, Hexadecimal.encode($0.value)) },
                        uniquingKeysWith: { first, _ in first }
                    ),
                    length: target.file.length,
                    role: target.role.text
                )
            }
            self.trust = TrustReport(
                firstUse: listing.firstUse,
                freshness: listing.freshness,
                warnings: listing.warnings
            )
        }
    }
}
