// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import KeyStore
import TUF

/// `hallmark key import`
struct KeyImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Bring private keys of files into the trust directory, or onto the hardware token.",
        discussion: """
            Takes exports of hallmark and notary, keys of docker and notary, and OpenSSL's: PKCS#8 (encrypted or not), SEC1 and \
            PKCS#1; also several keys in one file. A key that is not encrypted is encrypted under a new passphrase. What a file \
            says of role and collection counts; --role and --gun are for those that do not say.
            """
    )

    @Argument(help: ArgumentHelp("Files of private keys, PEM.", valueName: "file"))
    var files: [String]

    @Option(
        name: [.customShort("r"), .long],
        help: ArgumentHelp("What keys sign whose file does not say. Default: delegation.", valueName: "role")
    )
    var role = "delegation"

    @Option(
        name: [.customShort("g"), .long],
        help: ArgumentHelp(
            "The collection of targets and snapshot keys whose file does not say.",
            valueName: "gun"
        )
    )
    var gun: String?

    @Flag(help: "Put them on the hardware token, and nowhere else.")
    var token = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let store = try await self.trust.settings.keyStore()
        let passphrases = self.trust.passphrases
        var report = Report()
        files: for path in self.files {
            do {
                let bytes = try await BlockingWork.run {
                    try DurableFile.read(path.expandingTilde, limit: PEMBlock.maximumFileSize)
                }
                guard let bytes else { throw CommandError(.failure, "there is no such file") }
                let keys = try PrivateKeyPEM.all(in: String(decoding: bytes, as: UTF8.self))
                for (index, key) in keys.enumerated() {
                    do {
                        report.imported.append(KeyReport(try await self.take(key, store, passphrases)))
                    } catch let error as KeyStoreError {
                        let place = keys.count > 1 ? "key \(index + 1): " : ""
                        report.failures.append(.init(file: path, reason: place + error.message))
                        // Each further key would cost the token another try.
                        if self.token, [.attemptsExceeded, .passphraseUnavailable].contains(error.code) { break files }
                    }
                }
            } catch {
                report.failures.append(.init(file: path, reason: "\(error)"))
            }
        }
        if self.output.output == .json { JSONOutput.write(report) }
        for key in report.imported where self.output.output == .text {
            Notice.write("Imported the \(key.role) key \(key.id) into \(key.location)")
        }
        guard report.failures.isEmpty else {
            let reasons = report.failures.map { "\($0.file): \($0.reason)" }
            throw CommandError(.failure, "failed to import all keys: \(reasons.joined(separator: "; "))")
        }
    }

    private func take(
        _ file: PrivateKeyPEM,
        _ store: KeyStore,
        _ passphrases: any PassphraseSource
    ) async throws -> KeyStore.Entry {
        var file = file
        if file.attributes.role.text.isEmpty { file.attributes.role = RoleName(self.role) }
        let role = file.attributes.role
        if KeyAttributes.belongsToCollection(role), file.attributes.gun == nil {
            guard let gun = self.gun else {
                throw KeyStoreError(.invalidName, "a key of \(role) belongs to a collection: name it with --gun")
            }
            file.attributes.gun = gun
        }
        guard self.token else { return try await store.importKey(file, passphrases: passphrases) }
        guard let token = store.token else {
            throw KeyStoreError(
                .token,
                "no token is used: \(TokenSettings.moduleVariable) names the library of its vendor"
            )
        }
        let key = try await file.unlocked(by: passphrases)
        return KeyStore.Entry(
            try await token.add(key, role: role, gun: file.attributes.gun, passphrases: passphrases)
        )
    }

    private struct Report: Encodable {
        struct Failure: Encodable {
            let file: String
            let reason: String
        }

        var imported: [KeyReport] = []
        var failures: [Failure] = []
    }
}
