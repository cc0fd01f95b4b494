// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContentTrust
import DurableFiles
import Foundation
import OCI
import TUF

/// `hallmark push`
struct Push: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Push an image and sign its tag, without an engine.",
        discussion: """
            Content goes to the registry first, several layers at once; then the tag's meaning is signed with your keys and \
            published. The first push of a name makes its keys: keep the root key offline afterwards. Many tags of a repository \
            are one publish.

              hallmark push app/ reg.example/app:1.0 reg.example/app:latest     one image by two names
              hallmark push --all-tags app/ reg.example/app                     every image of a layout by its tag
              hallmark push docker-daemon:app:latest reg.example/app:1.0        from the Docker engine
              hallmark push containers-storage:app:latest reg.example/app:1.0   from podman's storage
            """
    )

    @Argument(
        help: ArgumentHelp(
            """
            An OCI image layout or docker-archive: a directory or a tar file; docker-daemon:NAME:TAG, or \
            containers-storage:NAME:TAG.
            """,
            valueName: "source"
        ),
        completion: .file()
    )
    var source: String

    @Argument(
        help: ArgumentHelp(
            "REGISTRY/NAME:TAG; several for one image. REGISTRY/NAME with --all-tags.",
            valueName: "image"
        ),
        completion: .collections,
        transform: InspectedImage.init(argument:)
    )
    var images: [InspectedImage]

    @Option(
        help: ArgumentHelp("Which image of a source that has several: its tag there.", valueName: "name")
    )
    var name: String?

    @Flag(name: [.customShort("a"), .long], help: "Push every image of the source by its tag there.")
    var allTags = false

    @Option(
        name: [.customShort("r"), .customLong("role"), .customLong("roles")],
        parsing: .singleValue,
        help: ArgumentHelp(
            "Sign as this role; may be repeated. Default: the delegations whose keys are here, else targets.",
            valueName: "role"
        ),
        transform: RoleName.init(argument:)
    )
    var roles: [RoleName] = []

    @Option(help: ArgumentHelp("A file of JSON to sign beside the tags.", valueName: "file"))
    var custom: String?

    @Option(help: ArgumentHelp("Write the digest of what was pushed to a file, one line for each.", valueName: "file"))
    var digestfile: String?

    @OptionGroup var trust: TrustOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        for image in self.images where image.digest != nil {
            throw ValidationError("a push names tags, not digests: \(image.reference.familiarName):TAG")
        }
        guard self.allTags else { return }
        guard self.images.count == 1, self.images.first?.tag == nil, self.name == nil else {
            throw ValidationError("with --all-tags name one repository, and no image of the source")
        }
    }

    func run() async throws {
        var options = TrustedImages.SigningOptions()
        options.roles = self.roles
        options.custom = try CustomData.read(self.custom)
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let source = try await self.open(in: folder)
        let pushes = try self.pushes(of: source)
        let progress = ProgressDisplay(isEnabled: self.output.output == .text)
        let images = try self.trust.images(
            passphrases: ClearingPassphrases(self.trust.passphrases, display: progress)
        )
        let pushed = try await progress.showing { report in
            try await images.push(pushes, options, progress: report)
        }
        if let path = self.digestfile?.expandingTilde {
            let lines = pushed.map { "\($0.descriptor.digest)\n" }.joined()
            try await BlockingWork.run { try DurableFile.replace(path, with: Array(lines.utf8), permissions: 0o644) }
        }
        if self.output.output == .json {
            if let first = pushed.first { JSONOutput.write(Report(first, pushed)) }
            return
        }
        var told: Set<KeyID> = []
        for image in pushed {
            let new = image.newRootKeyIDs.filter { told.insert($0).inserted }
            SigningReport.showNewKeys(new, gun: image.reference.gun, self.trust)
            let roles = image.roles.map(\.text).joined(separator: ", ")
            print("Pushed and signed \(image.reference.familiarDescription)@\(image.descriptor.digest) as \(roles)")
        }
    }

    private func open(in folder: TemporaryFolder) async throws -> ImageSource {
        let path: String
        switch ImagePlace(self.source) {
        case .file(let file, _): path = file
        case .engine(let engine, let name):
            guard !name.isEmpty else { throw ValidationError("name the image: \(engine.transport)NAME:TAG") }
            path = folder.path + "/saved.tar"
            try await engine.save(name, to: path)
        }
        return try await BlockingWork.wait { try ImageSource(path: path, temporaryDirectory: folder.path) }
    }

    private func pushes(of source: ImageSource) throws -> [TrustedImages.ImageToPush] {
        guard self.allTags, let repository = self.images.first?.reference else {
            let image = try source.image(named: self.name).descriptor
            return self.images.map { .init(image, in: source, as: $0.reference) }
        }
        var pushes: [TrustedImages.ImageToPush] = []
        for image in source.images {
            for name in image.names {
                guard let tag = Self.tag(of: name) else { continue }
                let reference = repository.with(tag: tag)
                let isKnown = pushes.contains {
                    $0.reference == reference && $0.image.digest == image.descriptor.digest
                }
                if !isKnown { pushes.append(.init(image.descriptor, in: source, as: reference)) }
            }
        }
        guard !pushes.isEmpty else { throw CommandError(.failure, "\(source.path) has no image with a tag") }
        return pushes
    }

    /// A tag, or that of a whole reference.
    private static func tag(of name: String) -> Tag? {
        if let tag = try? Tag(name) { return tag }
        return (try? ImageReference(name))?.tag
    }

    private struct Report: Encodable {
        struct Image: Encodable {
            let image: String
            let digest: String
            let roles: [String]
        }

        let image: String
        let digest: String
        let mediaType: String
        let size: Int64
        let roles: [String]
        let newRootKeys: [String]
        let images: [Image]

        init(_ pushed: PushedImage, _ all: [PushedImage]) {
            self.image = pushed.reference.description
            self.digest = pushed.descriptor.digest.description
            self.mediaType = pushed.descriptor.mediaType.rawValue
            self.size = pushed.descriptor.size
            self.roles = pushed.roles.map(\.text)
            self.newRootKeys = pushed.newRootKeyIDs.map(\.text)
            self.images = all.map {
                Image(
                    image: $0.reference.description,
                    digest: $0.descriptor.digest.description,
                    roles: $0.roles.map(\.text)
                )
            }
        }
    }
}
