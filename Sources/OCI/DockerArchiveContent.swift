// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The images of a `docker save` archive as a registry wants them: plain layers compressed, manifests made.
///
/// The manifest depends on nothing but the content, so that the same archive gives the same digest again.
final class DockerArchiveContent: Sendable {
    /// The most bytes a layer may decompress to.
    static let maximumLayerSize: Int64 = 1 << 40
    /// The most layers of an image; Docker itself allows 127.
    static let maximumLayers = 4096

    let images: [ImageSource.Image]
    let blobs: [Digest: FileRange]
    private let directory: String

    init(_ archive: TarArchive, list: FileRange, temporaryDirectory: String) throws {
        try FileTree.makeDirectory(temporaryDirectory)
        self.directory = try FileTree.makeTemporaryDirectory(prefix: temporaryDirectory + "/layers-")
        do {
            var converter = Converter(archive: archive, directory: self.directory)
            let entries = try ImageLayout.parseDockerManifest(
                list.open().readAll(limit: ImageSource.maximumIndexSize),
                archive.path
            )
            self.images = try entries.map { try converter.convert($0) }
            self.blobs = converter.blobs
        } catch {
            try? FileManager.default.removeItem(atPath: self.directory)
            throw error
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.directory)
    }
}

private struct Converter {
    let archive: TarArchive
    let directory: String
    var blobs: [Digest: FileRange] = [:]
    private var layers: [FileRange: (descriptor: Descriptor, diffID: Digest?)] = [:]

    init(archive: TarArchive, directory: String) {
        self.archive = archive
        self.directory = directory
    }

    mutating func convert(_ image: ImageLayout.DockerImage) throws -> ImageSource.Image {
        let configRange = try self.find(image.config)
        let configBytes = try configRange.open().readAll(limit: ImageSource.maximumConfigSize)
        let config = try StrictJSON.decode(
            ImageLayout.Config.self,
            from: configBytes,
            failure: .archiveInvalid,
            what: "\(self.archive.path): \(image.config)"
        )
        let diffIDs = config.rootfs.diffIDs ?? []
        let names = image.layers ?? []
        guard names.count == diffIDs.count, names.count <= DockerArchiveContent.maximumLayers else {
            throw OCIError(
                .archiveInvalid,
                "\(self.archive.path): \(image.config) names \(diffIDs.count) layers, the list has \(names.count)"
            )
        }
        var layers: [Descriptor] = []
        for (name, diffID) in zip(names, diffIDs) {
            layers.append(try self.layer(name, diffID))
        }
        let isDocker = layers.allSatisfy { $0.mediaType == .dockerLayerGzip }
        let configDescriptor = Descriptor(mediaType: isDocker ? .dockerConfig : .imageConfig, content: configBytes)
        self.blobs[configDescriptor.digest] = configRange
        let document = ImageLayout.Document(
            mediaType: isDocker ? .dockerManifest : .imageManifest,
            config: configDescriptor,
            layers: isDocker ? layers : layers.map(Self.asOCI)
        )
        let bytes = try ImageLayout.encode(document)
        let descriptor = Descriptor(mediaType: isDocker ? .dockerManifest : .imageManifest, content: bytes)
        try self.keep(bytes, descriptor.digest)
        return ImageSource.Image(descriptor: descriptor, names: image.repoTags ?? [])
    }

    private func find(_ name: String) throws -> FileRange {
        // Some writers put `./` before every name.
        let name = name.hasPrefix("./") ? String(name.dropFirst(2)) : name
        guard let range = try self.archive.content(name) else {
            throw OCIError(.archiveInvalid, "\(self.archive.path) does not have \(name), which its list names")
        }
        return range
    }

    private mutating func keep(_ bytes: [UInt8], _ digest: Digest) throws {
        guard self.blobs[digest] == nil else { return }
        let path = self.directory + "/" + digest.encoded
        try FileTree.writeAtomically(bytes, to: path)
        self.blobs[digest] = FileRange(path: path, length: Int64(bytes.count))
    }

    private mutating func layer(_ name: String, _ diffID: Digest) throws -> Descriptor {
        let range = try self.find(name)
        let converted = try self.layers[range] ?? self.convertLayer(range, diffID.algorithm)
        self.layers[range] = converted
        guard converted.diffID == nil || converted.diffID == diffID else {
            throw OCIError(
                .digestMismatch,
                "\(self.archive.path): layer \(name) is not the one its image's configuration names as \(diffID)"
            )
        }
        return converted.descriptor
    }

    private mutating func convertLayer(
        _ range: FileRange,
        _ algorithm: Digest.Algorithm
    ) throws -> (descriptor: Descriptor, diffID: Digest?) {
        let reader = try range.open()
        let magic = try FileRange(path: range.path, offset: range.offset, length: min(4, range.length)).open()
            .readAll(limit: 4)
        switch Compression(magic) {
        case .none:
            return try self.compress(reader, algorithm)
        case .gzip:
            var (outer, inner) = (Digest.Hasher(), Digest.Hasher(algorithm))
            let gzip = try GzipDecompressor(limit: DockerArchiveContent.maximumLayerSize)
            try reader.forEachPiece { piece in
                outer.update(bufferPointer: piece)
                try gzip.update(piece) { inner.update(bufferPointer: $0) }
            }
            try gzip.finish()
            return (self.take(range, outer.finalize(), .dockerLayerGzip), inner.finalize())
        case .zstd:
            return try (self.take(range, reader.digest(), .layerZstd), nil)
        }
    }

    private mutating func take(_ range: FileRange, _ digest: Digest, _ mediaType: MediaType) -> Descriptor {
        self.blobs[digest] = range
        return Descriptor(mediaType: mediaType, digest: digest, size: range.length)
    }

    private mutating func compress(
        _ reader: FileRange.Reader,
        _ algorithm: Digest.Algorithm
    ) throws -> (descriptor: Descriptor, diffID: Digest?) {
        let path = FileTree.temporaryName(self.directory + "/layer-")
        let file = try OutputFile(creating: path)
        var (outer, inner) = (Digest.Hasher(), Digest.Hasher(algorithm))
        let gzip = try GzipCompressor()
        let sink: (UnsafeRawBufferPointer) throws -> Void = { piece in
            outer.update(bufferPointer: piece)
            try file.write(piece)
        }
        try reader.forEachPiece { piece in
            inner.update(bufferPointer: piece)
            try gzip.update(piece, sink)
        }
        try gzip.finish(sink)
        let range = FileRange(path: path, length: file.position)
        return (self.take(range, outer.finalize(), .dockerLayerGzip), inner.finalize())
    }

    private static func asOCI(_ layer: Descriptor) -> Descriptor {
        var layer = layer
        if layer.mediaType == .dockerLayerGzip { layer.mediaType = .layerGzip }
        return layer
    }
}
