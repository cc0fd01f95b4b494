// SPDX-License-Identifier: Apache-2.0

/// What docker was asked for, as far as the front has to understand it.
package struct DockerCommandLine: Sendable, Hashable {
    /// What is guarded.
    package enum Verb: Sendable, Hashable {
        case pull
        case push
        case run
        case create
        case build
        case serviceCreate
        case serviceUpdate
        /// `plugin install`, `push` and `upgrade`.
        case plugin
        /// `docker trust`, which is no longer docker's.
        case trust
        /// All else, which docker does by itself.
        case other
    }

    /// What stands before the command, as it was typed.
    package let globalArguments: [String]
    /// The directory that `--config` names.
    package let configurationDirectory: String?
    /// What is asked for.
    package let verb: Verb
    /// The words that say so, such as `image pull`.
    package let words: [String]
    /// What follows them.
    package let arguments: [String]

    /// - Parameters:
    ///   - arguments: what was typed after `docker`.
    ///   - globalFlags: the flags that may stand before the command.
    /// - Throws: ``ScannedArguments/UnknownFlag`` for a flag before the command that cannot be told from its value; ``DockerFrontError``
    ///   with code `usage`.
    package init(_ arguments: [String], globalFlags: FlagTable = .global) throws {
        let scanned = try ScannedArguments(arguments, table: globalFlags, stopsAtFirst: true)
        let command = scanned.positionals
        self.globalArguments = Array(arguments.dropLast(command.count))
        self.configurationDirectory = scanned.value("config")
        // What follows `--` docker reads once more, its flags included.
        guard !scanned.hasTerminator || command.isEmpty else {
            throw DockerFrontError(.usage, "-- before docker's command cannot be checked: leave it out")
        }
        let (verb, count) = try Self.verb(command)
        // Docker does not stop there: many a command runs all the same.
        let isAsking = scanned.isSet("help") == true || scanned.isSet("version") == true
        guard verb == .other || !isAsking else {
            throw DockerFrontError(.usage, "--help and --version go alone, or --help behind the command")
        }
        self.verb = verb
        self.words = Array(command.prefix(count))
        self.arguments = Array(command.dropFirst(count))
    }

    /// What a command is, and how many of the words say so.
    private static func verb(_ command: [String]) throws -> (Verb, Int) {
        guard let first = command.first else { return (.other, 0) }
        if let verb = self.commands[first] { return (verb, 1) }
        guard let group = self.groups[first] else { return (.other, 0) }
        // A flag may stand between the two words.
        let table = first == "buildx" || first == "builder" ? FlagTable.buildx : .group
        let rest = Array(command.dropFirst())
        let scanned: ScannedArguments
        do {
            scanned = try ScannedArguments(rest, table: table, stopsAtFirst: true)
        } catch let unknown as ScannedArguments.UnknownFlag {
            throw DockerFrontError(.usage, "unknown flag: \(unknown.text) between docker \(first) and its command")
        }
        try self.refuseDoubtful(rest, scanned, in: (first, group))
        guard let word = scanned.positionals.first, let verb = group[word] else { return (.other, 0) }
        return (verb, 1 + rest.count - scanned.positionals.count + 1)
    }

    /// Refuses what docker may take for a guarded command though it does not stand where it should.
    private static func refuseDoubtful(
        _ rest: [String],
        _ scanned: ScannedArguments,
        in group: (name: String, verbs: [String: Verb])
    ) throws {
        let word = scanned.positionals.first
        // Behind `--`, and behind a flag that it does not expect there, docker takes the next word for a value, and goes on.
        let isPlain =
            rest.first == word
            || (!scanned.hasTerminator && scanned.isSet("help") != true && word.map { group.verbs[$0] != nil } == true)
        // `buildx debug build` and `buildx dap build` build, too.
        let isNested = ["buildx", "builder"].contains(group.name) && ["debug", "dap"].contains(word ?? "")
        guard !isPlain || isNested, rest.contains(where: { group.verbs[$0] != nil }) else { return }
        throw DockerFrontError(
            .usage,
            "docker \(group.name) \(rest.joined(separator: " ")): this cannot be checked: write docker \(group.name) COMMAND and its "
                + "arguments"
        )
    }

    private static let commands: [String: Verb] = [
        "pull": .pull, "push": .push, "run": .run, "create": .create, "build": .build, "trust": .trust,
    ]

    private static let groups: [String: [String: Verb]] = [
        "image": ["pull": .pull, "push": .push, "build": .build],
        "container": ["run": .run, "create": .create],
        "builder": ["build": .build, "b": .build],
        "buildx": ["build": .build, "b": .build],
        "service": ["create": .serviceCreate, "update": .serviceUpdate],
        "plugin": ["install": .plugin, "push": .plugin, "upgrade": .plugin],
    ]
}
