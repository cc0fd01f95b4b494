// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import TUF
import TrustClient

/// `hallmark pin`
struct PinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Make, sign and install bundles of pins: whose root is accepted for which collections.",
        discussion: """
            A bundle is a file that its holders sign and configuration management places in /etc/hallmark/pins.d. Which keys must \
            have signed it, pin_bundles of /etc/hallmark/client.yaml says.
            """,
        subcommands: [
            PinCreate.self, PinAdd.self, PinRemove.self, PinRenew.self, PinSign.self, PinShow.self, PinVerify.self,
            PinInstall.self,
        ]
    )
}

/// The file of a bundle.
struct PinFileArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The bundle's file.", valueName: "file"))
    var file: String

    var path: String { self.file.expandingTilde }

    func read() async throws -> PinBundleFile {
        let path = self.path
        return try await BlockingWork.run { try InstalledPins.read(path) }
    }

    func write(_ file: PinBundleFile) async throws {
        let path = self.path
        try await BlockingWork.run { try DurableFile.replace(path, with: file.document.bytes, permissions: 0o644) }
    }

    /// Changes what is to be signed. A version that somebody has signed stays what it is: the change is the next one.
    func change(_ change: (inout PinBundle) throws -> Void) async throws -> PinBundle {
        let file = try await self.read()
        var bundle = file.bundle
        try change(&bundle)
        if !file.document.signers.isEmpty {
            let (next, overflow) = bundle.version.addingReportingOverflow(1)
            guard !overflow else { throw CommandError(.failure, "\(self.path) has the highest version there is") }
            bundle.version = next
        }
        try await self.write(try PinBundleFile(bundle))
        return bundle
    }
}

/// `--expires`
struct PinExpiryOption: ParsableArguments {
    @Option(
        help: ArgumentHelp("For how long it may be used from now on, as 90d or 12h.", valueName: "time"),
        transform: TimeSpan.init(argument:)
    )
    var expires: TimeSpan?

    func apply(to bundle: inout PinBundle) {
        if let seconds = self.expires?.seconds { bundle.expires = Expiry(Date().addingTimeInterval(Double(seconds))) }
    }
}

/// What a bundle says, as JSON.
struct PinBundleReport: Encodable {
    struct Pin: Encodable {
        let match: String
        let keys: [String]?
        let ca: String?
    }

    let file: String
    let name: String
    let version: Int64
    let expires: String
    let firstUse: String
    let pins: [Pin]
    let signatures: [String]

    init(_ bundle: PinBundle, signers: [KeyID], path: String) {
        self.file = path
        self.name = bundle.name
        self.version = bundle.version
        self.expires = bundle.expires.text
        self.firstUse = bundle.refusesFirstUse ? "refuse" : "allow"
        self.pins = bundle.pins.map { pin in
            switch pin.anchor {
            case .keyIDs(let ids): Pin(match: pin.match, keys: ids.sorted().map(\.text), ca: nil)
            case .authorities(let authorities):
                Pin(match: pin.match, keys: nil, ca: String(decoding: authorities.pem, as: UTF8.self))
            }
        }
        self.signatures = signers.map(\.text)
    }

    /// The same for people.
    var text: String {
        let title = "\(self.file): \(self.name), version \(self.version), expires \(self.expires)"
        let signed =
            self.signatures.isEmpty ? "signed by nobody" : "signed by \(self.signatures.joined(separator: ", "))"
        let firstUse = self.firstUse == "refuse" ? "\nRefuses collections that are neither known nor pinned" : ""
        let rows = self.pins.map { [$0.match, $0.keys?.joined(separator: ", ") ?? "certificates of its CA"] }
        let table = rows.isEmpty ? "No pins" : Table(["NAME", "ROOT KEYS"], rows).text
        return TerminalText.line(title) + "\n" + TerminalText.line(signed) + firstUse + "\n\n" + table + "\n"
    }

    func write(_ output: OutputOptions) {
        if output.output == .json { JSONOutput.write(self) } else { print(self.text) }
    }
}

/// Who has to have signed a bundle.
struct PinSignerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A key that signs bundles, PEM; may be repeated. Default: those of the settings.",
            valueName: "file"
        )
    )
    var key: [String] = []

    @Option(help: ArgumentHelp("How many of the keys must have signed. Default: 1.", valueName: "number"))
    var threshold: Int?

    func validate() throws {
        if let threshold = self.threshold {
            guard !self.key.isEmpty, (1...self.key.count).contains(threshold) else {
                throw ValidationError("--threshold goes with as many --key, and is 1 at least")
            }
        }
    }

    func signers(_ settings: ClientSettings, for path: String) async throws -> PinSigners {
        let (files, threshold) =
            self.key.isEmpty
            ? settings.pinBundleKeys : (self.key.map(\.expandingTilde), self.threshold ?? 1)
        return try await BlockingWork.run { try InstalledPins.signers(files, threshold: threshold, needed: path) }
    }
}
