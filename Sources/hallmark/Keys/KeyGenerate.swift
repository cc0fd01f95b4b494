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

/// `hallmark key rotate`
struct KeyRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Stage new keys for a role: of a repository in a directory.",
        discussion: """
            With no --key a new one is made in the trust directory. The keys that are replaced sign once more if they are at \
            hand, so that no reader is refused meanwhile; a new root needs the signatures of the old root keys in any case. For \
            bins, ROLE is what their names begin with.
            """
    )

    @OptionGroup var repository: RepositoryArgument
    @Argument(help: ArgumentHelp("root, targets, snapshot, timestamp, or a delegated role.", valueName: "role"))
    var role: String

    @Option(
        name: .customLong("key"),
        parsing: .singleValue,
        help: ArgumentHelp("A public key, PEM, from now on; may be repeated.", valueName: "file")
    )
    var files: [String] = []

    @Flag(help: "Keep the keys that are there.")
    var keep = false

    @Option(
        name: .customLong("remove"),
        parsing: .singleValue,
        help: ArgumentHelp("Only remove this key; may be repeated.", valueName: "id")
    )
    var removed: [String] = []

    @Option(help: ArgumentHelp("How many keys must sign from now on.", valueName: "number"))
    var threshold: Int64?

    @Option(help: ArgumentHelp("Of the new key: ed25519, ecdsa-p256, ecdsa-p384 or rsa.", valueName: "kind"))
    var algorithm: KeyAlgorithm = .ed25519

    @Flag(name: [.customShort("p"), .long], help: "Publish at once.")
    var publish = false

    @OptionGroup var trust: TrustOptions

    func run() async throws {
        let directory = try self.repository.collection.directory(for: "key rotate")
        let role = RoleName(self.role)
        let stored = try await self.trust.signingKeys()
        let repository = StaticRepository(directory: directory, keys: stored)
        try await repository.requireRepository()
        var keys: [PublicKey] = []
        for file in self.files { keys.append(try await PublicKey(file: file)) }
        let onlyChanges = !self.removed.isEmpty || (self.keep && self.threshold != nil)
        if keys.isEmpty, !onlyChanges {
            let key = try await stored.generate(self.algorithm.algorithm, for: role)
            print("Made the \(TerminalText.line(self.role)) key \(key.id)")
            keys = [key]
        }
        let edit = StagedChange.KeysEdit(
            role: role,
            add: keys,
            remove: self.removed.map { KeyID($0) },
            replacesAll: !self.keep && self.removed.isEmpty,
            threshold: self.threshold
        )
        try await repository.stage([.keys(edit)])
        print("Rotation of the \(TerminalText.line(self.role)) keys staged.")
        if self.publish { try PublishReport.write(try await repository.publish(), directory: directory) }
    }
}
