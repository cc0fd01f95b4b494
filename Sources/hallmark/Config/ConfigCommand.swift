// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `hallmark config`
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Check and show the settings of hallmark serve.",
        discussion: """
            They come from files, HALLMARK_ variables and the options of hallmark serve. Files of notary-server and \
            notary-signer are taken as they are; config show tells what they became.
            """,
        subcommands: [ConfigCheck.self, ConfigShow.self]
    )
}
