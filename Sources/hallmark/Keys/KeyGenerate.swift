// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import KeyStore
import TUF
import TUFRepository

/// `hallmark key generate`
struct KeyGenerate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make a key in the trust directory, and hand out its public half."
    )

    @Argument(help: ArgumentHelp("ed25519, ecdsa-p256, ecdsa-p384 or rsa.", valueName: "kind"))
    var algorithm: KeyAlgorithm = .ed25519

    @Option(
        name: [.customShort("r"), .long],
        help: ArgumentHelp("What it is for: root, targets, snapshot, timestamp, or a name.", valueName: "role")
    )
    var role = "targets"

    @Option(
        name: .customLong("public"),
        help: ArgumentHelp("Write the public key, PEM, to a file. Default: standard output.", valueName: "file")
    )
    var publicFile: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let key = try await self.trust.signingKeys().generate(self.algorithm.algorithm, for: RoleName(self.role))
        let text = try PublicKeyFile.text(key)
        let file = try key.canonicalID
        if let path = self.publicFile?.expandingTilde {
            try await BlockingWork.run { try DurableFile.replace(path, with: Array(text.utf8), permissions: 0o644) }
        }
        if self.output.output == .json {
            JSONOutput.write(Report(id: key.id.text, file: "\(file).key", role: self.role, publicKey: text))
            return
        }
        if self.publicFile == nil { print(text, terminator: "") }
        Notice.write(
            "Made the \(self.role) key \(key.id) in \(try self.trust.settings.trustDirectory)/private/\(file).key"
        )
    }

    private struct Report: Encodable {
        let id: String
        let file: String
        let role: String
        let publicKey: String
    }
}
