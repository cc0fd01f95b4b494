// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import OCI
import TUF
import TrustClient

/// `hallmark pull`
struct Pull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fetch what a tag means according to its publisher, verified, without an engine.",
        discussion: """
            The digest comes from signed metadata alone; content is fetched by that digest and hashed while it streams. \
            Nothing appears at the destination unless all of it is what was signed.
            """
    )

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME:TAG", valueName: "image"),
        completion: .collections,
        transform: ImageReference.init(argument:)
    )
    var image: ImageReference

    @Argument(help: ArgumentHelp("A directory or a tar file to write.", valueName: "destination"))
    var destination: String

    @Option(
        help: ArgumentHelp(
            """
            oci (a layout directory), oci-archive (the same as tar) or docker-archive (for docker load, one platform). \
            Default: oci-archive for a name that ends in .tar, else oci.
            """,
            valueName: "format"
        )
    )
    var format: ImageFormat?

    @Option(
        help: ArgumentHelp("Of several platforms only this one, such as linux/arm64.", valueName: "platform"),
        transform: Platform.init(argument:)
    )
    var platform: Platform?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let images = try self.trust.images
        let reference = self.image
        let path = self.destination.expandingTilde
        let format = self.format ?? (path.hasSuffix(".tar") ? .ociArchive : .oci)
        let progress = ProgressDisplay(isEnabled: self.output.output == .text)
        let platform = self.platform
        let (trusted, pulled) = try await progress.showing { report in
            try await Interruption.guarding {
                try await images.pull(
                    reference,
                    platform: platform,
                    into: TrustedImages.Destination(path: path, format: format.layout),
                    progress: report
                )
            }
        }
        if self.output.output == .json {
            JSONOutput.write(Report(reference, trusted, pulled, path))
            return
        }
        Notice.show(gun: reference.gun, firstUse: trusted.firstUse, warnings: trusted.warnings)
        print("Pulled \(reference.familiarDescription)@\(trusted.digest), signed by \(trusted.role), into \(path)")
    }

    private struct Report: Encodable {
        let image: String
        let digest: String
        let size: Int64
        let role: String
        let destination: String
        let pulledDigest: String
        let trust: TrustReport

        init(_ reference: ImageReference, _ trusted: TrustedImage, _ pulled: Descriptor, _ path: String) {
            self.image = reference.description
            self.digest = trusted.digest.description
            self.size = trusted.size
            self.role = trusted.role.text
            self.destination = path
            self.pulledDigest = pulled.digest.description
            self.trust = TrustReport(
                firstUse: trusted.firstUse,
                freshness: trusted.freshness,
                warnings: trusted.warnings
            )
        }
    }
}

/// `--format`
enum ImageFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case oci
    case ociArchive = "oci-archive"
    case dockerArchive = "docker-archive"

    var layout: ImageSource.Format {
        switch self {
        case .oci: .ociLayout
        case .ociArchive: .ociArchive
        case .dockerArchive: .dockerArchive
        }
    }
}
