// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import TUF
import TUFRepository

/// `hallmark delegation`
struct DelegationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delegation",
        abstract: "Who besides targets may name which files.",
        subcommands: [DelegationAdd.self, DelegationRemove.self, DelegationList.self, DelegationBins.self]
    )
}

/// The keys of a delegation.
struct DelegationKeys: ParsableArguments {
    @Argument(help: ArgumentHelp("Public keys, PEM.", valueName: "key-file"))
    var files: [String] = []

    @Flag(help: "Make a key in the trust directory for it.")
    var generateKey = false

    @Option(help: ArgumentHelp("Of the new key.", valueName: "kind"))
    var algorithm: KeyAlgorithm = .ed25519

    @Option(help: ArgumentHelp("How many keys must sign.", valueName: "number"))
    var threshold: Int64?

    func keys(for role: RoleName, _ trust: TrustOptions) async throws -> [PublicKey] {
        var keys: [PublicKey] = []
        for file in self.files { keys.append(try await PublicKey(file: file)) }
        if self.generateKey {
            let key = try await trust.signingKeys().generate(self.algorithm.algorithm, for: role)
            print("Made the key \(key.id)")
            keys.append(key)
        }
        return keys
    }
}

/// `hallmark delegation add`
struct DelegationAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Stage a delegation, or more keys and paths for one."
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("The role that is trusted with these paths.", valueName: "role"))
    var role: String
    @OptionGroup var keys: DelegationKeys

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A pattern of paths: * and ? match within a segment. May be repeated.", valueName: "pattern")
    )
    var paths: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "In place of paths, what the SHA-256 of a path begins with. May be repeated.",
            valueName: "hex"
        )
    )
    var pathHashPrefix: [String] = []

    @Flag(inversion: .prefixedNo, help: "Whether no role after it is asked for what it may hold.")
    var terminating: Bool?

    @Option(help: ArgumentHelp("The role that delegates. Default: targets.", valueName: "role"))
    var delegator: String?

    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false

    @OptionGroup var trust: TrustOptions

    func validate() throws {
        guard self.paths.isEmpty || self.pathHashPrefix.isEmpty else {
            throw ValidationError("a delegation has either --paths or --path-hash-prefix")
        }
    }

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "delegation add")
        let role = RoleName(self.role)
        let repository = try await self.trust.repository(directory)
        try await repository.requireRepository()
        let change = StagedChange.delegate(
            StagedChange.DelegationEdit(
                role: role,
                delegator: self.delegator.map { RoleName($0) },
                addKeys: try await self.keys.keys(for: role, self.trust),
                threshold: self.keys.threshold,
                addPaths: self.paths + self.pathHashPrefix,
                isByHash: self.paths.isEmpty && self.pathHashPrefix.isEmpty ? nil : !self.pathHashPrefix.isEmpty,
                isTerminating: self.terminating
            )
        )
        try await repository.stage([change])
        print("Delegation to \(TerminalText.line(self.role)) staged.")
        if self.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}

/// `hallmark delegation remove`
struct DelegationRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Stage the removal of a delegation, or of some of its keys and paths."
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("The role.", valueName: "role"))
    var role: String
    @Argument(help: ArgumentHelp("Keys to remove.", valueName: "key-id"))
    var keys: [String] = []
    @Option(parsing: .singleValue, help: ArgumentHelp("A path to remove; may be repeated.", valueName: "pattern"))
    var paths: [String] = []
    @Option(help: ArgumentHelp("How many keys must sign from then on.", valueName: "number"))
    var threshold: Int64?
    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "delegation remove")
        let role = RoleName(self.role)
        let repository = try await self.trust.repository(directory)
        if self.keys.isEmpty, self.paths.isEmpty, self.threshold == nil {
            try await repository.stage([.removeDelegation(role)])
            print("Removal of the delegation \(TerminalText.line(self.role)) staged.")
        } else {
            let edit = StagedChange.DelegationEdit(
                role: role,
                removeKeys: self.keys.map { KeyID($0) },
                threshold: self.threshold,
                removePaths: self.paths
            )
            try await repository.stage([.delegate(edit)])
            print("Change of the delegation \(TerminalText.line(self.role)) staged.")
        }
        if self.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}

/// `hallmark delegation bins`
struct DelegationBins: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bins",
        abstract: "Stage the sharing out of all targets over bins, by the hash of their paths.",
        discussion: """
            Readers fetch one bin in place of the list of all targets. Targets that are there move to their bins, and new ones \
            go to them by themselves.
            """
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("How many: a power of two.", valueName: "number"))
    var count: Int
    @OptionGroup var keys: DelegationKeys
    @Option(help: ArgumentHelp("What the names of the roles begin with.", valueName: "name"))
    var prefix = "bin"
    @Flag(help: "Describe them once (TAP 15), where all readers know that, in place of one by one.")
    var succinct = false
    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false
    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "delegation bins")
        let repository = try await self.trust.repository(directory)
        try await repository.requireRepository()
        let edit = StagedChange.BinsEdit(
            count: self.count,
            keys: try await self.keys.keys(for: RoleName(self.prefix), self.trust),
            threshold: self.keys.threshold ?? 1,
            prefix: self.prefix,
            isSuccinct: self.succinct
        )
        try await repository.stage([.bins(edit)])
        print("\(self.count) bins staged.")
        if self.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}

/// `hallmark delegation list`
struct DelegationList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the published delegations in order of priority."
    )

    @OptionGroup var repository: RepositoryArgument
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "delegation list")
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
    }
}
