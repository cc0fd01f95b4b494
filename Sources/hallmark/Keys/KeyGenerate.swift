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
            "ed25519, ecdsa-p256 (or ecdsa), ecdsa-p384 or rsa. Default: ed25519; of a certificate, with -o and on a token "
                + "ecdsa-p256.",
            valueName: "kind"
        )
    )
    var algorithm: KeyAlgorithm?

    @Option(
        name: [.customShort("r"), .customLong("role")],
        help: ArgumentHelp(
            "What it is for: root, targets, snapshot, timestamp, or a name. Default: targets, with -o root.",
            valueName: "role"
        )
    )
    var givenRole: String?

    @Option(
        name: [.customShort("o"), .customLong("files")],
        help: ArgumentHelp(
            "Write NAME-key.pem, encrypted, and NAME.pem with its public half, and nothing into the trust directory.",
            valueName: "name"
        )
    )
    var name: String?

    @Flag(help: "Make it on the hardware token (HALLMARK_PKCS11_MODULE), from where it cannot be taken.")
    var token = false

    private var role: String { self.givenRole ?? (self.name == nil ? "targets" : "root") }

    private var kind: PrivateKey.Algorithm {
        let isECDSA = self.certificate != nil || self.name != nil || self.token
        return (self.algorithm ?? (isECDSA ? .p256 : .ed25519)).algorithm
    }

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
        guard self.name == nil || (!self.token && self.certificate == nil && self.publicFile == nil) else {
            throw ValidationError("-o writes two files of its own: leave --token, --certificate and --public out")
        }
    }

    func run() async throws {
        if let name = self.name?.expandingTilde { return try await self.writeFiles(name) }
        let (key, place) = try await self.generate()
        let text = key.type.isCertificate ? String(decoding: key.bytes, as: UTF8.self) : try PublicKeyFile.text(key)
        if let path = self.publicFile?.expandingTilde {
            try await BlockingWork.run { try DurableFile.replace(path, with: Array(text.utf8), permissions: 0o644) }
        }
        if self.output.output == .json {
            let file = self.token ? nil : "\(try key.canonicalID).key"
            JSONOutput.write(
                Report(id: key.id.text, file: file, location: place, role: self.role, publicKey: text)
            )
            return
        }
        if self.publicFile == nil { print(text, terminator: "") }
        Notice.write("Made the \(self.role) key \(key.id) in \(place)")
    }

    /// Makes the key where it is to be.
    private func generate() async throws -> (key: PublicKey, place: String) {
        let store = try await self.trust.settings.keyStore()
        let role = RoleName(self.role)
        if self.token {
            guard let token = store.token else {
                throw KeyStoreError(
                    .token,
                    "no token is used: \(TokenSettings.moduleVariable) names the library of its vendor"
                )
            }
            let key = try await token.generate(self.kind, role: role, passphrases: self.trust.passphrases)
            let place = try await store.entry(key.publicKey.id)?.location ?? "the token"
            return (try await self.listed(key), place)
        }
        let privateKey = try await PrivateKey.generate(self.kind)
        // Before it is stored: what cannot be in a certificate need not be kept.
        let key = try await self.listed(privateKey)
        let entry = try await store.add(privateKey, role: role, passphrases: self.trust.passphrases)
        return (key, entry.location)
    }

    private func listed(_ key: any UnlockedKey) async throws -> PublicKey {
        guard let gun = self.certificate else { return try key.publicKey.spelled(in: .tuf) }
        return try await key.rootCertificate(for: gun.text, at: Date())
    }

    /// The two files that notary writes.
    private func writeFiles(_ name: String) async throws {
        let (privateFile, publicFile) = ("\(name)-key.pem", "\(name).pem")
        for path in [privateFile, publicFile] where FileManager.default.fileExists(atPath: path) {
            throw CommandError(.failure, "\(path) is there already; nothing is made")
        }
        let key = try await PrivateKey.generate(self.kind)
        let attributes = KeyAttributes(role: RoleName(self.role))
        let request = PassphraseRequest(purpose: .create, keyID: key.publicKey.id, role: attributes.role)
        guard let passphrase = try await self.trust.passphrases.passphrase(for: request) else {
            throw request.unavailable
        }
        let encryption = try KeyEncryption(environment: ProcessInfo.processInfo.environment)
        let publicText = try PublicKeyFile.text(key.publicKey, role: attributes.role)
        try await BlockingWork.run {
            let pem = try PrivateKeyPEM(key, attributes: attributes, passphrase: passphrase, encryption: encryption)
            try DurableFile.replace(privateFile, with: Array(pem.serialized().utf8))
            try DurableFile.replace(publicFile, with: Array(publicText.utf8), permissions: 0o644)
        }
        if self.output.output == .json {
            JSONOutput.write(
                Report(
                    id: key.publicKey.id.text,
                    file: privateFile,
                    location: privateFile,
                    role: self.role,
                    publicKey: publicText
                )
            )
        } else {
            let kind = key.publicKey.type
            print("Generated new \(kind) \(self.role) key with keyID: \(key.publicKey.id)")
        }
    }

    private struct Report: Encodable {
        let id: String
        let file: String?
        let location: String
        let role: String
        let publicKey: String
    }
}
