// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DurableFiles
import TokenService

/// `hallmark user add`
struct UserAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a user; makes the file when there is none.",
        discussion: """
            The password comes from --password-file, --password-stdin, \(NewPassword.variable), or a prompt.
            """
    )

    @OptionGroup var arguments: UserArguments
    @OptionGroup var password: NewPassword

    func run() async throws {
        let (name, path) = (self.arguments.name, self.arguments.file.path)
        try UsersFile.check(name: name)
        let hash = try await self.password.hash(for: name)
        try await BlockingWork.wait { try UsersFileEditor(path: path).add(name, hash) }
        print("\(name) added to \(path)")
    }
}

/// `hallmark user passwd`
struct UserPasswd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd",
        abstract: "Give a user another password. Logins under the old one end.",
        discussion: """
            The password comes from --password-file, --password-stdin, \(NewPassword.variable), or a prompt.
            """
    )

    @OptionGroup var arguments: UserArguments
    @OptionGroup var password: NewPassword

    func run() async throws {
        let (name, path) = (self.arguments.name, self.arguments.file.path)
        let hash = try await self.password.hash(for: name)
        try await BlockingWork.wait { try UsersFileEditor(path: path).replace(name, hash) }
        print("\(name) has a new password in \(path)")
    }
}

/// `hallmark user remove`
struct UserRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove a user. Logins end, at the latest when the tokens that are out expire."
    )

    @OptionGroup var arguments: UserArguments

    func run() async throws {
        let (name, path) = (self.arguments.name, self.arguments.file.path)
        try await BlockingWork.wait { try UsersFileEditor(path: path).remove(name) }
        print("\(name) removed from \(path)")
    }
}
