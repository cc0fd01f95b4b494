// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Images on disk to write: an OCI image layout, as directory or tar file, or an archive that `docker load` takes.
///
/// Blobs come in through a ``BlobWriter`` and count only once they are verified. Nothing is to be seen of an archive, and
/// no image of a layout directory, before ``commit(_:)``; a destination that is dropped before leaves nothing behind
/// but verified blobs in a layout directory. All calls block.
public final class ImageDestination: Sendable {
    /// An image to name when all of it is there.
    public struct Image: Sendable, Hashable {
        /// Its manifest or index.
        public let descriptor: Descriptor
        /// What to call it; may be empty.
        public let names: [ImageReference]

        /// Puts an image together.
        public init(descriptor: Descriptor, names: [ImageReference]) {
            self.descriptor = descriptor
            self.names = names
        }
    }

    /// How the images are laid out.
    public let format: ImageSource.Format
    /// The directory or file.
    public let path: String
    /// Where blobs are put, in the form of a layout.
    let staging: String

    /// Prepares to write.
    /// - Parameters:
    ///   - path: a directory, made if it is not there, to which images are added; or a file, which is replaced.
    ///   - format: what to write.
    /// - Throws: ``OCIError`` with code `inputOutput`, or `archiveInvalid` for a directory that is something else.
    public init(path: String, format: ImageSource.Format) throws {
        self.path = path
        self.format = format
        switch format {
        case .ociLayout:
            let isLayout = FileTree.exists(path + "/" + ImageLayout.marker)
            if !isLayout, let found = try? FileManager.default.contentsOfDirectory(atPath: path), !found.isEmpty {
                throw OCIError(
                    .archiveInvalid,
                    "\(path) is a directory with other content; name an empty one, or an OCI image layout"
                )
            }
            self.staging = path
            try FileTree.makeDirectory(path)
        case .ociArchive, .dockerArchive:
            guard !FileTree.isDirectory(path) else {
                throw OCIError(.inputOutput, "\(path) is a directory; name a file")
            }
            try FileTree.makeDirectory(FileTree.directory(of: path))
            self.staging = try FileTree.makeTemporaryDirectory(prefix: path + ".part-")
        }
        for algorithm in Digest.Algorithm.allCases {
            try FileTree.makeDirectory(self.staging + "/blobs/" + algorithm.rawValue)
        }
    }

    deinit { self.discard() }

    /// Removes what an archive was being made from, once it is certain that there will be none. Waiting for the last
    /// reference to go would leave it behind when the program ends before. Does nothing to a layout.
    public func discard() {
        if self.format != .ociLayout { try? FileManager.default.removeItem(atPath: self.staging) }
    }

    /// True when the content is here, of the right size. Content that was there before is hashed.
    /// - Throws: ``OCIError`` with code `inputOutput`.
    public func contains(_ descriptor: Descriptor) throws -> Bool {
        let path = self.blobPath(descriptor.digest)
        guard FileTree.size(path) == descriptor.size else { return false }
        return try FileRange(path: path, length: descriptor.size).open().digest(descriptor.digest.algorithm)
            == descriptor.digest
    }

    /// Takes in the content of a descriptor piece by piece.
    /// - Throws: ``OCIError`` with code `inputOutput`.
    public func makeBlobWriter(_ descriptor: Descriptor) throws -> BlobWriter {
        try BlobWriter(
            descriptor,
            temporaryPath: FileTree.temporaryName(self.staging + "/blobs/.part-"),
            path: self.blobPath(descriptor.digest)
        )
    }

    /// Takes in content at once: a manifest or a configuration.
    /// - Throws: ``OCIError`` with code `digestMismatch`, or `inputOutput`.
    public func put(_ bytes: [UInt8], _ descriptor: Descriptor) throws {
        let writer = try self.makeBlobWriter(descriptor)
        try bytes.withUnsafeBytes { try writer.write($0) }
        try writer.commit()
    }

