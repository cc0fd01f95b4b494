// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Ceremony
import ContentTrust
import TUF
import TUFRepository

/// `hallmark status`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what is staged, what is published as far as is known, and what waits for whose signatures.",
        discussion: """
            Of a collection on a trust server this is what this machine knows: the server is not asked. The changes' numbers \
            are those that hallmark reset takes.

            Of one file that waits for signatures, hallmark sign FILE tells who has signed it.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        switch try self.operand.collection.changeable(by: "status") {
        case .gun(let gun):
            let status = try await self.trust.managed(gun).status()
            if self.output.output == .json {
                JSONOutput.write(CollectionStatusReport(gun, status))
            } else {
                print(TerminalText.lines(CollectionStatusReport.text(gun, status)))
            }
        case .directory(let directory):
            let status = try await self.trust.reader(of: directory).status()
            if self.output.output == .json {
                JSONOutput.write(Report(directory, status))
            } else {
                print(TerminalText.lines(Self.text(status)))
            }
        }
    }

    private static func text(_ status: RepositoryStatus) -> String {
        var parts: [String] = []
        if status.roles.isEmpty {
            parts.append("Nothing is published yet.")
        } else {
            let rows = status.roles.map { role in
                [
                    role.role.text, String(role.version), role.expires.text + (role.isDue ? " (due)" : ""),
                    "\(role.threshold) of \(role.keys.count)",
                ]
            }
            parts.append(Table(["ROLE", "VERSION", "EXPIRES", "THRESHOLD"], rows).text)
        }
        if status.binCount > 0 { parts.append("\(status.binCount) bins.") }
        if status.staged.isEmpty {
            parts.append("No changes are staged.")
        } else {
            let rows = status.staged.enumerated().map { index, staged in
                [String(index), staged.change.summary + (staged.isPending ? " (waits for signatures)" : "")]
            }
            parts.append(Table(["#", "STAGED CHANGE"], rows).text)
        }
        parts += status.ceremonies.map { CeremonyReport($0).text }
        return parts.joined(separator: "\n\n")
    }

    private struct Report: Encodable {
        struct Role: Encodable {
            let role: String
            let version: Int64
            let expires: String
            let due: Bool
            let threshold: Int
            let keys: [String]
            let signers: [String]
        }

        let name: String
        let roles: [Role]
        let bins: Int
        let staged: [StagedReport]
        let pending: [CeremonyReport]

        init(_ directory: String, _ status: RepositoryStatus) {
            self.name = directory
            self.roles = status.roles.map {
                Role(
                    role: $0.role.text,
                    version: $0.version,
                    expires: $0.expires.text,
                    due: $0.isDue,
                    threshold: $0.threshold,
                    keys: $0.keys.map(\.text),
                    signers: $0.signers.map(\.text)
                )
            }
            self.bins = status.binCount
            self.staged = status.staged.map { StagedReport($0.change, isPending: $0.isPending) }
            self.pending = status.ceremonies.map { CeremonyReport($0) }
        }
    }
}
