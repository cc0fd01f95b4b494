// SPDX-License-Identifier: Apache-2.0

/// Writes the archive that `docker load` takes: layers as plain tar where that can be had, `manifest.json` last.
struct DockerArchiveWriter {
    private let destination: ImageDestination
    private let tar: TarWriter

    init(_ destination: ImageDestination, _ tar: TarWriter) {
        self.destination = destination
        self.tar = tar
    }

    func write(_ images: [ImageDestination.Image]) throws {
        var written: Set<String> = []
        var list: [ImageLayout.DockerImage] = []
        for image in images {
            let bytes = try self.destination.bytes(image.descriptor, limit: Manifest.maximumSize)
            let manifest = try Manifest(parsing: bytes, mediaType: image.descriptor.mediaType)
            guard let config = manifest.config else {
                throw OCIError(
                    .archiveInvalid,
                    "\(image.descriptor.digest) is no single image; choose a platform, or write an OCI layout"
                )
            }
            list.append(try self.write(image, manifest, config, &written))
        }
        try self.tar.add(ImageLayout.dockerManifest, ImageLayout.encode(list))
    }

    private func write(
        _ image: ImageDestination.Image,
        _ manifest: Manifest,
        _ config: Descriptor,
        _ written: inout Set<String>
    ) throws -> ImageLayout.DockerImage {
        let configBytes = try self.destination.bytes(config, limit: ImageSource.maximumConfigSize)
        let diffIDs =
            try StrictJSON.decode(
                ImageLayout.Config.self,
                from: configBytes,
                failure: .archiveInvalid,
                what: "configuration \(config.digest)"
            ).rootfs.diffIDs ?? []
        guard diffIDs.count == manifest.layers.count else {
            throw OCIError(
                .archiveInvalid,
                "configuration \(config.digest) names \(diffIDs.count) layers, the manifest has \(manifest.layers.count)"
            )
        }
        let configName = config.digest.encoded + ".json"
        if written.insert(configName).inserted { try self.tar.add(configName, configBytes) }
        var layers: [String] = []
        for (layer, diffID) in zip(manifest.layers, diffIDs) {
            let name = diffID.encoded + ".tar"
            layers.append(name)
            if written.insert(name).inserted { try self.write(layer, diffID, name) }
        }
        let tags = image.names.filter { $0.tag != nil }.map { name in
            name.familiarName + (name.tag.map { ":\($0)" } ?? "")
        }
        return ImageLayout.DockerImage(config: configName, repoTags: tags, layers: layers)
    }

    private func write(_ layer: Descriptor, _ diffID: Digest, _ name: String) throws {
        let range = FileRange(path: self.destination.blobPath(layer.digest), length: layer.size)
        let reader = try range.open()
        let magic = try FileRange(path: range.path, length: min(4, range.length)).open().readAll(limit: 4)
        try self.tar.begin(name)
        var hasher = Digest.Hasher(diffID.algorithm)
        switch Compression(magic) {
        case .none:
            try reader.forEachPiece { piece in
                hasher.update(bufferPointer: piece)
                try self.tar.write(piece)
            }
        case .gzip:
            let gzip = try GzipDecompressor(limit: DockerArchiveContent.maximumLayerSize)
            try reader.forEachPiece { piece in
                try gzip.update(piece) { plain in
                    hasher.update(bufferPointer: plain)
                    try self.tar.write(plain)
                }
            }
            try gzip.finish()
        case .zstd:
            // Readers of the archive detect it; its uncompressed digest is theirs to check.
            try reader.forEachPiece { try self.tar.write($0) }
            return
        }
        guard hasher.finalize() == diffID else {
            throw OCIError(
                .digestMismatch,
                "layer \(layer.digest) does not decompress to \(diffID), as its configuration says"
            )
        }
    }
}
