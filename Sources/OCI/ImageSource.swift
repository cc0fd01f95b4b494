// SPDX-License-Identifier: Apache-2.0

/// Images on disk to read: an OCI image layout, as directory or tar file, or what `docker save` writes.
///
/// Blobs stay where they are and are given as parts of files. Layers that a Docker archive has uncompressed are compressed
/// into a temporary directory when the source is opened; it is removed with the source. All calls block.
public final class ImageSource: Sendable {
    /// How images are laid out on disk.
    public enum Format: Sendable, Hashable, CaseIterable {
        /// A directory with `oci-layout`, `index.json` and `blobs`.
        case ociLayout
        /// The same in a tar file.
        case ociArchive
        /// A tar file with `manifest.json`, as `docker save` writes.
        case dockerArchive
    }

    /// One image, or a set of images for several platforms.
    public struct Image: Sendable, Hashable {
        /// Its manifest or index.
        public let descriptor: Descriptor
        /// What it is called here: tags in layouts, whole references in Docker archives; may be empty.
        public let names: [String]

        /// Puts an image together.
        public init(descriptor: Descriptor, names: [String]) {
            self.descriptor = descriptor
            self.names = names
        }
    }

    /// The largest `index.json` or `manifest.json` that is read, in bytes.
    static let maximumIndexSize = Manifest.maximumSize
    /// The largest image configuration that is read, in bytes.
    static let maximumConfigSize = 16 << 20

    /// How the images are laid out.
    public let format: Format
    /// The directory or file.
    public let path: String
    /// The images, in the order of their list.
    public let images: [Image]

    private let archive: TarArchive?
    private let converted: DockerArchiveContent?

    /// Opens whatever is at a path.
    /// - Parameters:
    ///   - path: a directory or a tar file.
    ///   - temporaryDirectory: where the compressed layers of a Docker archive go, in a directory of their own.
    /// - Throws: ``OCIError`` with code `archiveInvalid`, `manifestInvalid` or `inputOutput`.
    public init(path: String, temporaryDirectory: String) throws {
        self.path = path
        if FileTree.isDirectory(path) {
            guard FileTree.exists(path + "/" + ImageLayout.marker) else {
                throw OCIError(
                    .archiveInvalid,
                    "\(path) is a directory without \(ImageLayout.marker): no OCI image layout"
                )
            }
            self.format = .ociLayout
            self.archive = nil
            self.converted = nil
            self.images = try Self.readLayout(path) { name in
                FileTree.size(path + "/" + name).map { FileRange(path: path + "/" + name, length: $0) }
            }
            return
        }
        let magic = try Self.firstBytes(path)
        guard Compression(magic) == .none else {
            throw OCIError(.archiveInvalid, "\(path) is compressed as a whole; decompress it first")
        }
        let archive = try TarArchive(path: path)
        self.archive = archive
        let list = try archive.content(ImageLayout.dockerManifest)
        if try archive.content(ImageLayout.marker) != nil, try archive.content(ImageLayout.index) != nil {
            let images = try Self.readLayout(path, archive.content)
            // Docker's older image store saves both forms, the layout with plain layers; these are better compressed.
            if try list == nil || !Self.hasPlainLayers(images, archive) {
                self.format = .ociArchive
                self.converted = nil
                self.images = images
                return
            }
        }
        guard let list else {
            throw OCIError(
                .archiveInvalid,
                "\(path) has neither \(ImageLayout.index) nor \(ImageLayout.dockerManifest): no archive of images"
            )
        }
        self.format = .dockerArchive
        let converted = try DockerArchiveContent(archive, list: list, temporaryDirectory: temporaryDirectory)
        self.converted = converted
        self.images = converted.images
    }

    /// The image of a name, or the only one.
    /// - Parameter name: a tag, or a reference as people type it; nil for the only image.
    /// - Throws: ``OCIError`` with code `imageUnknown`, listing the names there are.
    public func image(named name: String? = nil) throws -> Image {
        let found = name.map { name in self.images.filter { Self.matches($0, name) } } ?? self.images
        let distinct = Set(found.map(\.descriptor.digest))
        guard distinct.count == 1, let first = found.first else {
            let names = self.images.flatMap { $0.names.isEmpty ? [$0.descriptor.digest.description] : $0.names }
            let problem = distinct.isEmpty ? "no image" : "more than one image"
            throw OCIError(
                .imageUnknown,
                "\(self.path) has \(problem)\(name.map { " named \($0)" } ?? ""); there are: \(names.joined(separator: ", "))"
            )
        }
        return first
    }

