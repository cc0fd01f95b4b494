// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import OCI
import TUF
import TrustClient

/// `hallmark inspect`
struct Inspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what is signed of an image: tags, digests, signers, keys."
    )

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME, or with :TAG for that one.", valueName: "image"),
        completion: .collections,
        transform: InspectedImage.init(argument:)
    )
    var image: InspectedImage

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let repository = try await self.trust.images.inspect(self.image.reference, tag: self.image.tag)
        if self.output.output == .json {
            JSONOutput.write(Report(repository))
            return
        }
        Notice.show(gun: repository.gun, firstUse: repository.firstUse, warnings: repository.warnings)
        print(TerminalText.lines(Self.text(repository)))
    }

    private static func text(_ repository: TrustedRepository) -> String {
        var parts = ["Signatures for \(repository.gun)"]
        if repository.tags.isEmpty {
            parts.append("No tag is signed.")
        } else {
            let rows = repository.tags.map { tag in
                let signers = tag.signers.isEmpty ? "(Repo Admin)" : tag.signers.joined(separator: ", ")
                return [tag.name, tag.digest?.description ?? "-", signers]
            }
            parts.append(Table(["SIGNED TAG", "DIGEST", "SIGNERS"], rows).text)
        }
        if !repository.signers.isEmpty {
            let rows = repository.signers.map { [$0.name, $0.keyIDs.map(\.text).joined(separator: ", ")] }
            parts.append(Table(["SIGNER", "KEYS"], rows).text)
        }
        parts.append(
            """
            Repository keys: \(repository.repositoryKeyIDs.map(\.text).joined(separator: ", "))
            Root keys:       \(repository.rootKeyIDs.map(\.text).joined(separator: ", "))
            """
        )
        if let freshness = repository.freshness {
            parts.append("Timestamp version \(freshness.version), valid until \(freshness.expires)")
        }
        return parts.joined(separator: "\n\n")
    }

    private struct Report: Encodable {
        struct SignedTag: Encodable {
            let name: String
            let digest: String?
            let size: Int64
            let signers: [String]
        }

        struct Signer: Encodable {
            let name: String
            let keys: [String]
        }

        let name: String
        let tags: [SignedTag]
        let signers: [Signer]
        let rootKeys: [String]
        let repositoryKeys: [String]
        let trust: TrustReport

        init(_ repository: TrustedRepository) {
            self.name = repository.gun
            self.tags = repository.tags.map {
                SignedTag(name: $0.name, digest: $0.digest?.description, size: $0.size, signers: $0.signers)
            }
            self.signers = repository.signers.map { Signer(name: $0.name, keys: $0.keyIDs.map(\.text)) }
            self.rootKeys = repository.rootKeyIDs.map(\.text)
            self.repositoryKeys = repository.repositoryKeyIDs.map(\.text)
            self.trust = TrustReport(
                firstUse: repository.firstUse,
                freshness: repository.freshness,
                warnings: repository.warnings
            )
        }
    }
}
