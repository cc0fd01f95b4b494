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

    @Argument(help: ArgumentHelp("The collection's globally unique name.", valueName: "gun"))
    var gun: String

    @Option(
        name: [.customShort("r"), .long],
        parsing: .singleValue,
        help: ArgumentHelp("Only what this role and those below it list; may be repeated.", valueName: "role")
    )
    var roles: [String] = []

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let gun = try GUN(self.gun)
        let roles = try self.roles.isEmpty ? [.targets] : self.roles.map { try RoleName(notary: $0) }
        guard roles.allSatisfy(\.listsTargets) else {
            throw CommandError(.usage, "only targets and delegated roles list targets")
        }
        let listing = try await TrustedFiles(settings: try self.trust.settings).list(gun, roles: roles)
        if self.output.output == .json {
            JSONOutput.write(Report(gun, listing))
            return
        }
        Notice.show(gun: gun.text, firstUse: listing.firstUse, warnings: listing.warnings)
        guard !listing.targets.isEmpty else {
            print("\nNo targets present in this repository.\n")
            return
        }
        let rows = listing.targets.map {
            [$0.name, $0.file.hashes.sha256.map { Hexadecimal.encode($0) } ?? "-", String($0.file.length), $0.role.text]
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
