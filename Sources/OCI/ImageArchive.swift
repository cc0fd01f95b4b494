// SPDX-License-Identifier: Apache-2.0

/// An archive of one image that container engines load, made while it is read: nothing but the image's own blobs has to be on disk,
/// and nothing is compressed or decompressed.
///
/// It is an OCI image layout and Docker's archive in one, as `docker save` of version 25 and later writes it. Engines that keep images by
/// manifest (containerd's store) find the manifest as it was signed; older ones take the list of layers.
public struct ImageArchive: Sendable {
    /// A piece of the archive.
    public enum Part: Sendable, Hashable {
        /// Bytes in memory.
        case bytes([UInt8])
        /// Bytes of a file.
        case file(FileRange)

        /// How many bytes.
        public var length: Int64 {
            switch self {
            case .bytes(let bytes): Int64(bytes.count)
            case .file(let range): range.length
            }
        }
    }

    /// The archive, piece by piece.
    public let parts: [Part]
    /// The digest of the image's configuration: its id in an engine.
    public let configDigest: Digest

    /// How many bytes all pieces have.
    public var size: Int64 { self.parts.reduce(0) { $0 + $1.length } }

    /// Lays out the archive of an image. Blocks.
    /// - Parameters:
    ///   - image: the manifest of one image, no index.
    ///   - source: where its bytes are.
    ///   - names: what the engine is to call it.
    /// - Throws: ``OCIError`` with code `archiveInvalid` for something that is no image to run, or lacks a part.
    public init(of image: Descriptor, in source: ImageSource, names: [ImageReference]) throws {
        let bytes = try source.manifestBytes(image)
        let manifest = try Manifest(parsing: bytes, mediaType: image.mediaType)
        guard let config = manifest.config, config.mediaType.kind == .config, config.mediaType != .empty else {
            throw OCIError(
                .archiveInvalid,
                "\(image.digest) is no image that an engine could run; write it into an OCI layout"
            )
        }
        var builder = Builder()
        builder.add(ImageLayout.marker, ImageLayout.markerContent)
        builder.add(ImageLayout.index, try Self.index(image, names.first))
        builder.add(ImageLayout.blob(image.digest), bytes)
        builder.add(ImageLayout.blob(config.digest), try source.configBytes(config))
        for layer in manifest.layers {
            guard let content = try source.content(layer) else {
                throw OCIError(.archiveInvalid, "\(source.path) does not have the layer \(layer.digest)")
            }
            builder.add(ImageLayout.blob(layer.digest), content)
        }
        let list = ImageLayout.DockerImage(
            config: ImageLayout.blob(config.digest),
            repoTags: names.compactMap { name in name.tag.map { "\(name.familiarName):\($0)" } },
            layers: manifest.layers.map { ImageLayout.blob($0.digest) }
        )
        builder.add(ImageLayout.dockerManifest, try ImageLayout.encode([list]))
        self.parts = builder.finished
        self.configDigest = config.digest
    }

    /// Writes the archive to a file. Blocks.
    /// - Parameter path: the file, which is replaced.
    /// - Throws: ``OCIError`` with code `inputOutput`.
    public func write(to path: String) throws {
        let file = try OutputFile(creating: path)
        for part in self.parts {
            switch part {
            case .bytes(let bytes): try file.write(bytes)
            case .file(let range): try range.open().forEachPiece { try file.write($0) }
            }
        }
        try file.finish()
    }

    private static func index(_ image: Descriptor, _ name: ImageReference?) throws -> [UInt8] {
        var entry = Descriptor(mediaType: image.mediaType, digest: image.digest, size: image.size)
        if let name, let tag = name.tag {
            let whole = "\(name.gun):\(tag)"
            entry.annotations = [ImageLayout.referenceName: whole, ImageLayout.containerdName: whole]
        }
        return try ImageLayout.encode(ImageLayout.Document(mediaType: .imageIndex, manifests: [entry]))
    }

    private struct Builder {
        private var parts: [Part] = []
        private var names: Set<String> = []

        mutating func add(_ name: String, _ bytes: [UInt8]) {
            self.add(name, .bytes(bytes))
        }

        mutating func add(_ name: String, _ range: FileRange) {
            self.add(name, .file(range))
        }

        private mutating func add(_ name: String, _ part: Part) {
            guard self.names.insert(name).inserted else { return }
            self.parts.append(.bytes(TarWriter.header(name: name, size: part.length, type: UInt8(ascii: "0"))))
            self.parts.append(part)
            let excess = Int(part.length % 512)
            if excess > 0 { self.parts.append(.bytes([UInt8](repeating: 0, count: 512 - excess))) }
        }

        var finished: [Part] { self.parts + [.bytes([UInt8](repeating: 0, count: 1024))] }
    }
}
