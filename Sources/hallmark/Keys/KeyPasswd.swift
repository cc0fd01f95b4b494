// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Database
import Foundation
import Logging
import Settings
import TUF
import TrustSigner

/// `hallmark key passwd`
struct KeyPasswd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd",
        abstract: "Store a signer's keys under a new passphrase, while it serves.",
        discussion: """
            Without NOTARY_SIGNER_DEFAULT_ALIAS a new random passphrase is made in a file beside the old one. With it, the keys \
            are stored under the alias that it names: start the signer with NOTARY_SIGNER_<ALIAS> of the old and the new alias \
            first. What has stored the keys before is not needed any more afterwards, but for backups.
            """
    )

    @Flag(name: .customLong("signer"), help: "The keys of the signer of hallmark serve.")
    var isSigner = false

    @OptionGroup var configuration: ConfigurationOptions

    @OptionGroup var signerKeys: SettingOptions<SignerKeySettings>

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.isSigner else { throw ValidationError("say --signer: no other passphrase is changed by this") }
    }

    func run() async throws {
        CoreDumps.hideMemory()
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
