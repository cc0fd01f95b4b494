// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import KeyStore
import NotaryAPI
import TUF
import TUFRepository
import TrustClient

/// `hallmark delegation`
struct DelegationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delegation",
        abstract: "Who besides targets may name which files.",
        subcommands: [
            DelegationAdd.self, DelegationRemove.self, DelegationList.self, DelegationPurge.self, DelegationBins.self,
        ]
    )
}

/// The keys of a delegation.
struct DelegationKeys: ParsableArguments {
    @Argument(
        help: ArgumentHelp("Public keys, PEM; on a trust server certificates as well.", valueName: "key-file"),
        completion: .file()
    )
    var files: [String] = []

    @Flag(help: "In a directory: make a key in the trust directory for it.")
    var generateKey = false

    @Option(help: ArgumentHelp("Of the new key. Default: ed25519.", valueName: "kind"))
    var algorithm: KeyAlgorithm?

    @Option(help: ArgumentHelp("How many keys must sign.", valueName: "number"))
    var threshold: Int64?

    func keys(
        for role: RoleName,
        _ trust: TrustOptions,
        _ report: inout ChangeReport
    ) async throws -> [PublicKey] {
        var keys: [PublicKey] = []
        for file in self.files { keys.append(try await PublicKey(file: file)) }
        if self.generateKey {
            let key = try await trust.signingKeys().generate((self.algorithm ?? .ed25519).algorithm, for: role)
            report.add(newKey: key.id, for: role)
            keys.append(key)
        }
        return keys
    }

    /// As Notary lists them.
    var serverKeys: [PublicKey] {
        get async throws {
            var keys: [PublicKey] = []
            for file in self.files { keys.append(try await PublicKey(file: file, for: .notary)) }
            return keys
        }
    }
}

/// The paths of a delegation on a trust server.
enum DelegationPaths {
    /// Prefixes, as `notary` takes them: repeated, or with commas.
    static func prefixes(_ paths: [String]) -> [String] {
        paths.flatMap { $0.split(separator: ",", omittingEmptySubsequences: true).map(String.init) }
    }

    /// In words.
    static func text(_ paths: [String]) -> String {
        paths.map { $0.isEmpty ? "\"\" <all paths>" : $0 }.joined(separator: ", ")
    }
}

extension RoleName {
    /// The role of a delegation on a trust server.
    init(delegation argument: String) throws {
        do {
            self = try RoleName(notaryDelegation: argument)
        } catch {
            throw ValidationError(
                "\(argument) is not the name of a delegated role: targets/NAME, of a-z, 0-9, - and _, and / for those below it"
            )
        }
    }
}

/// `hallmark delegation add`
struct DelegationAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Stage a delegation, or more keys and paths for one.",
        discussion: """
            On a trust server a role is called targets/NAME, and its paths are prefixes. It can hold nothing until it has both \
            keys and paths.
            """
    )

    @OptionGroup var operand: CollectionOperand
    @Argument(help: ArgumentHelp("The role that is trusted with these paths.", valueName: "role"), completion: .roles)
    var role: String
    @OptionGroup var keys: DelegationKeys

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "In a directory a pattern of paths: * and ? match within a segment. On a trust server what paths begin with. May be "
                + "repeated.",
            valueName: "path"
        )
    )
    var paths: [String] = []

    @Flag(help: "On a trust server: all paths.")
    var allPaths = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "In place of paths, what the SHA-256 of a path begins with. May be repeated. In a directory.",
            valueName: "hex"
        )
    )
    var pathHashPrefix: [String] = []

    @Flag(inversion: .prefixedNo, help: "Whether no role after it is asked for what it may hold. In a directory.")
    var terminating: Bool?

    @Option(help: ArgumentHelp("The role that delegates. Default: targets. In a directory.", valueName: "role"))
    var delegator: String?

    @Flag(name: [.customShort("p"), .long], help: "Publish at once, with all that is staged.")
    var publish = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try self.operand.collection.check(
            onlyDirectories: [
                ("--generate-key", self.keys.generateKey), ("--algorithm", self.keys.algorithm != nil),
                ("--path-hash-prefix", !self.pathHashPrefix.isEmpty), ("--terminating", self.terminating != nil),
                ("--delegator", self.delegator != nil),
            ],
            onlyServers: [("--all-paths", self.allPaths)]
        )
        guard self.paths.isEmpty || self.pathHashPrefix.isEmpty else {
            throw ValidationError("a delegation has either --paths or --path-hash-prefix")
        }
        guard self.operand.collection.isGUN else { return }
        _ = try RoleName(delegation: self.role)
        guard !self.keys.files.isEmpty || !self.prefixes.isEmpty || self.keys.threshold != nil else {
            throw ValidationError("give files with keys or certificates, --paths or --all-paths, or --threshold")
        }
        guard self.keys.threshold.map({ $0 >= 1 }) ?? true else {
            throw ValidationError("a threshold is a number of 1 or more")
        }
    }

    private var prefixes: [String] {
        self.allPaths ? [""] : DelegationPaths.prefixes(self.paths)
    }

    func run() async throws {
        switch try self.operand.collection.changeable(by: "delegation add") {
        case .gun(let gun): try await self.add(to: gun)
        case .directory(let directory): try await self.add(to: directory)
        }
    }

    private func add(to gun: GUN) async throws {
        let keys = try await self.keys.serverKeys
        var details: [String] = []
        if !keys.isEmpty {
            details.append("with keys [\(try keys.map { try $0.canonicalID.text }.joined(separator: ", "))]")
        }
        if !self.prefixes.isEmpty { details.append("with paths [\(DelegationPaths.text(self.prefixes))]") }
        if let threshold = self.keys.threshold { details.append("with threshold \(threshold)") }
        try await self.trust.managed(gun).stage(
            Change.delegate(
                to: try RoleName(delegation: self.role),
                keys: keys,
                paths: self.prefixes,
                threshold: self.keys.threshold
            ),
            "Addition of delegation role \(self.role) \(details.joined(separator: ", ")), to repository \"\(gun)\"",
            publishing: self.publish,
            self.output
        )
    }

    private func add(to directory: String) async throws {
        let role = RoleName(self.role)
        let repository = try await self.trust.repository(directory)
        try await repository.requireRepository()
        var report = ChangeReport(directory, self.output)
        let change = StagedChange.delegate(
            StagedChange.DelegationEdit(
                role: role,
                delegator: self.delegator.map { RoleName($0) },
                addKeys: try await self.keys.keys(for: role, self.trust, &report),
                threshold: self.keys.threshold,
                addPaths: self.paths + self.pathHashPrefix,
                isByHash: self.paths.isEmpty && self.pathHashPrefix.isEmpty ? nil : !self.pathHashPrefix.isEmpty,
                isTerminating: self.terminating
            )
        )
        try await repository.stage(
            [change],
            "Delegation to \(self.role) staged.",
            publishing: self.publish,
            &report
        )
    }
}
