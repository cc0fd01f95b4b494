// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import OCI
import TUF
import TrustClient

/// `hallmark signer`
struct SignerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "signer",
        abstract: "Say who may sign the tags of images, as docker trust signer does.",
        discussion: """
            A signer's keys sign two roles: targets/NAME, which says who it was, and targets/releases, which is what counts. \
            hallmark delegation changes roles one by one.
            """,
        subcommands: [SignerAdd.self, SignerRemove.self, SignerList.self]
    )
}

/// `hallmark signer add`
struct SignerAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Let somebody sign tags. A repository that has no trust data yet is made."
    )

    @Option(
        name: .customLong("key"),
        parsing: .singleValue,
        help: ArgumentHelp("Their public key or certificate, PEM; may be repeated.", valueName: "file")
    )
    var keys: [String] = []

    @Argument(help: ArgumentHelp("What to call them.", valueName: "name"))
    var name: String

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME", valueName: "repository"),
        completion: .collections,
        transform: InspectedImage.init(repository:)
    )
    var repositories: [InspectedImage]

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !self.keys.isEmpty else {
            throw ValidationError("path to a public key must be provided using the `--key` flag")
        }
    }

    func run() async throws {
        let images = try self.trust.images
        let keys = try await images.signerKeys(files: self.keys.map(\.expandingTilde))
        var report = SignerReport(signer: self.name)
        for repository in self.repositories {
            do {
                let added = try await images.addSigner(self.name, keys: keys, to: repository.reference)
                report.repositories.append(.init(name: added.gun, newRootKeys: added.newRootKeyIDs.map(\.text)))
                if self.output.output == .text {
                    SigningReport.showNewKeys(added.newRootKeyIDs, gun: added.gun, self.trust)
                    print("Added signer \(self.name) to \(added.gun)")
                }
            } catch {
                report.finish(self.output)
                throw error
            }
        }
        report.finish(self.output)
    }
}

/// `hallmark signer remove`
struct SignerRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Let somebody no longer sign tags.",
        discussion: """
            Their role and their key go. What they released is signed again with a signer's key that is here; when there is \
            none, or they are the last signer, tags would stop counting: then this is refused without --force.
            """
    )

    @Argument(help: ArgumentHelp("The signer.", valueName: "name"))
    var name: String

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME", valueName: "repository"),
        completion: .collections,
        transform: InspectedImage.init(repository:)
    )
    var repositories: [InspectedImage]

    @Flag(name: [.customShort("f"), .long], help: "Also when tags stop counting for it.")
    var force = false

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let images = try self.trust.images
        var report = SignerReport(signer: self.name)
        for repository in self.repositories {
            do {
                try await images.removeSigner(self.name, from: repository.reference, force: self.force)
            } catch {
                report.finish(self.output)
                throw (error as? ContentTrustError).flatMap {
                    $0.code == .lastSigner
                        ? ContentTrustError($0.code, "\($0.message). Add another signer first, or say --force") : nil
                } ?? error
            }
            report.repositories.append(.init(name: repository.reference.gun, newRootKeys: []))
            if self.output.output == .text { print("Removed signer \(self.name) from \(repository.reference.gun)") }
        }
        report.finish(self.output)
    }
}

/// `hallmark signer list`
struct SignerList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Show who may sign tags.")

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME", valueName: "repository"),
        completion: .collections,
        transform: InspectedImage.init(repository:)
    )
    var repository: InspectedImage

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let repository = try await self.trust.images.inspect(self.repository.reference)
        if self.output.output == .json {
            JSONOutput.write(Report(repository))
            return
        }
        Notice.show(gun: repository.gun, firstUse: repository.firstUse, warnings: repository.warnings)
        guard !repository.signers.isEmpty else {
            print("\(repository.gun) has no signers: its owner signs with the repository key")
            return
        }
        let rows = repository.signers.map { [$0.name, $0.keyIDs.map(\.text).joined(separator: ", ")] }
        print(TerminalText.lines(Table(["SIGNER", "KEYS"], rows).text))
    }

    private struct Report: Encodable {
        let name: String
        let signers: [SignerEntry]
        let trust: TrustReport

        init(_ repository: TrustedRepository) {
            self.name = repository.gun
            self.signers = repository.signers.map { SignerEntry(name: $0.name, keys: $0.keyIDs.map(\.text)) }
            self.trust = TrustReport(
                firstUse: repository.firstUse,
                freshness: repository.freshness,
                warnings: repository.warnings
            )
        }
    }
}

/// A signer, as JSON.
struct SignerEntry: Encodable {
    let name: String
    let keys: [String]
}

/// What changed of a signer, as JSON.
private struct SignerReport: Encodable {
    struct Repository: Encodable {
        let name: String
        let newRootKeys: [String]
    }

    let signer: String
    var repositories: [Repository] = []

    func finish(_ output: OutputOptions) {
        if output.output == .json, !self.repositories.isEmpty { JSONOutput.write(self) }
    }
}
