// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import KeyStore
import TUF

/// `hallmark key export`
struct KeyExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write keys of the trust directory to one file, encrypted as they are.",
        discussion: """
            Without --key, --role or --gun all of them. hallmark and notary import the file; docker takes one key at a time. With \
            --format openssl or scrypt a key is encrypted anew under the same passphrase, so that OpenSSL and hallmark read it, \
            and notary and docker do not. Nothing is ever written in clear, and nothing leaves a hardware token.
            """
    )

    /// How an export is encrypted.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case notary
        case openssl
        case scrypt
    }

    @Option(
        name: .customLong("key"),
        parsing: .singleValue,
        help: ArgumentHelp("Only this key, by its id or how it begins; may be repeated.", valueName: "id")
    )
    var keys: [String] = []

    @OptionGroup var filter: KeyFilter

    @Option(
        name: [.customShort("o"), .customLong("to")],
        help: ArgumentHelp("Where to write them. Default: standard output.", valueName: "file")
    )
    var file: String?

    @Option(help: ArgumentHelp("notary, openssl (PBKDF2 with SHA-256) or scrypt.", valueName: "format"))
    var format = Format.notary

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let store = try await self.trust.settings.keyStore()
        let entries = try await self.entries(store)
        var text = ""
        for entry in entries { text += try await self.exported(entry, store).serialized() }
        if let path = self.file?.expandingTilde {
            let bytes = Array(text.utf8)
            try await BlockingWork.run { try DurableFile.replace(path, with: bytes) }
        }
        if self.output.output == .json {
            JSONOutput.write(
                Report(keys: entries.map(KeyReport.init), file: self.file, pem: self.file == nil ? text : nil)
            )
        } else if self.file == nil {
            print(text, terminator: "")
        }
    }

    private func entries(_ store: KeyStore) async throws -> [KeyStore.Entry] {
        var named: Set<KeyID> = []
        for key in self.keys { named.insert(try await store.entry(matching: key).id) }
        var entries = try await store.list().filter {
            self.filter.admits($0) && (named.isEmpty || named.contains($0.id))
        }
        let inFiles = Set(entries.filter { !$0.isOnToken }.map(\.id))
        let onlyOnToken = entries.filter { $0.isOnToken && !inFiles.contains($0.id) }
        if let entry = onlyOnToken.first(where: { named.contains($0.id) }) { _ = try await store.export(entry.id) }
        for entry in onlyOnToken { Notice.write("The key \(entry.id) stays on \(entry.location)") }
        entries.removeAll(where: \.isOnToken)
        guard !entries.isEmpty else { throw KeyStoreError(.notFound, "no such key is in \(store.directory)") }
        return entries
    }

    private func exported(_ entry: KeyStore.Entry, _ store: KeyStore) async throws -> PrivateKeyPEM {
        let encryption: KeyEncryption
        switch self.format {
        case .notary: return try await store.export(entry.id)
        case .openssl: encryption = .openssl(iterations: KeyEncryption.opensslIterations)
        case .scrypt: encryption = .scrypt
        }
        return try await store.export(entry.id, as: encryption, passphrases: self.trust.passphrases)
    }

    private struct Report: Encodable {
        let keys: [KeyReport]
        let file: String?
        let pem: String?
    }
}
