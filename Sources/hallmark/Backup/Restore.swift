// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Database
import DurableFiles
import Foundation
import NotaryAPI
import Settings
import Synchronization
import TrustServer
import TrustSigner

/// `hallmark restore`
struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put a backup back, into a directory that is empty or not there.",
        discussion: """
            BACKUP is one backup (DEST/TIME), or the directory of several, of which the newest is taken. Every size and hash is checked; \
            the directory appears whole or not at all.

            Clients that have seen newer timestamps than the backup remembers would refuse what is put back: --advance signs the \
            timestamp of each collection again, and its snapshot where the server holds the key, with versions so far ahead. What was \
            published after the backup is not in it: those who did publish again.
            """
    )

    @Argument(help: ArgumentHelp("A backup, or the directory of several.", valueName: "backup"))
    var backup: String

    @Option(
        help: ArgumentHelp(
            "Leave out so many versions of timestamps and snapshots; 0 for none. Default: 1000, where the passphrase is at hand.",
            valueName: "number"
        )
    )
    var advance: Int64?

    @Option(
        name: .customLong("passphrase-file"),
        help: ArgumentHelp("The signer's passphrase, where the backup does not hold it.", valueName: "file")
    )
    var passphraseFile: String?

    @Flag(help: "Take blobs over as other names of the backup's files, where the file system can.")
    var linkBlobs = false

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var settings: SettingOptions<BackupSettings>
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (0...1_000_000).contains(self.advance ?? 0) else {
            throw ValidationError("--advance is a number from 0 to 1000000")
        }
    }

    func run() async throws {
        let settings = try self.configuration.loader(options: self.settings.given).loadOrExplain().values
        let alias = settings[SignerSettings.defaultAlias]
        let progress = StepProgress(isEnabled: self.output.output == .text)
        let reader = try await BackupReader.find(self.backup.expandingTilde)
        let count = try self.versions(of: reader, hasAlias: alias != nil)
        let data = settings[ServeSettings.data].expandingTilde
        let directory = data.count > 1 && data.hasSuffix("/") ? String(data.dropLast()) : data
        let (passphrase, links) = (self.passphraseFile?.expandingTilde, self.linkBlobs)
        let result = try await Interruption.guarding {
            defer { progress.clear() }
            let result = Mutex<VersionAdvance?>(nil)
            try await reader.restore(to: directory, passphraseFile: passphrase, links: links, progress: progress) {
                staging in
                guard count > 0 else { return }
                let advance = try await Self.advance(by: count, in: staging, alias, progress)
                result.withLock { $0 = advance }
            }
            return result.withLock { $0 }
        }
        self.report(reader, directory, result)
    }

    /// By how many versions to go on.
    private func versions(of reader: BackupReader, hasAlias: Bool) throws -> Int64 {
        let hasKeys = reader.manifest.contains(BackedUpFiles.signer) && reader.manifest.contains(BackedUpFiles.trust)
        let hasPassphrase =
            reader.manifest.passphrase || self.passphraseFile != nil || hasAlias
        guard let advance = self.advance else { return hasKeys && hasPassphrase ? 1000 : 0 }
        guard advance == 0 || hasKeys else {
            throw CommandError(
                .failure,
                "--advance needs the signer's keys, and \(reader.backup) does not hold them; say 0"
            )
        }
        guard advance == 0 || hasPassphrase else {
            throw CommandError(
                .failure,
                "--advance needs the signer's passphrase, which is not in \(reader.backup): name it with --passphrase-file, or say 0"
            )
        }
        return advance
    }

    private static func advance(
        by count: Int64,
        in directory: String,
        _ alias: String?,
        _ progress: StepProgress
    ) async throws -> VersionAdvance {
        let trust = try await SQLiteDatabase(path: "\(directory)/\(BackedUpFiles.trust)")
        let keys = try await SQLiteDatabase(path: "\(directory)/\(BackedUpFiles.signer)")
        do {
            let file = SignerPassphraseFile(path: "\(directory)/\(BackedUpFiles.passphrase)")
            let variables = try alias.map {
                try EnvironmentSignerPassphrases(environment: ProcessInfo.processInfo.environment, defaultAlias: $0)
            }
            let passphrases: any SignerPassphrases =
                variables.map { SignerPassphraseSources(variables: $0, file: file) } ?? file
            let signer = try await LocalSigner(database: keys, passphrases: passphrases)
            let result = try await TrustServer.advanceVersions(
                by: count,
                database: trust,
                signer: signer,
                progress: { progress.show("signing again: \($0) collections") }
            )
            try await trust.close()
            try await keys.close()
            return result
        } catch {
            try? await trust.close()
            try? await keys.close()
            if let error = error as? SignerError { throw CommandError(.failure, error.message) }
            throw error
        }
    }

    private func report(_ reader: BackupReader, _ directory: String, _ advance: VersionAdvance?) {
        if self.output.output == .json {
            var report = BackupReport(path: reader.backup, reader.manifest)
            report.data = directory
            report.advanced = advance?.advanced
            report.failed = advance.map { Dictionary(uniqueKeysWithValues: $0.failed.map { ($0.key.text, $0.value) }) }
            return JSONOutput.write(report)
        }
        print(TerminalText.line("Restored \(directory) from \(reader.backup), of \(reader.manifest.created)"))
        for (gun, reason) in (advance?.failed ?? [:]).sorted(by: { $0.key.text < $1.key.text }).prefix(20) {
            Notice.write("\(gun) keeps its versions: \(reason)")
        }
        if let advance {
            print("Signed \(advance.advanced) collections again, \(self.advance ?? 1000) versions ahead")
        } else if reader.manifest.contains(BackedUpFiles.trust) {
            Notice.write(
                "versions are those of the backup: clients that have seen newer timestamps since will refuse them as a rollback "
                    + "(--advance)"
            )
        }
        if !reader.manifest.passphrase, self.passphraseFile == nil, reader.manifest.contains(BackedUpFiles.signer) {
            Notice.write(
                "put the signer's passphrase into \(directory)/\(BackedUpFiles.passphrase) before hallmark serve starts"
            )
        }
    }
}
