// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import OCI
import TUF
import TrustClient

/// `hallmark inspect`
struct Inspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what is signed of an image: tags, digests, signers, keys, platforms.",
        discussion: """
            By digest it says which signed tags mean that digest. What an index holds is read from the registry, where it \
            can be reached: of one tag or digest always, of a whole repository with --platforms.
            """
    )

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME, or with :TAG or @DIGEST for those alone.", valueName: "image"),
        completion: .collections,
        transform: InspectedImage.init(argument:)
    )
    var image: InspectedImage

    @Flag(inversion: .prefixedNo, help: "Ask the registry what the signed digests are.")
    var platforms: Bool?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let images = try self.trust.images
        let repository = try await images.inspect(
            self.image.reference,
            tag: self.image.tag,
            digest: self.image.digest
        )
        var content: [Digest: ImageContent] = [:]
        let isOne = self.image.tag != nil || self.image.digest != nil
        if self.platforms ?? isOne {
            do {
                content = try await images.content(of: repository.tags, in: self.image.reference)
            } catch {
                // What is signed can be said without the registry.
                guard self.platforms == nil else { throw error }
                Notice.write("Warning: the registry does not say what it is: \(error)")
            }
        }
        if self.output.output == .json {
            JSONOutput.write(Report(repository, content))
            return
        }
        Notice.show(gun: repository.gun, firstUse: repository.firstUse, warnings: repository.warnings)
        print(TerminalText.lines(Self.text(repository, content)))
    }

    private static func text(_ repository: TrustedRepository, _ content: [Digest: ImageContent]) -> String {
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
        let rows = repository.tags.flatMap { tag in
            (tag.digest.flatMap { content[$0] }?.entries ?? []).map { entry in
                let kind = entry.platform?.description ?? entry.artifactType ?? entry.mediaType.rawValue
                return [tag.name, kind, entry.digest.description]
            }
        }
        if !rows.isEmpty { parts.append(Table(["INDEX", "PLATFORM", "DIGEST"], rows).text) }
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
        if let freshness = repository.freshness { parts.append(Self.text(freshness)) }
        return parts.joined(separator: "\n\n")
    }

    private static func text(_ freshness: Freshness) -> String {
        let days = Int((freshness.expires.date.timeIntervalSinceNow / 86400).rounded(.down))
        let source = freshness.isFromServer ? "as the server says now" : "from the cache"
        return "Timestamp version \(freshness.version), \(source); valid until \(freshness.expires) (\(days) days more)"
    }

    private struct Report: Encodable {
        struct Entry: Encodable {
            let platform: String?
            let digest: String
            let mediaType: String
            let artifactType: String?
            let size: Int64
        }

        struct SignedTag: Encodable {
            let name: String
            let digest: String?
            let size: Int64
            let signers: [String]
            // As the registry has it; nil where it was not asked.
            let mediaType: String?
            let artifactType: String?
            let manifests: [Entry]?

            init(_ tag: TrustedRepository.SignedTag, _ content: ImageContent?) {
                self.name = tag.name
                self.digest = tag.digest?.description
                self.size = tag.size
                self.signers = tag.signers
                self.mediaType = content?.mediaType.rawValue
                self.artifactType = content?.artifactType
                self.manifests = content?.entries.map {
                    Entry(
                        platform: $0.platform?.description,
                        digest: $0.digest.description,
                        mediaType: $0.mediaType.rawValue,
                        artifactType: $0.artifactType,
                        size: $0.size
                    )
                }
            }
        }

        let name: String
        let tags: [SignedTag]
        let signers: [SignerEntry]
        let rootKeys: [String]
        let repositoryKeys: [String]
        let trust: TrustReport

        init(_ repository: TrustedRepository, _ content: [Digest: ImageContent]) {
            self.name = repository.gun
            self.tags = repository.tags.map { tag in SignedTag(tag, tag.digest.flatMap { content[$0] }) }
            self.signers = repository.signers.map { SignerEntry(name: $0.name, keys: $0.keyIDs.map(\.text)) }
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