    /// Where the bytes of a blob or manifest are. They are not checked yet, but for their number.
    /// - Returns: nil when they are not here.
    /// - Throws: ``OCIError`` with code `archiveInvalid` when their number is not the descriptor's.
    public func content(_ descriptor: Descriptor) throws -> FileRange? {
        let name = ImageLayout.blob(descriptor.digest)
        let range: FileRange? =
            if let converted = self.converted {
                converted.blobs[descriptor.digest]
            } else if let archive = self.archive {
                try archive.content(name)
            } else {
                FileTree.size(self.path + "/" + name).map { FileRange(path: self.path + "/" + name, length: $0) }
            }
        guard let range else { return nil }
        guard range.length == descriptor.size else {
            throw OCIError(
                .archiveInvalid,
                "\(self.path): \(descriptor.digest) has \(range.length) bytes, its descriptor says \(descriptor.size)"
            )
        }
        return range
    }

    /// The exact bytes of a manifest or index, whose digest was checked.
    /// - Throws: ``OCIError`` with code `archiveInvalid` when they are not here, `digestMismatch`, `manifestInvalid`.
    public func manifestBytes(_ descriptor: Descriptor) throws -> [UInt8] {
        try self.verifiedBytes(descriptor, limit: Manifest.maximumSize)
    }

    /// A manifest or index, whose digest was checked.
    /// - Throws: as ``manifestBytes(_:)``.
    public func manifest(_ descriptor: Descriptor) throws -> Manifest {
        try Manifest(parsing: self.manifestBytes(descriptor), mediaType: descriptor.mediaType)
    }

    /// The exact bytes of an image's configuration, whose digest was checked.
    /// - Throws: as ``manifestBytes(_:)``.
    public func configBytes(_ descriptor: Descriptor) throws -> [UInt8] {
        try self.verifiedBytes(descriptor, limit: Self.maximumConfigSize)
    }

    private func verifiedBytes(_ descriptor: Descriptor, limit: Int) throws -> [UInt8] {
        guard let range = try self.content(descriptor) else {
            throw OCIError(.archiveInvalid, "\(self.path) does not have \(descriptor.digest)")
        }
        return try Self.verifiedBytes(range, descriptor, limit: limit)
    }
}

extension ImageSource {
    private static func verifiedBytes(_ range: FileRange, _ descriptor: Descriptor, limit: Int) throws -> [UInt8] {
        let bytes = try range.open().readAll(limit: limit)
        let found = Digest(hashing: bytes, algorithm: descriptor.digest.algorithm)
        guard found == descriptor.digest else {
            throw OCIError(.digestMismatch, "\(range.path): content of \(descriptor.digest) has the digest \(found)")
        }
        return bytes
    }

    private static func firstBytes(_ path: String) throws -> [UInt8] {
        let file = try InputFile(path: path)
        return try file.bytes(at: 0, count: Int(min(4, file.size)))
    }

    private static func readLayout(_ path: String, _ find: (String) throws -> FileRange?) throws -> [Image] {
        guard let marker = try find(ImageLayout.marker), let index = try find(ImageLayout.index) else {
            throw OCIError(.archiveInvalid, "\(path) lacks \(ImageLayout.marker) or \(ImageLayout.index)")
        }
        try ImageLayout.checkMarker(marker.open().readAll(limit: 4096), path)
        let manifest = try Manifest(parsing: index.open().readAll(limit: Self.maximumIndexSize), mediaType: .imageIndex)
        return manifest.manifests.filter(\.mediaType.isManifest).map { descriptor in
            let names = [ImageLayout.referenceName, ImageLayout.containerdName].compactMap {
                descriptor.annotations?[$0]
            }
            return Image(descriptor: descriptor, names: names)
        }
    }

    private static func hasPlainLayers(_ images: [Image], _ archive: TarArchive) throws -> Bool {
        try images.contains { image in
            guard image.descriptor.mediaType.kind == .manifest,
                let range = try archive.content(ImageLayout.blob(image.descriptor.digest))
            else { return false }
            let bytes = try Self.verifiedBytes(range, image.descriptor, limit: Manifest.maximumSize)
            return try Manifest(parsing: bytes, mediaType: image.descriptor.mediaType).layers.contains {
                $0.mediaType == .layer || $0.mediaType == .dockerLayer
            }
        }
    }

    private static func matches(_ image: Image, _ name: String) -> Bool {
        if image.names.contains(name) || image.descriptor.digest.description == name { return true }
        guard let wanted = try? ImageReference(name) else { return false }
        return image.names.contains { (try? ImageReference($0)) == wanted }
    }
}
