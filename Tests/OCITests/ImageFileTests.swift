// SPDX-License-Identifier: Apache-2.0

import Foundation
import OCI
import Testing

private func copy(_ source: ImageSource, _ descriptor: Descriptor, to destination: ImageDestination) throws {
    let bytes = try source.manifestBytes(descriptor)
    let manifest = try Manifest(parsing: bytes, mediaType: descriptor.mediaType)
    for child in manifest.manifests { try copy(source, child, to: destination) }
    for blob in manifest.blobs {
        let range = try #require(try source.content(blob))
        let writer = try destination.makeBlobWriter(blob)
        try range.open().forEachPiece(ofLength: 1000) { try writer.write($0) }
        try writer.commit()
    }
    try destination.put(bytes, descriptor)
}

struct ImageFileTests {
    private let directory: TemporaryDirectory

    init() throws {
        self.directory = try TemporaryDirectory()
    }

    private func source(_ name: String) throws -> ImageSource {
        try ImageSource(path: self.directory.path + "/" + name, temporaryDirectory: self.directory.path + "/tmp")
    }

    private func error(_ code: OCIError.Code, _ body: () throws -> Void) {
        #expect { try body() } throws: { ($0 as? OCIError)?.code == code }
    }

    @Test(
        "A docker archive becomes an image with compressed layers, the same each time, and its configuration unchanged"
    )
    func dockerArchive() throws {
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive())
        let source = try self.source("image.tar")
        #expect(source.format == .dockerArchive)
        #expect(source.images.map(\.names) == [["example.com/app:1", "app:two"]])
        let descriptor = try source.image(named: "docker.io/library/app:two").descriptor
        #expect(descriptor.mediaType == .dockerManifest)
        let manifest = try source.manifest(descriptor)
        let config = try #require(manifest.config)
        #expect(try source.configBytes(config) == SampleImage.config)
        for (layer, plain) in zip(manifest.layers, SampleImage.plainLayers) {
            let range = try #require(try source.content(layer))
            #expect(try range.open().digest() == layer.digest)
            let path = try self.directory.file("layer.gz", range.open().readAll(limit: 1 << 20))
            #expect(try Array(run("gzip", "-dc", path, in: self.directory.path)) == plain)
        }
        #expect(try self.source("image.tar").images == source.images)
        error(.imageUnknown) { _ = try source.image(named: "other") }
    }

    @Test("The compressed layers of a docker archive go away with the source")
    func temporaryFiles() throws {
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive())
        do {
            let source = try self.source("image.tar")
            #expect(try self.directory.names("tmp").count == 1)
            _ = source
        }
        #expect(try self.directory.names("tmp").isEmpty)
    }

    @Test("Layers that are compressed already keep their bytes")
    func compressedLayers() throws {
        let compressed = try SampleImage.plainLayers.map { plain in
            let path = try self.directory.file("layer.tar", plain)
            return try Array(run("gzip", "-9nc", path, in: self.directory.path))
        }
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive(layers: compressed))
        let source = try self.source("image.tar")
        let manifest = try source.manifest(source.image().descriptor)
        #expect(manifest.layers.map(\.digest) == compressed.map { Digest(hashing: $0) })
        #expect(try source.content(manifest.layers[1])?.open().readAll(limit: 1 << 20) == compressed[1])
    }

    @Test("A layer that is not the one the configuration names is refused, compressed or not")
    func wrongLayer() throws {
        var layers = SampleImage.plainLayers
        layers[1][600] ^= 1
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive(layers: layers))
        error(.digestMismatch) { _ = try self.source("image.tar") }
        let path = try self.directory.file("layer.tar", layers[1])
        layers[1] = try Array(run("gzip", "-c", path, in: self.directory.path))
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive(layers: layers))
        error(.digestMismatch) { _ = try self.source("image.tar") }
        layers[1].removeLast(20)
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive(layers: layers))
        error(.archiveInvalid) { _ = try self.source("image.tar") }
        #expect(try self.directory.names("tmp").isEmpty)
    }

    @Test("An image keeps its manifest's bytes through every form", arguments: ImageSource.Format.allCases)
    func roundTrips(format: ImageSource.Format) throws {
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive())
        let original = try self.source("image.tar")
        let descriptor = try original.image().descriptor
        let destination = try ImageDestination(path: self.directory.path + "/out", format: format)
        try copy(original, descriptor, to: destination)
        let name = try ImageReference("localhost:5000/app:1")
        try destination.commit([.init(descriptor: descriptor, names: [name])])
        let written = try self.source("out")
        #expect(written.format == format)
        #expect(try written.image(named: "localhost:5000/app:1").descriptor.digest == descriptor.digest)
        #expect(try written.manifestBytes(descriptor) == original.manifestBytes(descriptor))
        for layer in try written.manifest(descriptor).layers {
            #expect(try written.content(layer)?.open().digest() == layer.digest)
        }
        if format != .dockerArchive { #expect(try written.image(named: "1").descriptor.digest == descriptor.digest) }
    }

    @Test("An index with its manifests goes through a layout, and a docker archive refuses it")
    func index() throws {
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive())
        let original = try self.source("image.tar")
        let child = try original.image().descriptor
        let layout = try ImageDestination(path: self.directory.path + "/layout", format: .ociLayout)
        try copy(original, child, to: layout)
        let index = Array(
            """
            {"schemaVersion":2,"manifests":[{"mediaType":"\(child.mediaType)","digest":"\(child.digest)",
            "size":\(child.size),"platform":{"os":"linux","architecture":"amd64"}}]}
            """.utf8
        )
        let descriptor = Descriptor(mediaType: .imageIndex, content: index)
        try layout.put(index, descriptor)
        try layout.commit([.init(descriptor: descriptor, names: [ImageReference("app:multi")])])
        let source = try self.source("layout")
        #expect(try source.manifest(source.image(named: "multi").descriptor).manifests.count == 1)
        let archive = try ImageDestination(path: self.directory.path + "/archive.tar", format: .dockerArchive)
        try copy(source, descriptor, to: archive)
        error(.archiveInvalid) { try archive.commit([.init(descriptor: descriptor, names: [])]) }
        #expect(!FileManager.default.fileExists(atPath: self.directory.path + "/archive.tar"))
    }

    @Test("A layout gains images, and a tag moves to the newer one")
    func addToLayout() throws {
        func put(_ text: String, _ names: [String]) throws -> Descriptor {
            let destination = try ImageDestination(path: self.directory.path + "/layout", format: .ociLayout)
            let bytes = Array(#"{"schemaVersion":2,"manifests":[],"annotations":{"x":"\#(text)"}}"#.utf8)
            let descriptor = Descriptor(mediaType: .imageIndex, content: bytes)
            try destination.put(bytes, descriptor)
            try destination.commit([.init(descriptor: descriptor, names: names.map { try ImageReference($0) })])
            return descriptor
        }
        let first = try put("a", ["app:1", "app:2"])
        let second = try put("b", ["app:2"])
        let source = try self.source("layout")
        #expect(try source.image(named: "1").descriptor.digest == first.digest)
        #expect(try source.image(named: "2").descriptor.digest == second.digest)
        #expect(source.images.count == 2)
        error(.imageUnknown) { _ = try source.image() }
    }

    @Test("Content that is not what its descriptor says never gets its name")
    func wrongContent() throws {
        let layout = try ImageDestination(path: self.directory.path + "/layout", format: .ociLayout)
        let descriptor = Descriptor(mediaType: .layer, content: Array("good".utf8))
        for content in ["evil", "goo", ""] {
            error(.digestMismatch) { try layout.put(Array(content.utf8), descriptor) }
        }
        let writer = try layout.makeBlobWriter(descriptor)
        error(.digestMismatch) { try Array("good and more".utf8).withUnsafeBytes { try writer.write($0) } }
        #expect(writer.count == 0)
        #expect(try !layout.contains(descriptor))
        #expect(try self.directory.names("layout/blobs/sha256").isEmpty)
        try layout.put(Array("good".utf8), descriptor)
        #expect(try layout.contains(descriptor))
        _ = try self.directory.file("layout/blobs/sha256/" + descriptor.digest.encoded, Array("evil".utf8))
        #expect(try !layout.contains(descriptor))
    }

    @Test("A destination that is given up leaves nothing behind")
    func givenUp() throws {
        do {
            let archive = try ImageDestination(path: self.directory.path + "/a/image.tar", format: .ociArchive)
            try archive.put([1, 2], Descriptor(mediaType: .layer, content: [1, 2]))
        }
        #expect(try self.directory.names("a").isEmpty)
    }

    @Test("A manifest in a layout whose bytes were changed is refused")
    func changedManifest() throws {
        let layout = try ImageDestination(path: self.directory.path + "/layout", format: .ociLayout)
        let bytes = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
        let descriptor = Descriptor(mediaType: .imageIndex, content: bytes)
        try layout.put(bytes, descriptor)
        try layout.commit([.init(descriptor: descriptor, names: [])])
        let changed = Array(#"{"schemaVersion":2,"manifests":[] }"#.utf8)
        _ = try self.directory.file("layout/blobs/sha256/" + descriptor.digest.encoded, changed.dropLast())
        let source = try self.source("layout")
        error(.digestMismatch) { _ = try source.manifestBytes(source.image().descriptor) }
        _ = try self.directory.file("layout/blobs/sha256/" + descriptor.digest.encoded, changed)
        error(.archiveInvalid) { _ = try source.manifestBytes(source.image().descriptor) }
    }

    @Test("What is no image is refused", arguments: ["", "hello", "{}"])
    func noImage(text: String) throws {
        _ = try self.directory.file("file", Array(text.utf8))
        #expect(throws: OCIError.self) { try self.source("file") }
        #expect(throws: OCIError.self) { try self.source("nothing") }
        _ = try self.directory.file("dir/file", Array(text.utf8))
        #expect(throws: OCIError.self) { try self.source("dir") }
        #expect(throws: OCIError.self) { try ImageDestination(path: self.directory.path + "/dir", format: .ociLayout) }
        #expect(throws: OCIError.self) { try ImageDestination(path: self.directory.path + "/dir", format: .ociArchive) }
    }

    private static let hasSkopeo = (try? run("skopeo", "--version", in: "/")) != nil

    @Test(
        "skopeo reads what is written here, and what it writes is read here",
        .enabled(if: Self.hasSkopeo, "needs skopeo: apt-get install skopeo"),
        arguments: ImageSource.Format.allCases
    )
    func skopeo(format: ImageSource.Format) throws {
        _ = try self.directory.file("image.tar", SampleImage.dockerArchive())
        let original = try self.source("image.tar")
        let docker = try original.image().descriptor
        let destination = try ImageDestination(path: self.directory.path + "/out", format: format)
        try copy(original, docker, to: destination)
        // skopeo overlooks Docker's manifests in a layout's index.
        let bytes = try String(decoding: original.manifestBytes(docker), as: UTF8.self)
            .replacingOccurrences(of: MediaType.dockerManifest.rawValue, with: MediaType.imageManifest.rawValue)
            .replacingOccurrences(of: MediaType.dockerConfig.rawValue, with: MediaType.imageConfig.rawValue)
            .replacingOccurrences(of: MediaType.dockerLayerGzip.rawValue, with: MediaType.layerGzip.rawValue)
        let descriptor = Descriptor(mediaType: .imageManifest, content: Array(bytes.utf8))
        try destination.put(Array(bytes.utf8), descriptor)
        try destination.commit([.init(descriptor: descriptor, names: [ImageReference("localhost:5000/app:1")])])
        let transport =
            switch format {
            case .ociLayout: "oci"
            case .ociArchive: "oci-archive"
            case .dockerArchive: "docker-archive"
            }
        let name = format == .dockerArchive ? "" : ":1"
        let written = "\(transport):\(self.directory.path)/out\(name)"
        if format != .dockerArchive {
            let raw = try run("skopeo", "inspect", "--raw", written, in: self.directory.path)
            #expect(Digest(hashing: raw) == descriptor.digest)
        }
        let back = "\(transport):\(self.directory.path)/back" + (format == .dockerArchive ? ":app:1" : ":1")
        try run("skopeo", "--insecure-policy", "copy", written, back, in: self.directory.path)
        let read = try self.source("back")
        #expect(read.format == format)
        let manifest = try read.manifest(read.image(named: format == .dockerArchive ? "app:1" : "1").descriptor)
        #expect(try read.configBytes(#require(manifest.config)) == SampleImage.config)
        #expect(manifest.layers.count == 2)
    }
}
