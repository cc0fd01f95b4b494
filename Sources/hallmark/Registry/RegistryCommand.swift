// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `hallmark registry`
struct RegistryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Look after the registry of hallmark serve, while it serves or not.",
        discussion: """
            These work on the registry's own storage and database, which they find by the settings of hallmark serve: its \
            files, HALLMARK_ variables and options.
            """,
        subcommands: [RegistryCollect.self, RegistryScrub.self, RegistryImportCommand.self]
    )
}
