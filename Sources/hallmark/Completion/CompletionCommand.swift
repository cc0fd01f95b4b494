// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `hallmark completion`
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Print what makes a shell complete verbs, options, collections, roles and key ids.",
        discussion: """
            For bash: hallmark completion bash >~/.local/share/bash-completion/completions/hallmark. For zsh, as _hallmark in a \
            directory of $fpath. For fish: ~/.config/fish/completions/hallmark.fish.
            """
    )

    /// A shell that can be told how to complete.
    enum Shell: String, ExpressibleByArgument, CaseIterable, Sendable {
        case bash
        case zsh
        case fish

        var parserShell: CompletionShell {
            switch self {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        }
    }

    @Argument(help: ArgumentHelp("bash, zsh or fish.", valueName: "shell"))
    var shell: Shell

    func run() throws {
        print(Hallmark.completionScript(for: self.shell.parserShell))
    }
}
