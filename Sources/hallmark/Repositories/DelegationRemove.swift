// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark delegation remove`
struct DelegationRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Stage the removal of a delegation, or of some of its keys and paths.",
        discussion: """
            Without keys, paths or --threshold the whole delegation goes; on a trust server you are asked first, or say --yes.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @Argument(help: ArgumentHelp("The role.", valueName: "role"), completion: .roles)
    var role: String
    @Argument(help: ArgumentHelp("Keys to remove.", valueName: "key-id"), completion: .keyIDs)
    var keys: [String] = []
    @Option(parsing: .singleValue, help: ArgumentHelp("A path to remove; may be repeated.", valueName: "path"))
    var paths: [String] = []
    @Flag(help: "On a trust server: remove all paths.")
    var allPaths = false
    @Option(help: ArgumentHelp("How many keys must sign from then on.", valueName: "number"))
    var threshold: Int64?
    @Flag(name: [.customShort("y"), .long], help: "Remove the whole delegation without asking.")
    var yes = false
    @Flag(name: [.customShort("p"), .long], help: "Publish at once, with all that is staged.")
    var publish = false
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.operand.collection.check(onlyServers: [("--all-paths", self.allPaths)])
        guard self.operand.collection.isGUN else { return }
        _ = try RoleName(delegation: self.role)
        guard self.threshold.map({ $0 >= 1 }) ?? true else {
            throw ValidationError("a threshold is a number of 1 or more")
        }
    }

    private var removesAll: Bool {
        self.keys.isEmpty && self.paths.isEmpty && !self.allPaths && self.threshold == nil
    }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "delegation remove") {
        case .gun(let gun): try await self.remove(from: gun)
        case .directory(let directory): try await self.remove(from: directory)
        }
    }

    private func remove(from gun: GUN) async throws {
        let role = try RoleName(delegation: self.role)
        let paths = DelegationPaths.prefixes(self.paths)
        if self.removesAll, !self.yes {
            try await Confirmation.require(
                "Are you sure you want to remove all data for the delegation \(role)?",
                "say --yes to remove the whole delegation \(role), or which keys and paths"
            )
        }
        var details: [String] = []
        if !self.keys.isEmpty { details.append("with keys [\(self.keys.joined(separator: ", "))]") }
        if self.allPaths { details.append("with all paths") }
        if !paths.isEmpty { details.append("with paths [\(DelegationPaths.text(paths))]") }
        if let threshold = self.threshold { details.append("with threshold \(threshold) from then on") }
        let sentence =
            self.removesAll
            ? "Forced removal (including all keys and paths) of delegation role \(role) from repository \"\(gun)\""
            : "Removal of delegation role \(role) \(details.joined(separator: ", ")), from repository \"\(gun)\""
        try await self.trust.managed(gun).stage(
            Change.undelegate(
                role,
                keyIDs: self.keys.map { KeyID($0) },
                paths: self.allPaths ? nil : paths,
                threshold: self.threshold
            ),
            sentence,
            publishing: self.publish,
            self.output
        )
    }

    private func remove(from directory: String) async throws {
        let role = RoleName(self.role)
        let repository = try await self.trust.repository(directory)
        guard !self.removesAll else {
            return try await repository.stage(
                [.removeDelegation(role)],
                "Removal of the delegation \(self.role) staged.",
                publishing: self.publish,
                self.output
            )
        }
        let edit = StagedChange.DelegationEdit(
            role: role,
            removeKeys: self.keys.map { KeyID($0) },
            threshold: self.threshold,
            removePaths: self.paths
        )
        try await repository.stage(
            [.delegate(edit)],
            "Change of the delegation \(self.role) staged.",
            publishing: self.publish,
            self.output
        )
    }
}

/// `hallmark delegation purge`
struct DelegationPurge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Stage the removal of keys from all delegations."
    )

    @OptionGroup var operand: CollectionOperand
    @Option(
        name: [.customLong("key")],
        parsing: .singleValue,
        help: ArgumentHelp("A key to remove, by its id in hallmark delegation list; may be repeated.", valueName: "id")
    )
    var keys: [String] = []
    @Flag(name: [.customShort("p"), .long], help: "Publish at once, with all that is staged.")
    var publish = false
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !self.ids.isEmpty else { throw ValidationError("say which: --key with the id of a key") }
    }

    private var ids: [KeyID] {
        self.keys.flatMap { $0.split(separator: ",") }.map { KeyID(String($0)) }
    }

    func run() async throws {
        let names = self.ids.map(\.text).joined(separator: ", ")
        switch try self.operand.collection.changeable(by: "delegation purge") {
        case .gun(let gun):
            try await self.trust.managed(gun).stage(
                [.purgeKeys(self.ids)],
                "Removal of the keys [\(names)] from all delegations in \(gun)",
                publishing: self.publish,
                self.output
            )
        case .directory(let directory):
            let repository = try await self.trust.repository(directory)
            let edits = try await repository.edits(purging: Set(self.ids))
            guard !edits.isEmpty else {
                throw RepositoryError(.notFound, "no delegation of \(directory) has one of the keys \(names)")
            }
            try await repository.stage(
                edits.map { .delegate($0) },
                "Removal of the keys \(names) from all delegations staged.",
                publishing: self.publish,
                self.output
            )
        }
    }
}

/// A question to whoever sits at the terminal.
enum Confirmation {
    /// Goes on when the answer is yes.
    /// - Parameters:
    ///   - alternative: what to do where there is nobody to ask.
    ///   - outcome: what no means.
    static func require(
        _ question: String,
        _ alternative: String,
        otherwise outcome: String = "nothing is removed"
    ) async throws {
        guard isatty(STDIN_FILENO) == 1 else { throw ValidationError(alternative) }
        try await StandardTerminal().write("\n\(question)  (yes/no)  ")
        let answer = try await BlockingWork.wait { readLine() }
        guard ["y", "yes"].contains(answer?.lowercased() ?? "") else {
            throw CommandError(.failure, outcome)
        }
    }
}
