// SPDX-License-Identifier: Apache-2.0

package import ContentTrust
package import KeyStore
import OCI

/// `docker trust`, as a plugin of Docker's command: its protocol, its commands, its words and exit codes.
package struct TrustPlugin: Sendable {
    /// What the plugin works with, once it is known where docker keeps its configuration.
    package struct Tools: Sendable {
        let settings: ClientSettings
        let images: TrustedImages
        let passphrases: any PassphraseSource
        /// What stands before `trust`, for the docker that pushes.
        var globalArguments: [String] = []

        /// - Parameters:
        ///   - settings: where keys, servers and credentials are.
        ///   - images: reads and signs.
        ///   - passphrases: asked for a key that is made or loaded.
        package init(settings: ClientSettings, images: TrustedImages, passphrases: any PassphraseSource) {
            self.settings = settings
            self.images = images
            self.passphrases = passphrases
        }
    }

    /// The name of the plugin's program.
    package static let programName = "docker-trust"
    /// What docker asks every plugin first.
    private static let metadataCommand = "docker-cli-plugin-metadata"

    let version: String
    let open: @Sendable (_ configurationDirectory: String?) throws -> Tools
    let engine: @Sendable () throws -> any DockerEngine
    let console: Console
    let readLine: @Sendable () async -> String?

    /// - Parameters:
    ///   - version: what the plugin says of itself.
    ///   - open: gives the tools, with the directory of `--config`, if one was named.
    ///   - engine: the docker that pushes; asked for only when one is needed.
    ///   - console: where to write.
    ///   - readLine: reads an answer.
    package init(
        version: String,
        open: @escaping @Sendable (_ configurationDirectory: String?) throws -> Tools,
        engine: @escaping @Sendable () throws -> any DockerEngine,
        console: Console,
        readLine: @escaping @Sendable () async -> String?
    ) {
        self.version = version
        self.open = open
        self.engine = engine
        self.console = console
        self.readLine = readLine
    }

    /// Does what was asked.
    /// - Parameter arguments: what follows the program's name: docker's own flags, `trust`, and the command.
    /// - Returns: the exit code.
    package func run(_ arguments: [String]) async -> Int32 {
        do {
            try await self.dispatch(arguments)
            return 0
        } catch let failure as TrustPluginFailure {
            if let message = failure.message { self.console.report(message) }
            return failure.status
        } catch {
            self.console.report(TerminalText.lines("\(error)"))
            return 1
        }
    }

    private func dispatch(_ arguments: [String]) async throws {
        if arguments.first == Self.metadataCommand { return self.console.write(self.metadata) }
        let global: ScannedArguments
        do {
            global = try ScannedArguments(arguments, table: .global, stopsAtFirst: true)
        } catch let unknown as ScannedArguments.UnknownFlag {
            throw TrustPluginFailure(status: 125, Self.unknownFlag(unknown.text))
        }
        var words = global.positionals[...]
        // Run by itself, the program is the command.
        if words.first == "trust" { words = words.dropFirst() }
        guard let usage = try self.usage(&words, isHelp: global.isSet("help") == true) else { return }
        let scanned: ScannedArguments
        do {
            scanned = try ScannedArguments(words, table: usage.flags)
        } catch let unknown as ScannedArguments.UnknownFlag {
            let typed = words.first { $0.hasPrefix("-") && $0.contains(unknown.text.dropFirst()) } ?? unknown.text
            throw usage.wrongFlag(
                unknown.text.hasPrefix("--")
                    ? Self.unknownFlag(unknown.text) : Self.unknownFlag(unknown.text) + " in \(typed)"
            )
        } catch let error as DockerFrontError {
            throw usage.wrongFlag(error.message)
        }
        if scanned.isSet("help") == true { return self.console.write(usage.help) }
        let count = scanned.positionals.count
        guard count == usage.minimum || (usage.takesMore && count > usage.minimum) else { throw usage.wrongCount }
        var tools = try self.open(global.value("config"))
        tools.globalArguments = Array(arguments.dropLast(global.positionals.count))
        try await self.run(usage, scanned, tools)
    }

    private func run(_ usage: TrustUsage, _ arguments: ScannedArguments, _ tools: Tools) async throws {
        let operands = arguments.positionals
        let first = operands[0]
        switch usage.words {
        case ["inspect"]:
            try await self.inspect(operands, isPretty: arguments.isSet("pretty") ?? false, tools)
        case ["sign"]:
            try await self.sign(first, isLocal: arguments.isSet("local") ?? false, tools)
        case ["revoke"]:
            try await self.revoke(first, isConfirmed: arguments.isSet("yes") ?? false, tools)
        case ["signer", "add"]:
            try await self.addSigner(first, keys: arguments.allValues("key"), to: Array(operands.dropFirst()), tools)
        case ["signer", "remove"]:
            let force = arguments.isSet("force") ?? false
            try await self.removeSigner(first, from: Array(operands.dropFirst()), isForced: force, tools)
        case ["key", "generate"]:
            try await self.generateKey(first, directory: arguments.value("dir") ?? "", tools)
        default:
            try await self.loadKey(first, name: arguments.value("name") ?? "signer", tools)
        }
    }

    /// Finds the command, and takes its words away.
    /// - Returns: nil when help was asked for, and given.
    private func usage(_ words: inout ArraySlice<String>, isHelp: Bool) throws -> TrustUsage? {
        var group: [String] = []
        while true {
            let next = words.first
            if let next, let usage = TrustUsage.all.first(where: { $0.words == group + [next] }) {
                words = words.dropFirst()
                if isHelp { self.console.write(usage.help) }
                return isHelp ? nil : usage
            }
            if let next, TrustUsage.help(of: group + [next]) != nil {
                group.append(next)
                words = words.dropFirst()
                continue
            }
            let text = TrustUsage.help(of: group) ?? ""
            let name = (["docker", "trust"] + group).joined(separator: " ")
            guard let next else {
                // Nothing was asked: that is help, on the other stream.
                self.console.report(String(text.dropLast()))
                return nil
            }
            if next == "--help" || next == "-h" || next == "help" {
                self.console.write(text)
                return nil
            }
            let usageLine = "Usage:  \(name)"
            guard !next.hasPrefix("-") else {
                throw TrustPluginFailure(
                    status: 125,
                    "\(Self.unknownFlag(next))\n\n\(usageLine)\n\nRun '\(name) --help' for more information"
                )
            }
            throw TrustPluginFailure(
                "docker: unknown command: \(name) \(next)\n\n\(usageLine)\n\nRun '\(name) --help' for more information"
            )
        }
    }

    private static func unknownFlag(_ text: String) -> String {
        text.hasPrefix("--") ? "unknown flag: \(text)" : "unknown shorthand flag: '\(text.dropFirst().prefix(1))'"
    }

    /// The reply to docker's first question: the schema of 0.1.0.
    private var metadata: String {
        """
        {
             "SchemaVersion": "0.1.0",
             "Vendor": "Hallmark",
             "Version": "\(self.version)",
             "ShortDescription": "Manage trust on Docker images"
        }

        """
    }
}
