// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import TokenService

/// Where a new password comes from: never an argument, which others on the machine can see.
struct NewPassword: ParsableArguments {
    static let variable = "HALLMARK_USER_PASSWORD"
    private static let minimumLength = 8
    private static let maximumInput = 4_096

    @Option(help: ArgumentHelp("Take the password from the first line of a file.", valueName: "file"))
    var passwordFile: String?

    @Flag(help: "Take the password from the first line of standard input.")
    var passwordStdin = false

    @Option(help: ArgumentHelp("What the hash costs: each more doubles the time of a login.", valueName: "number"))
    var cost = BcryptHash.defaultCost

    func validate() throws {
        guard self.passwordFile == nil || !self.passwordStdin else {
            throw ValidationError("--password-file and --password-stdin exclude each other")
        }
        guard BcryptHash.costs.contains(self.cost) else {
            throw ValidationError("--cost is \(BcryptHash.costs.lowerBound) to \(BcryptHash.costs.upperBound)")
        }
    }

    /// The hash of the password, which is asked for where nothing else has it.
    /// - Throws: ``CommandError``, `UsersFileError`.
    func hash(for user: String) async throws -> BcryptHash {
        let password = try await self.password(for: user)
        guard password.count >= Self.minimumLength else {
            throw CommandError(.failure, "the password is too short: it needs \(Self.minimumLength) characters")
        }
        let cost = self.cost
        return try await BlockingWork.run { try BcryptHash.make(password, cost: cost) }
    }

    private func password(for user: String) async throws -> String {
        if let path = self.passwordFile?.expandingTilde {
            let bytes = try await BlockingWork.wait { try DurableFile.read(path, limit: Self.maximumInput) }
            guard let bytes else { throw CommandError(.failure, "there is no \(path)") }
            return try Self.firstLine(bytes, of: path)
        }
        if self.passwordStdin {
            let bytes = try await BlockingWork.wait {
                try FileHandle.standardInput.read(upToCount: Self.maximumInput).map(Array.init) ?? []
            }
            return try Self.firstLine(bytes, of: "standard input")
        }
        if let password = ProcessInfo.processInfo.environment[Self.variable], !password.isEmpty { return password }
        return try await self.ask(for: user)
    }

    private func ask(for user: String) async throws -> String {
        let terminal = StandardTerminal()
        guard terminal.isInteractive else {
            throw CommandError(
                .failure,
                "no password for \(user): give --password-stdin or --password-file, set \(Self.variable), or run on a terminal"
            )
        }
        let password = try await self.line(terminal, "New password for \(user): ")
        guard try await self.line(terminal, "Repeat it: ") == password else {
            throw CommandError(.failure, "the two passwords are not the same")
        }
        return password
    }

    private func line(_ terminal: StandardTerminal, _ prompt: String) async throws -> String {
        try await terminal.write(prompt)
        let line = try await terminal.readSecret()
        try await terminal.write("\n")
        guard let line else { throw CommandError(.failure, "the input ended where a password was expected") }
        return line
    }

    private static func firstLine(_ bytes: [UInt8], of origin: String) throws -> String {
        var line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty, let password = String(validating: line, as: UTF8.self) else {
            throw CommandError(.failure, "\(origin) has no password in its first line")
        }
        return password
    }
}
