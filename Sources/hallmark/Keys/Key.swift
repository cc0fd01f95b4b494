// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import KeyStore
import TUF

/// `hallmark key`
struct Key: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The private keys of this machine.",
        subcommands: [
            KeyList.self, KeyGenerate.self, KeyImport.self, KeyExport.self, KeyPasswd.self, KeyRemove.self,
            KeyRotate.self,
        ]
    )
}

/// Which keys are meant.
struct KeyFilter: ParsableArguments {
    @Option(
        name: .customLong("role"),
        parsing: .singleValue,
        help: ArgumentHelp("Only keys of this role; may be repeated.", valueName: "role")
    )
    var roles: [String] = []

    @Option(
        name: .customLong("gun"),
        parsing: .singleValue,
        help: ArgumentHelp("Only keys of this collection; may be repeated.", valueName: "gun")
    )
    var guns: [String] = []

    func admits(_ entry: KeyStore.Entry) -> Bool {
        (self.roles.isEmpty || self.roles.contains(entry.role.text))
            && (self.guns.isEmpty || entry.gun.map { self.guns.contains($0) } ?? false)
    }
}

/// A key, as JSON.
struct KeyReport: Encodable {
    let id: String
    let role: String
    let gun: String?
    let location: String
    let encrypted: Bool
    let token: Bool

    init(_ entry: KeyStore.Entry) {
        self.id = entry.id.text
        self.role = entry.role.text
        self.gun = entry.gun
        self.location = entry.location
        self.encrypted = entry.isEncrypted
        self.token = entry.isOnToken
    }
}

/// `hallmark key list`
struct KeyList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the keys in the trust directory and on the hardware token. Needs no passphrase and no PIN."
    )

    @OptionGroup var filter: KeyFilter
    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let store = try await self.trust.settings.keyStore()
        let entries = try await store.list().filter { self.filter.admits($0) }.sorted(by: Self.precedes)
        if self.output.output == .json {
            JSONOutput.write(Report(keys: entries.map(KeyReport.init)))
            return
        }
        guard !entries.isEmpty else {
            print("\nNo signing keys found.\n")
            return
        }
        let rows = entries.map { [$0.role.text, Self.last(22, of: $0.gun ?? ""), $0.id.text, $0.location] }
        print("\n\(Table(["ROLE", "GUN", "KEY ID", "LOCATION"], rows).text)\n")
    }

    /// Root keys first, then by collection, role and id.
    private static func precedes(_ left: KeyStore.Entry, _ right: KeyStore.Entry) -> Bool {
        func order(_ entry: KeyStore.Entry) -> (Int, String, String, String) {
            (entry.role == .root ? 0 : 1, entry.gun ?? "", entry.role.text, entry.id.text)
        }
        return order(left) < order(right)
    }

    private static func last(_ count: Int, of text: String) -> String {
        text.count > count + 3 ? "..." + text.suffix(count) : text
    }

    private struct Report: Encodable {
        let keys: [KeyReport]
    }
}
