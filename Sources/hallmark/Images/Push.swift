// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import OCI
import TUF

/// `hallmark push`
struct Push: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Push an image and sign its tag, without an engine.",
        discussion: """
            Content goes to the registry first, several layers at once; then the tag's meaning is signed with your keys and \
            published. The first push of a name makes its keys: keep the root key offline afterwards.
            """
    )

    @Argument(
        help: ArgumentHelp("An OCI image layout or docker-archive: a directory or a tar file.", valueName: "source"),
        completion: .file()
    )
    var source: String

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME:TAG", valueName: "image"),
        completion: .collections,
        transform: ImageReference.init(argument:)
    )
    var image: ImageReference

    @Option(
        help: ArgumentHelp("Which image of a source that has several: its tag there.", valueName: "name")
    )
    var name: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let reference = self.image
        let progress = ProgressDisplay(isEnabled: self.output.output == .text)
        let images = try self.trust.images(
            passphrases: ClearingPassphrases(self.trust.passphrases, display: progress)
        )
        let pushed = try await progress.showing { report in
            try await images.push(
                self.source.expandingTilde,
                image: self.name,
                to: reference,
                temporaryDirectory: FileManager.default.temporaryDirectory.path,
                progress: report
            )
        }
        if self.output.output == .json {
            JSONOutput.write(Report(pushed))
            return
        }
        for id in pushed.newRootKeyIDs {
            Notice.write(
                """
                Made \(reference.gun) with root key \(id): tell it to those who will pull. \
                Back up \(try self.trust.settings.trustDirectory)/private, and keep the root key in it offline
                """
            )
        }
        let roles = pushed.roles.map(\.text).joined(separator: ", ")
        print("Pushed and signed \(reference.familiarDescription)@\(pushed.descriptor.digest) as \(roles)")
    }

    private struct Report: Encodable {
        let image: String
        let digest: String
        let mediaType: String
        let size: Int64
        let roles: [String]
        let newRootKeys: [String]

        init(_ pushed: PushedImage) {
            self.image = pushed.reference.description
            self.digest = pushed.descriptor.digest.description
            self.mediaType = pushed.descriptor.mediaType.rawValue
            self.size = pushed.descriptor.size
            self.roles = pushed.roles.map(\.text)
            self.newRootKeys = pushed.newRootKeyIDs.map(\.text)
        }
    }
}
