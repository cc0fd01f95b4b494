// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark delegation list`
struct DelegationList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the published delegations in order of priority."
    )

    @OptionGroup var operand: CollectionOperand
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        switch try self.operand.collection.changeable(by: "delegation list") {
        case .gun(let gun): try await self.list(gun)
        case .directory(let directory): try await self.list(directory)
        }
    }

    private func list(_ gun: GUN) async throws {
        let answer = try await self.trust.files.delegations(gun)
        if self.output.output == .json {
            JSONOutput.write(
                Report(name: gun.text, delegations: answer.value.map { .init($0) }, trust: TrustReport(answer))
            )
            return
        }
        Notice.show(gun, answer)
        guard !answer.value.isEmpty else {
            print("\nNo delegations present in this repository.\n")
            return
        }
        print("\n\(Table(["ROLE", "PATHS", "KEY IDS", "THRESHOLD"], answer.value.flatMap(Self.rows)).text)\n")
    }

    /// A delegation's first path and key stand beside its name, the others below them, as `notary` has it.
    private static func rows(_ delegation: DelegationInfo) -> [[String]] {
        let paths = delegation.role.paths.sorted().map { $0.isEmpty ? "\"\" <all paths>" : $0 }
        let ids = delegation.canonicalKeyIDs.map(\.text).sorted()
        func cell(_ texts: [String], _ row: Int) -> String { texts.indices.contains(row) ? texts[row] : "" }
        let columns = [[delegation.role.name.text], paths, ids, [String(delegation.role.definition.threshold)]]
        return (0..<max(1, paths.count, ids.count)).map { row in columns.map { cell($0, row) } }
    }

    private func list(_ directory: String) async throws {
        let delegations = try await self.trust.reader(of: directory).delegations()
        if self.output.output == .json {
            JSONOutput.write(Report(name: directory, delegations: delegations.map { Report.Delegation($0, $1) }))
            return
        }
        guard !delegations.isEmpty else {
            print("\nNo delegations present in this repository.\n")
            return
        }
        let rows = delegations.map { delegation, keys in
            [
                delegation.role.name.text + (delegation.binCount.map { " … (\($0) bins)" } ?? ""),
                delegation.binCount == nil ? delegation.role.paths.joined(separator: ", ") : "by hash",
                keys.map(\.text).joined(separator: ", "), String(delegation.role.definition.threshold),
                delegation.delegator.text,
            ]
        }
        print("\n\(Table(["ROLE", "PATHS", "KEY IDS", "THRESHOLD", "BY"], rows).text)\n")
    }

    private struct Report: Encodable {
        struct Delegation: Encodable {
            let role: String
            let delegator: String
            let paths: [String]
            let byHash: Bool
            let terminating: Bool
            let threshold: Int64
            let keys: [String]
            let bins: Int?

            init(_ delegation: DelegationInfo) {
                self.role = delegation.role.name.text
                self.delegator = delegation.role.name.notaryParent?.text ?? RoleName.targets.text
                self.paths = delegation.role.paths
                self.byHash = false
                self.terminating = false
                self.threshold = delegation.role.definition.threshold
                self.keys = delegation.canonicalKeyIDs.map(\.text)
                self.bins = nil
            }

            init(_ listed: ListedDelegation, _ keys: [KeyID]) {
                self.role = listed.role.name.text
                self.delegator = listed.delegator.text
                self.paths = listed.role.paths
                self.byHash = listed.role.matching == .hashPrefixes
                self.terminating = listed.role.isTerminating
                self.threshold = listed.role.definition.threshold
                self.keys = keys.map(\.text)
                self.bins = listed.binCount
            }
        }

        let name: String
        let delegations: [Delegation]
        /// Nil for a repository in a directory.
        var trust: TrustReport?
    }
}
