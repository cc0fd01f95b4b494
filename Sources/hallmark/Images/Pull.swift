// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import Foundation
import OCI
import RegistryClient
import TUF
import TrustClient

/// `hallmark pull`
struct Pull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fetch what a tag means according to its publisher, verified, without an engine.",
        discussion: """
            The digest comes from signed metadata alone; content is fetched by that digest and hashed while it streams. \
            Nothing appears at the destination unless all of it is what was signed: an engine is handed the image only then. \
            By digest, an image is pulled if a signed tag means it.

              hallmark pull reg.example/app:1.0 app/                       an OCI layout
              hallmark pull reg.example/app:1.0 app.tar                    the same as tar
              hallmark pull reg.example/app:1.0 docker-archive:app.tar     for docker load
              hallmark pull reg.example/app:1.0 --to docker                into the Docker engine
              hallmark pull reg.example/app:1.0 --to podman                into podman's storage
              hallmark pull reg.example/app:1.0 docker-daemon:app:latest   into the engine, by another name
            """
    )

    @Argument(
        help: ArgumentHelp("REGISTRY/NAME:TAG, or with @DIGEST.", valueName: "image"),
        completion: .collections,
        transform: ImageReference.init(argument:)
    )
    var image: ImageReference

    @Argument(
        help: ArgumentHelp(
            """
            A directory or a tar file to write; oci:, oci-archive: and docker-archive: before a path say which. \
            docker-daemon:[NAME:TAG] is the Docker engine, containers-storage:[NAME:TAG] podman's storage.
            """,
            valueName: "destination"
        )
    )
    var destination: String?

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp("An engine, without a name: docker or podman.", valueName: "engine")
    )
    var engine: EngineName?

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
        help: ArgumentHelp(
            "Of several platforms only this one, such as linux/arm64. Default for an engine: its own.",
            valueName: "platform"
        ),
        transform: Platform.init(argument:)
    )
    var platform: Platform?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    private var place: ImagePlace {
        get throws {
            switch (self.destination, self.engine) {
            case (nil, nil):
                throw ValidationError("say where to: a directory, a .tar file, --to docker or --to podman")
            case (.some, .some): throw ValidationError("say a destination or --to, not both")
            case (nil, .some(let engine)): return .engine(engine, name: "")
            case (.some(let text), nil): return ImagePlace(text, format: self.format)
            }
        }
    }

    func validate() throws {
        switch try self.place {
        case .engine(_, let name):
            guard self.format == nil else { throw ValidationError("--format is for files and directories") }
            if !name.isEmpty { _ = try ImageReference(argument: name) }
        case .file(let path, _):
            guard !path.isEmpty else { throw ValidationError("a destination must have a path") }
        }
    }

    func run() async throws {
        let images = try self.trust.images
        let progress = ProgressDisplay(isEnabled: self.output.output == .text)
        let (reference, platform, place) = (self.image, self.platform, try self.place)
        let result = try await progress.showing { report in
            try await Interruption.guarding {
                switch place {
                case .file(let path, let format):
                    let (trusted, pulled) = try await images.pull(
                        reference,
                        platform: platform,
                        into: TrustedImages.Destination(path: path, format: format.layout),
                        progress: report
                    )
                    return Result(trusted: trusted, pulled: pulled, place: path, names: nil)
                case .engine(let engine, let name):
                    let (trusted, pulled, names) = try await engine.pull(
                        images,
                        reference,
                        platform,
                        name.isEmpty ? nil : try ImageReference(argument: name),
                        report
                    )
                    return Result(trusted: trusted, pulled: pulled, place: engine.transport, names: names)
                }
            }
        }
        if self.output.output == .json {
            JSONOutput.write(Report(reference, result))
            return
        }
        let trusted = result.trusted
        Notice.show(gun: reference.gun, firstUse: trusted.firstUse, warnings: trusted.warnings)
        let tags = trusted.tags.map(\.description).joined(separator: ", ")
        let name = "\(reference.familiarName):\(tags)@\(trusted.digest)"
        var destination = result.place
        if let names = result.names {
            destination = "\(result.place)\(names.map { "\($0.familiarDescription)" }.joined(separator: ", "))"
        }
        print(TerminalText.line("Pulled \(name), signed by \(trusted.role), into \(destination)"))
    }

    private struct Result: Sendable {
        let trusted: TrustedImage
        let pulled: Descriptor
        let place: String
        let names: [ImageReference]?
    }

    private struct Report: Encodable {
        let image: String
        let tags: [String]
        let digest: String
        let size: Int64
        let role: String
        let destination: String
        let names: [String]?
        let pulledDigest: String
        let trust: TrustReport

        init(_ reference: ImageReference, _ result: Result) {
            self.image = reference.description
            self.tags = result.trusted.tags.map(\.description)
            self.digest = result.trusted.digest.description
            self.size = result.trusted.size
            self.role = result.trusted.role.text
            self.destination = result.place
            self.names = result.names?.map(\.description)
            self.pulledDigest = result.pulled.digest.description
            self.trust = TrustReport(
                firstUse: result.trusted.firstUse,
                freshness: result.trusted.freshness,
                warnings: result.trusted.warnings
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
