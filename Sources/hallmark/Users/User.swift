// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation

/// `hallmark user`
struct User: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Add and remove the users of hallmark serve --users.",
        discussion: """
            The file is an htpasswd file, with bcrypt: a line a user, the name and the hash of the password. A server that runs takes \
            up changes within a second or two.
            """,
        subcommands: [UserAdd.self, UserPasswd.self, UserRemove.self, UserList.self]
    )
}

/// Which file, and who in it.
struct UserArguments: ParsableArguments {
    @Argument(help: "The user's name.")
    var name: String

    @OptionGroup var file: UsersFileArgument
}

/// The file that a command works on.
struct UsersFileArgument: ParsableArguments {
    @Option(name: .customLong("users"), help: ArgumentHelp("The file of users.", valueName: "file"))
    var users: String

    /// With the home directory for `~`.
    var path: String { self.users.expandingTilde }
}
