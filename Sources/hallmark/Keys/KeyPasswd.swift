// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Database
import Foundation
import KeyStore
import Logging
import Settings
import TUF
import TrustSigner

/// `hallmark key passwd`
struct KeyPasswd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd",
        abstract: "Change the passphrase of a key, or of all keys of a signer while it serves.",
        discussion: """
            Of a key: the passphrase until now comes from where passphrases come from, the new one from --new-passphrase-file, \
            HALLMARK_NEW_PASSPHRASE or a prompt.

            Of a signer, with --signer: without NOTARY_SIGNER_DEFAULT_ALIAS a new random passphrase is made in a file beside the old one. With it, the keys \
            are stored under the alias that it names: start the signer with NOTARY_SIGNER_<ALIAS> of the old and the new alias \
            first. What has stored the keys before is not needed any more afterwards, but for backups.
            """
    )

    @Argument(help: ArgumentHelp("The key's id, or how it begins.", valueName: "id"))
    var key: String?

    @Option(
        name: [.customShort("d"), .customLong("trust-dir"), .customLong("trustDir")],
        help: ArgumentHelp("Where the key is. Default: ~/.docker/trust.", valueName: "dir")
    )
    var trustDirectory: String?

    @Option(
        name: .customLong("passphrase-file"),
        help: ArgumentHelp("Read the passphrase until now from the first line of a file.", valueName: "file")
    )
    var passphraseFile: String?

    @Option(
        name: .customLong("passphrase-command"),
        help: ArgumentHelp("Read it from the first line that a program prints.", valueName: "command")
    )
    var passphraseCommand: String?

    @Option(
        name: .customLong("new-passphrase-file"),
        help: ArgumentHelp("Read the new passphrase from the first line of a file.", valueName: "file")
    )
    var newPassphraseFile: String?

    @Flag(name: .customLong("signer"), help: "The keys of the signer of hallmark serve.")
    var isSigner = false

    @OptionGroup var configuration: ConfigurationOptions

    @OptionGroup var signerKeys: SettingOptions<SignerKeySettings>

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.isSigner != (self.key != nil) else {
            throw ValidationError("name a key by its id, or say --signer")
        }
    }

    func run() async throws {
        CoreDumps.hideMemory()
        if let key = self.key { return try await self.change(key) }
        let settings = try self.configuration.loader(options: self.signerKeys.given).loadOrExplain().values
        let storage = ServiceDatabase(service: .signer, settings: settings)
        if storage.postgreSQL == nil {
            guard FileManager.default.fileExists(atPath: storage.path) else {
                throw CommandError(
                    .failure,
                    "there is no \(storage.path): name the directory of hallmark serve with --data"
                )
            }
        }
        let database = try await storage.open(logger: Logger(label: "hallmark") { _ in SwiftLogNoOpLogHandler() })
        let passphrases = try SignerParts.passphrases(settings)
        let result: LocalSigner.Reencryption
        let alias: String
        do {
            // Opened with the old passphrase: it is known to be right before a new one is made.
            let signer = try await LocalSigner(database: database, passphrases: passphrases)
            if settings[SignerSettings.defaultAlias] == nil {
                alias = try await SignerParts.passphraseFile(settings).renew()
            } else {
                alias = passphrases.defaultAlias
            }
            result = try await signer.reencrypt(to: alias)
        } catch {
            try? await database.close()
            throw error
        }
        try await database.close()
        try self.report(result, alias)
    }

    private func change(_ name: String) async throws {
        let environment = ProcessInfo.processInfo.environment
        let settings = try ClientSettings(
            trustDirectory: self.trustDirectory,
            configurationFile: self.configuration.config.first
        )
        let store = try await settings.keyStore()
        let id = try await store.entry(matching: name).id
        let prompt = PassphrasePrompt(terminal: StandardTerminal(), wording: .docker)
        var old: [any PassphraseSource] = []
        if let file = self.passphraseFile { old.append(PassphraseFile(path: file.expandingTilde)) }
        if let command = self.passphraseCommand {
            old.append(PassphraseCommand(command.split(separator: " ").map(String.init), environment: environment))
        }
        var new: [any PassphraseSource] = []
        if let file = self.newPassphraseFile { new.append(PassphraseFile(path: file.expandingTilde)) }
        if let text = environment["HALLMARK_NEW_PASSPHRASE"], !text.isEmpty {
            new.append(FixedPassphrase(Passphrase(text)))
        }
        try await store.changePassphrase(
            id,
            old: PassphraseChain(old + [EnvironmentPassphrases(environment), prompt]),
            new: PassphraseChain(new + [prompt])
        )
        if self.output.output == .json {
            JSONOutput.write(["id": id.text])
        } else {
            print("\nSuccessfully updated passphrase for key ID: \(id)")
        }
    }

    private func report(_ result: LocalSigner.Reencryption, _ alias: String) throws {
        if self.output.output == .json {
            JSONOutput.write(
                Report(
                    alias: alias,
                    count: result.count,
                    failures: Dictionary(uniqueKeysWithValues: result.failures.map { ($0.key.text, $0.value) })
                )
            )
        } else {
            print("\(result.count) keys are now stored under the passphrase of alias \(alias).")
        }
        guard result.failures.isEmpty else {
            let reasons = result.failures.sorted { $0.key.text < $1.key.text }.prefix(10).map(\.value)
            throw CommandError(
                .failure,
                "\(result.failures.count) keys stay as they were: \(reasons.joined(separator: "; "))"
            )
        }
    }

    private struct Report: Encodable {
        let alias: String
        let count: Int
        let failures: [String: String]
    }
}
