// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// The command. Arguments in, text or JSON out, exit codes that mean something.
@main
struct Hallmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hallmark",
        abstract: "Content trust for container images and any other files.",
        discussion: """
            Whoever pulls name:tag gets exactly what its publisher signed, and the newest of it. Keys and cached \
            metadata are those of docker and notary, in ~/.docker/trust.

            Exit codes: 0 done; 1 other failure; 2 usage; 10 no trust data; 11 not signed; 12 signature or threshold not \
            met; 13 expired or stale; 14 rollback, freeze or mix-and-match; 15 content does not match its digest; \
            20 cannot reach the server; 21 not authorised; 130 interrupted.
            """,
        version: HallmarkVersion.current,
        subcommands: Self.asked(among: [
            Serve.self, ConfigCommand.self, User.self, RegistryCommand.self, Backup.self, Restore.self,
            Push.self, Pull.self, Copy.self, Inspect.self, Revoke.self, SignerCommand.self,
            Init.self, Add.self, AddHash.self, Remove.self, Publish.self, Refresh.self, List.self, Lookup.self,
            Verify.self,
            Status.self, Reset.self, Witness.self, Delete.self, Sign.self, Rescue.self, Move.self,
            DelegationCommand.self, Key.self, DockerCommand.self,
            ClientCommand.self, PinCommand.self, BundleCommand.self,
            Version.self,
            CompletionCommand.self,
        ])
    )

    /// Only the verb that the arguments begin with: the parser asks each for its name and more, and what Swift's runtime looks
    /// up of a type for the first time takes it longer than a server's answer. All of them, where it is not that simple.
    private static func asked(among verbs: [any ParsableCommand.Type]) -> [any ParsableCommand.Type] {
        guard let first = CommandLine.arguments.dropFirst().first, first != CompletionCommand.configuration.commandName
        else { return verbs }
        let named = verbs.filter { verb in
            // What the parser would make of a type's name of one word.
            (verb.configuration.commandName ?? _typeName(verb, qualified: false).lowercased()) == first
        }
        return named.isEmpty ? verbs : named
    }

    static func main() async {
        StandardStreams.ensureOpen()
        await DockerDispatch.runIfAsked(CommandLine.arguments)
        CoreDumps.disable()
        // Before anything else is done: arguments take their time, too.
        let signals = CommandLine.arguments.dropFirst().first == "serve" ? await ServingSignals.trap() : nil
        await ServingSignals.$trapped.withValue(signals) { await Self.parseAndRun() }
    }

    private static func parseAndRun() async {
        do {
            var command = try Self.parseAsRoot(
                LeadingOptions.moved(Array(CommandLine.arguments.dropFirst()), of: Self.self)
            )
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            Failure(error).report()
        }
    }
}

/// What `hallmark --version` says.
enum HallmarkVersion {
    static let current = "0.1.0"
}
