// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DurableFiles
import Foundation
import TokenService

/// `hallmark user list`
struct UserList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the users, and the lines that let nobody log in."
    )

    @OptionGroup var file: UsersFileArgument
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let path = self.file.path
        let users = try await BlockingWork.wait { try UsersFileEditor(path: path).read() }
        let names = users.hashes.keys.sorted()
        if self.output.output == .json {
            JSONOutput.write(
                Report(
                    users: names.map { Report.User(name: $0, cost: users.hashes[$0]?.cost ?? 0) },
                    problems: users.problems.map { Report.Problem(line: $0.line, message: $0.error.message) }
                )
            )
            return
        }
        print(Table(["USER", "COST"], names.map { [$0, "\(users.hashes[$0]?.cost ?? 0)"] }).text)
        for problem in users.problems {
            FileHandle.standardError.write(Data("\(path):\(problem)\n".utf8))
        }
    }

    private struct Report: Encodable {
        struct User: Encodable {
            let name: String
            let cost: Int
        }

        struct Problem: Encodable {
            let line: Int
            let message: String
        }

        let users: [User]
        let problems: [Problem]
    }
}
