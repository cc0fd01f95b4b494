// SPDX-License-Identifier: Apache-2.0

import Foundation
import OCI
import Testing

@Suite("Archives that are made while they are read")
struct ImageArchiveTests {
    private static func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "archive-\(UUID())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(directory)
    }

    /// Writes a layout of one image.
    private static func layout(_ path: String, config type: MediaType, layers: [String]) throws -> Descriptor {
        let destination = try ImageDestination(path: path, format: .ociLayout)
        func put(_ bytes: [UInt8], _ mediaType: MediaType) throws -> String {
            let descriptor = Descriptor(mediaType: mediaType, content: bytes)
            try destination.put(bytes, descriptor)
            return #"{"mediaType":"\#(mediaType)","digest":"\#(descriptor.digest)","size":\#(descriptor.size)}"#
        }
        let ids = layers.map { #""\#(Digest(hashing: Array($0.utf8)))""# }.joined(separator: ",")
        let config = Array(#"{"os":"linux","rootfs":{"type":"layers","diff_ids":[\#(ids)]}}"#.utf8)
        let parts = try layers.map { try put(Array($0.utf8), .layer) }.joined(separator: ",")
        let manifest = Array(
            """
            {"schemaVersion":2,"mediaType":"\(MediaType.imageManifest)","config":\(try put(config, type)),"layers":[\(parts)]}
            """.utf8
        )
        let image = Descriptor(mediaType: .imageManifest, content: manifest)
        try destination.put(manifest, image)
        try destination.commit([.init(descriptor: image, names: [])])
        return image
    }

    @Test("both forms are in it: the manifest as it was, and the list of layers; and its size is known before")
    func bothForms() throws {
        try Self.inDirectory { directory in
            let layout = directory + "/layout"
            // A layer that occurs twice is in it once.
            let layers = ["one", String(repeating: "two", count: 500), "one"]
            let image = try Self.layout(layout, config: .imageConfig, layers: layers)
            let source = try ImageSource(path: layout, temporaryDirectory: directory)
            let name = try ImageReference("reg.example/team/app:1.0")
            let archive = try ImageArchive(of: image, in: source, names: [name])
            let file = directory + "/image.tar"
            try archive.write(to: file)
            let bytes = try #require(FileManager.default.contents(atPath: file))
            #expect(Int64(bytes.count) == archive.size)
            let read = try ImageSource(path: file, temporaryDirectory: directory)
            let found = try read.image(named: name.description)
            // Plain layers make the reader prefer Docker's form, where there are both.
            #expect(read.format == .dockerArchive)
            #expect(try read.manifest(found.descriptor).layers.count == 3)
            #expect(archive.configDigest == (try source.manifest(image).config?.digest))
            #expect(bytes.range(of: Data(image.digest.encoded.utf8)) != nil)
        }
    }

    @Test("an artifact is no image that an engine could run")
    func artifact() throws {
        try Self.inDirectory { directory in
            let image = try Self.layout(directory + "/layout", config: .empty, layers: ["policy"])
            let source = try ImageSource(path: directory + "/layout", temporaryDirectory: directory)
            #expect(throws: OCIError.self) { try ImageArchive(of: image, in: source, names: []) }
        }
    }
}
