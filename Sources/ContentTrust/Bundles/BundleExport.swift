// SPDX-License-Identifier: Apache-2.0

import DurableFiles
import Foundation
import NotaryAPI
import OCI
package import RegistryClient
import TUF
package import TrustClient

/// What is to go into an offline bundle.
package struct BundleItem: Sendable, Hashable {
    /// A collection's name, or an image with or without its tag.
    package let name: String
    private let parsed: ImageReference?
    let gun: String

    /// - Throws: `TUFError` for what is the name of neither.
    package init(_ name: String) throws {
        self.name = name
        self.parsed = try? ImageReference(name)
        self.gun = try GUN(self.parsed?.gun ?? name).text
        if let digest = self.parsed?.digest {
            throw TUFError(.invalid, "\(name): trust data name tags, not \(digest)")
        }
    }

    /// The image with its tag; nil where only the collection was named.
    var image: ImageReference? {
        let last = self.name.split(separator: "/").last ?? ""
        return last.contains(":") && self.name != self.gun ? self.parsed : nil
    }

    /// The repository, where it is one of images.
    var repository: ImageReference? { self.parsed }
}

/// What was exported.
package struct ExportedBundle: Sendable {
    /// The list in it.
    package let contents: BundleContents
    /// What did not stop it but should be known.
    package let warnings: [CollectionWarning]
    /// Its size in bytes.
    package let size: Int64
}

extension TrustedImages {
    /// Writes collections, and the content of their images with all platforms, into one file. Content is fetched into a directory beside
    /// the file first, so that what several images share is there once; it is gone afterwards.
    /// - Parameters:
    ///   - path: the file; one that is there is replaced when all is well.
    ///   - items: what goes in. Of what is named with a tag the image's content, of all else the metadata alone.
    ///   - allTags: of what is named without a tag every image that is signed.
    ///   - progress: told what happens.
    /// - Throws: `TrustClientError`, `RegistryError`, `OCIError`, ``ContentTrustError``.
    package func exportBundle(
        _ path: String,
        _ items: [BundleItem],
        allTags: Bool = false,
        progress: @escaping TransferProgress = { _ in }
    ) async throws -> ExportedBundle {
        let staging = "\(path).part-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: staging) }
        try FileManager.default.createDirectory(atPath: staging, withIntermediateDirectories: true)
        var guns: [String] = []
        for item in items {
            let gun = try item.repository.map { try self.settings.gun(for: $0).text } ?? item.gun
            if !guns.contains(gun) { guns.append(gun) }
        }
        var collections: [BundleContents.Collection] = []
        var exports: [CollectionExport] = []
        for name in guns {
            let gun = try GUN(name)
            let connection = CollectionConnection(settings: self.settings, now: self.now)
            var export = try await connection.with(gun) { try await $0.export() }
            let images = try await self.images(of: gun, items, allTags: allTags, &export)
            for image in images {
                _ = try await self.fetch(
                    image.reference,
                    image.digest,
                    size: image.size,
                    names: [image.reference],
                    progress: progress
                ) {
                    try ImageDestination(path: "\(staging)/layout", format: .ociLayout)
                }
            }
            collections.append(
                BundleContents.Collection(
                    gun: gun,
                    roots: export.roots.map(\.version),
                    roles: export.files.map(\.role),
                    images: images
                )
            )
            exports.append(export)
        }
        let contents = BundleContents(exported: Expiry(self.now()), collections: collections)
        let all = exports
        let size = try await BlockingWork.wait {
            let file = "\(staging)/bundle.tar"
            try Self.write(contents, all, layout: "\(staging)/layout", to: file)
            try DurableFile.move(file, to: path)
            return try FileStatus(path: path)?.size ?? 0
        }
        return ExportedBundle(contents: contents, warnings: exports.flatMap { $0.collection.warnings }, size: size)
    }

    private func images(
        of gun: GUN,
        _ items: [BundleItem],
        allTags: Bool,
        _ export: inout CollectionExport
    ) async throws -> [BundleContents.Image] {
        var collection = export.collection
        var references: [ImageReference] = []
        for item in items {
            guard let repository = item.repository, try self.settings.gun(for: repository) == gun else { continue }
            if let image = item.image {
                references.append(image)
            } else if allTags {
                references += try await collection.listReleased().map { repository.with(tag: try Tag($0.name)) }
            }
        }
        var images: [BundleContents.Image] = []
        for reference in references where !images.contains(where: { $0.reference == reference }) {
            let found = try await collection.lookupReleased((reference.tag ?? .latest).description)
            guard let digest = found.file.manifestDigest else {
                throw ContentTrustError(.notAnImage, "\(reference) is signed without a SHA-256 digest: it is no image")
            }
            images.append(BundleContents.Image(reference: reference, digest: digest, size: found.file.length))
        }
        return images
    }

    private static func write(
        _ contents: BundleContents,
        _ exports: [CollectionExport],
        layout: String,
        to path: String
    ) throws {
        let tar = try TarWriter(creating: path)
        try tar.add(BundleContents.member, contents.bytes)
        for (index, export) in exports.enumerated() {
            for root in export.roots { try tar.add(BundleContents.root(root.version, of: index), root.bytes) }
            for file in export.files { try tar.add(BundleContents.role(file.role, of: index), file.bytes) }
        }
        if contents.hasImages {
            func add(_ name: String) throws {
                guard let size = try FileStatus(path: "\(layout)/\(name)")?.size else { return }
                try tar.add(name, FileRange(path: "\(layout)/\(name)", length: size))
            }
            try add("oci-layout")
            try add("index.json")
            for algorithm in try FileManager.default.contentsOfDirectory(atPath: "\(layout)/blobs").sorted()
            where !algorithm.hasPrefix(".") {
                let blobs = try FileManager.default.contentsOfDirectory(atPath: "\(layout)/blobs/\(algorithm)").sorted()
                for blob in blobs { try add("blobs/\(algorithm)/\(blob)") }
            }
        }
        try tar.finish()
    }
}
