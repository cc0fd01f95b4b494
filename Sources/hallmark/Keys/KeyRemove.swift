// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import KeyStore
import TUF

/// `hallmark key remove`
struct KeyRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Destroy a key: its file, or the key on the hardware token.",
        discussion:
            "Who has no copy of it can never sign with it again. A key that is in both places goes from its file, with "
            + "--token from the token."
    )

    @Argument(help: ArgumentHelp("The key's id, or how it begins.", valueName: "id"))
    var key: String

    @Flag(help: "The one on the hardware token.")
    var token = false

    @Flag(name: [.customShort("y"), .long], help: "Do not ask.")
    var yes = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let store = try await self.trust.settings.keyStore()
        let id = try await store.entry(matching: self.key).id
        let places = try await store.list().filter { $0.id == id && (!self.token || $0.isOnToken) }
        guard let entry = places.first(where: { !$0.isOnToken }) ?? places.first else {
            throw KeyStoreError(.notFound, "the key \(id) is not on a token")
        }
        let place = entry.isOnToken ? entry.location : store.directory
        if !self.yes {
            try await Confirmation.require(
                "Are you sure you want to remove \(id) (role \(TerminalText.line(entry.role.text))) from \(place)?",
                "say --yes to remove \(id) from \(place)",
                otherwise: "Aborting action."
            )
        }
        if entry.isOnToken {
            try await store.token?.remove(id, passphrases: self.trust.passphrases)
        } else {
            try await store.remove(id)
        }
        if self.output.output == .json {
            JSONOutput.write(Report(removed: KeyReport(entry)))
        } else {
            print("\nDeleted \(id) (role \(TerminalText.line(entry.role.text))) from \(place).")
        }
    }

    private struct Report: Encodable {
        let removed: KeyReport
    }
}
