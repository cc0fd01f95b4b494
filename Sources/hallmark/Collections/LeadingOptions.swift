// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Notary's options may stand before the verb as well: `notary -s URL -d DIR list GUN` is how its documentation has it.
enum LeadingOptions {
    private static let flags: Set<String> = ["-D", "--debug", "-v", "--verbose"]
    private static let options: Set<String> = [
        "-s", "--server", "-d", "--trust-dir", "--trustDir", "-c", "--config", "--configFile", "--tlscacert",
        "--tlscert",
        "--tlskey",
    ]

    /// The arguments with these options behind the verb, where its own are. Anything else before a verb stays where it is, to be
    /// refused.
    static func moved(_ arguments: [String], of root: any ParsableCommand.Type) -> [String] {
        var verb: [String] = []
        var moved: [String] = []
        var command = root
        var rest = arguments[...]
        while let argument = rest.first, !command.configuration.subcommands.isEmpty {
            if let next = command.configuration.subcommands.first(where: { $0._commandName == argument }) {
                verb.append(argument)
                command = next
                rest = rest.dropFirst()
            } else if self.flags.contains(argument) || self.isWhole(argument) {
                moved.append(argument)
                rest = rest.dropFirst()
            } else if self.options.contains(argument), rest.count > 1 {
                moved += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else {
                return arguments
            }
        }
        return verb + moved + rest
    }

    /// Whether it is one of the options together with its value.
    private static func isWhole(_ argument: String) -> Bool {
        argument.firstIndex(of: "=").map { self.options.contains(String(argument[..<$0])) } ?? false
    }
}
