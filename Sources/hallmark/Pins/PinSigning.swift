// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import KeyStore
import TUF
import TrustClient

/// `hallmark pin sign`
struct PinSign: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign a bundle with the keys for it that are here, beside those who signed it before.",
        discussion: "hallmark key generate --role pins --public FILE makes such a key, and hands out its public half."
    )

    @OptionGroup var file: PinFileArgument

    @Option(help: ArgumentHelp("Sign with this key. Default: all of the role pins.", valueName: "key-id"))
    var keyID: [String] = []

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let file = try await self.file.read()
        let store = try await KeyStore(trustDirectory: try self.trust.settings.trustDirectory)
        var ids = self.keyID.map { KeyID($0) }
        if ids.isEmpty { ids = try await store.list().filter { $0.role.text == "pins" }.map(\.id) }
        guard !ids.isEmpty else {
            throw CommandError(
                .failure,
                "no key for pin bundles is here: hallmark key generate --role pins makes one, --key-id names another"
            )
        }
        let passphrases = self.trust.passphrases
        var keys: [any SigningKey] = []
        for id in ids { keys.append(try await store.key(id, passphrases: passphrases)) }
        let signed = try await file.adding(signaturesOf: keys)
        try await self.file.write(signed)
        PinBundleReport(signed.bundle, signers: signed.document.signers, path: self.file.path).write(self.output)
    }
}

/// `hallmark pin show`
struct PinShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print what a bundle says, unverified; without a file, the bundles that count on this machine."
    )

    @Argument(help: ArgumentHelp("The bundle's file.", valueName: "file"))
    var file: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        if let path = self.file?.expandingTilde {
            let file = try await BlockingWork.run { try InstalledPins.read(path) }
            PinBundleReport(file.bundle, signers: file.document.signers, path: path).write(self.output)
            return
        }
        let settings = try self.trust.settings
        let entries = try await BlockingWork.run { try settings.pinBundles(at: Date()) }
        let reports = entries.map { PinBundleReport($0.bundle, signers: $0.signers, path: $0.path) }
        if self.output.output == .json {
            JSONOutput.write(Report(bundles: reports))
        } else if reports.isEmpty {
            print("No pin bundle counts here.")
        } else {
            for report in reports { print(report.text) }
        }
    }

    private struct Report: Encodable {
        let bundles: [PinBundleReport]
    }
}

/// `hallmark pin verify`
struct PinVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check that a bundle is signed as it must be, in force, and no older than one seen here."
    )

    @OptionGroup var file: PinFileArgument
    @OptionGroup var signers: PinSignerOptions
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let (file, ids) = try await Self.verify(self.file, self.signers, try self.trust.settings)
        PinBundleReport(file.bundle, signers: ids, path: self.file.path).write(self.output)
    }

    static func verify(
        _ argument: PinFileArgument,
        _ options: PinSignerOptions,
        _ settings: ClientSettings
    ) async throws -> (PinBundleFile, [KeyID]) {
        let path = argument.path
        let file = try await argument.read()
        let signers = try await options.signers(settings, for: path)
        let ids = try file.verify(by: signers, path: path)
        try file.bundle.requireCurrent(at: Date(), path: path)
        let installed = InstalledPins(trustDirectory: settings.trustDirectory)
        try await BlockingWork.run { try installed.remember(file, by: signers, path: path) }
        return (file, ids)
    }
}

/// `hallmark pin install`
struct PinInstall: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install",
        abstract: "Verify a bundle and put it where it counts, in place of an older version.",
        discussion: """
            As root that is /etc/hallmark/pins.d, else hallmark/pins.d in $XDG_CONFIG_HOME or ~/.config. It counts there when the \
            pin_bundles of the client.yaml beside that directory name its keys.
            """
    )

    @OptionGroup var file: PinFileArgument
    @OptionGroup var signers: PinSignerOptions

    @Option(help: ArgumentHelp("Put it into this directory.", valueName: "dir"))
    var to: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let settings = try self.trust.settings
        let (file, ids) = try await PinVerify.verify(self.file, self.signers, settings)
        guard let directory = self.to?.expandingTilde ?? ClientSettings.pinDirectory else {
            throw CommandError(.usage, "there is no home directory to install into: name one with --to")
        }
        let path = "\(directory)/\(file.bundle.name).json"
        try await BlockingWork.run {
            try InstalledPins.requireNewer(file.bundle, than: path)
            try DurableFile.makeDirectory(directory, permissions: 0o755)
            try DurableFile.replace(path, with: file.document.bytes, permissions: 0o644)
        }
        PinBundleReport(file.bundle, signers: ids, path: path).write(self.output)
    }
}
