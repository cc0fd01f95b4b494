// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import Settings

/// `hallmark backup`
struct Backup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy what hallmark serve keeps, while it serves.",
        discussion: """
            Makes DEST/TIME with a copy of each database as it is at one moment, certificates and other small files, and backup.json \
            with sizes and hashes; with --blobs also DEST/blobs, to which later backups add. Whatever is in the copied databases \
            has its keys and blobs in the backup. Nobody who writes waits for it.

            The keys of the server are in it, encrypted, and the passphrase is not, unless --with-passphrase: keep that on \
            another backup. Databases on PostgreSQL are backed up with pg_dump.
            """
    )

    @Argument(help: ArgumentHelp("The directory that backups are in; made if it is not there.", valueName: "dest"))
    var destination: String

    @Flag(help: "Copy the signer's passphrase too: who has the backup has the keys then.")
    var withPassphrase = false

    @Flag(help: "Copy the registry's blobs too: as other names of the same files where the file system can.")
    var blobs = false

    @Flag(help: "With --blobs: copy them in any case, so that a damaged file is not damaged in the backup too.")
    var copyBlobs = false

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var settings: SettingOptions<BackupSettings>
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !self.copyBlobs || self.blobs else { throw ValidationError("--copy-blobs goes with --blobs") }
    }

    func run() async throws {
        let settings = try self.configuration.loader(options: self.settings.given).loadOrExplain().values
        let progress = StepProgress(isEnabled: self.output.output == .text)
        let writer = BackupWriter(
            data: settings[ServeSettings.data].expandingTilde,
            destination: self.destination.expandingTilde,
            withPassphrase: self.withPassphrase,
            withBlobs: self.blobs,
            links: !self.copyBlobs,
            now: Date(),
            progress: progress
        )
        let (path, manifest) = try await Interruption.guarding {
            defer { progress.clear() }
            return try await writer.run()
        }
        if self.output.output == .json {
            return JSONOutput.write(BackupReport(path: path, manifest))
        }
        let bytes = manifest.files.reduce(0) { $0 + $1.size }
        var text = "Backed up \(writer.data) to \(path): \(manifest.files.count) files with \(bytes) bytes"
        if let blobs = manifest.blobs { text += ", \(blobs.count) blobs with \(blobs.bytes) bytes" }
        print(TerminalText.line(text))
        if manifest.contains(BackedUpFiles.signer), !manifest.passphrase {
            Notice.write(
                "the signer's passphrase is not in it: keep that elsewhere, without it the keys cannot be used"
            )
        }
    }
}

/// What `hallmark backup` and `restore` print for programs.
struct BackupReport: Encodable {
    let backup: String
    let created: String
    let files: [BackupManifest.File]
    let blobs: BackupManifest.Blobs?
    let passphrase: Bool
    var data: String?
    var advanced: Int?
    var failed: [String: String]?

    init(path: String, _ manifest: BackupManifest) {
        self.backup = path
        self.created = manifest.created
        self.files = manifest.files
        self.blobs = manifest.blobs
        self.passphrase = manifest.passphrase
    }
}