    /// Makes images visible. Everything they refer to must be here, but for foreign layers and entries of an index that
    /// were left out on purpose.
    /// - Throws: ``OCIError`` with code `archiveInvalid` when something lacks, `inputOutput`.
    public func commit(_ images: [Image]) throws {
        switch self.format {
        case .ociLayout: try self.commitLayout(images)
        case .ociArchive: try self.commitArchive { try self.writeLayout(images, to: $0) }
        case .dockerArchive: try self.commitArchive { try DockerArchiveWriter(self, $0).write(images) }
        }
    }

    func blobPath(_ digest: Digest) -> String { self.staging + "/" + ImageLayout.blob(digest) }

    /// The bytes of a manifest or configuration that was put here.
    func bytes(_ descriptor: Descriptor, limit: Int) throws -> [UInt8] {
        let range = FileRange(path: self.blobPath(descriptor.digest), length: descriptor.size)
        return try range.open().readAll(limit: limit)
    }
}

extension ImageDestination {
    private func commitLayout(_ images: [Image]) throws {
        let (marker, index) = (self.path + "/" + ImageLayout.marker, self.path + "/" + ImageLayout.index)
        var entries: [Descriptor] = []
        if let size = FileTree.size(index) {
            let bytes = try FileRange(path: index, length: size).open().readAll(limit: ImageSource.maximumIndexSize)
            entries = try Manifest(parsing: bytes, mediaType: .imageIndex).manifests
        }
        if !FileTree.exists(marker) { try FileTree.writeAtomically(ImageLayout.markerContent, to: marker) }
        try FileTree.writeAtomically(Self.index(adding: images, to: entries), to: index)
    }

    /// The index with new entries; a name that was another image's before is taken from it.
    private static func index(adding images: [Image], to old: [Descriptor]) throws -> [UInt8] {
        let new = images.flatMap(Self.entries)
        let names = Set(new.compactMap { $0.annotations?[ImageLayout.referenceName] })
        let wholeNames = Set(new.compactMap { $0.annotations?[ImageLayout.containerdName] })
        let digests = Set(new.map(\.digest))
        let kept = old.filter { entry in
            guard let name = entry.annotations?[ImageLayout.referenceName] else {
                return !digests.contains(entry.digest)
            }
            if let whole = entry.annotations?[ImageLayout.containerdName] { return !wholeNames.contains(whole) }
            return !names.contains(name)
        }
        return try ImageLayout.encode(ImageLayout.Document(mediaType: .imageIndex, manifests: kept + new))
    }

    private static func entries(_ image: Image) -> [Descriptor] {
        var plain = image.descriptor
        plain.annotations = nil
        guard !image.names.isEmpty else { return [plain] }
        return image.names.map { name in
            var entry = plain
            var whole = "\(name.gun)"
            if let tag = name.tag {
                whole += ":\(tag)"
                entry.annotations = [ImageLayout.referenceName: tag.description]
            } else {
                whole += "@\(plain.digest)"
            }
            entry.annotations = (entry.annotations ?? [:]).merging([ImageLayout.containerdName: whole]) { old, _ in old
            }
            return entry
        }
    }

    private func writeLayout(_ images: [Image], to tar: TarWriter) throws {
        try tar.add(ImageLayout.marker, ImageLayout.markerContent)
        try tar.add(ImageLayout.index, Self.index(adding: images, to: []))
        try tar.addDirectory("blobs")
        for algorithm in Digest.Algorithm.allCases {
            let directory = "blobs/" + algorithm.rawValue
            let blobs = try FileManager.default.contentsOfDirectory(atPath: self.staging + "/" + directory).sorted()
            if !blobs.isEmpty { try tar.addDirectory(directory) }
            for blob in blobs {
                let path = self.staging + "/" + directory + "/" + blob
                guard let size = FileTree.size(path) else { continue }
                try tar.add(directory + "/" + blob, FileRange(path: path, length: size))
            }
        }
    }

    private func commitArchive(_ write: (TarWriter) throws -> Void) throws {
        let temporary = self.staging + "/archive.tar"
        FileTree.removeFile(temporary)
        let tar = try TarWriter(creating: temporary)
        do {
            try write(tar)
            try tar.finish()
            try FileTree.rename(temporary, to: self.path)
        } catch {
            FileTree.removeFile(temporary)
            throw error
        }
    }
}
