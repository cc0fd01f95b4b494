// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import NotaryAPI
import TUF
import TUFRepository

/// `hallmark key generate`
struct KeyGenerate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make a key in the trust directory, and hand out its public half.",
        discussion: """
            The root keys of a collection on a trust server are certificates in its name: --certificate GUN makes one and hands \
            that out.
            """
    )

    @Argument(
        help: ArgumentHelp(
            "ed25519, ecdsa-p256, ecdsa-p384 or rsa. Default: ed25519, of a certificate ecdsa-p256.",
            valueName: "kind"
        )
    )
    var algorithm: KeyAlgorithm?

    @Option(
        name: [.customShort("r"), .long],
        help: ArgumentHelp("What it is for: root, targets, snapshot, timestamp, or a name.", valueName: "role")
    )
    var role = "targets"

    @Option(
        name: .customLong("public"),
        help: ArgumentHelp(
            "Write the public key or certificate, PEM, to a file. Default: standard output.",
            valueName: "file"
        )
    )
    var publicFile: String?

    @Option(
        help: ArgumentHelp("Make a certificate of the key in the name of this collection.", valueName: "gun"),
        transform: GUN.init(argument:)
    )
    var certificate: GUN?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.certificate == nil || self.algorithm != .ed25519 else {
            throw ValidationError("a certificate takes a key of ecdsa-p256, ecdsa-p384 or rsa")
        }
    }

    func run() async throws {
        let key = try await self.generate()
        let text = key.type.isCertificate ? String(decoding: key.bytes, as: UTF8.self) : try PublicKeyFile.text(key)
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

    private func generate() async throws -> PublicKey {
        guard let gun = self.certificate else {
            let algorithm = (self.algorithm ?? .ed25519).algorithm
            return try await self.trust.signingKeys().generate(algorithm, for: RoleName(self.role))
        }
        let privateKey = try await PrivateKey.generate((self.algorithm ?? .p256).algorithm)
        // Before it is stored: what cannot be in a certificate need not be kept.
        let key = try PublicKey.rootCertificate(for: gun.text, signedBy: privateKey.certificateKey, at: Date())
        let store = try await KeyStore(trustDirectory: try self.trust.settings.trustDirectory)
        _ = try await store.add(privateKey, role: RoleName(self.role), passphrases: self.trust.passphrases)
        return key
    }

    private struct Report: Encodable {
        let id: String
        let file: String
        let role: String
        let publicKey: String
    }
}
