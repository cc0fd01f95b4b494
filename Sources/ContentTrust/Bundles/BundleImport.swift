// SPDX-License-Identifier: Apache-2.0

import DurableFiles
package import Foundation
package import NotaryAPI
import OCI
package import RegistryClient
import TUF
package import TrustClient

/// Where the content of an offline bundle goes.
package enum BundleDestination: Sendable, Hashable {
    /// Nowhere: only what is trusted is taken over.
    case trustOnly
    /// A directory with an OCI image layout.
    case layout(String)
    /// A registry, `HOST[:PORT]` with an optional prefix of repositories.
    case registry(String)
}

/// What was imported of one collection.
package struct ImportedCollection: Sendable {
    /// Its name.
    package let gun: GUN
    /// The version of its root.
    package let rootVersion: Int64
    /// How current it is.
    package let freshness: Freshness?
    /// The root keys that have just become trusted; nil when the collection was known.
    package let firstUse: FirstUse?
    /// Its images, and where they are now; nil where they were left.
    package let images: [(image: BundleContents.Image, place: String?)]
    /// What did not stop it but should be known.
    package let warnings: [CollectionWarning]
}

extension TrustedImages {
    /// How far in the future a bundle may seem to come from, in seconds: clocks disagree.
    private static let clockSlack: TimeInterval = 3600

    /// Verifies a bundle as if it came from the server, and its content, down to the last byte. Only then content is handed over, and
    /// after it what is trusted is kept. Whatever is refused leaves what was trusted as it was.
    /// - Parameters:
    ///   - bundle: the bundle.
    ///   - destination: where content goes.
    ///   - maximumAge: how long ago, in seconds, it may have been exported; nil for as long as its metadata is in force.
    ///   - progress: told what happens.
    /// - Throws: `TrustClientError`, with code `expired` also for a bundle that is too old; ``ContentTrustError``, with code `bundle`
    ///   or `notAnImage`; `OCIError`, `RegistryError`.
    package func importBundle(
        _ bundle: OfflineBundle,
        to destination: BundleDestination,
        maximumAge: Int64?,
        progress: @escaping TransferProgress = { _ in }
    ) async throws -> [ImportedCollection] {
        try self.requireRecent(bundle, [maximumAge, self.settings.maximumBundleAge].compactMap { $0 }.min())
        let check = BundleCheck(bundle: bundle, settings: self.settings, now: self.now)
        let plans = try await check.verify()
        let places = try await self.handOver(bundle, plans, to: destination, progress: progress)
        var imported: [ImportedCollection] = []
        for index in bundle.contents.collections.indices {
            let loaded = try await check.load(index, in: nil)
            imported.append(
                ImportedCollection(
                    gun: loaded.gun,
                    rootVersion: loaded.trusted.root?.payload.version ?? 0,
                    freshness: loaded.freshness,
                    firstUse: loaded.firstUse,
                    images: bundle.contents.collections[index].images.map { ($0, places[$0.reference]) },
                    warnings: loaded.warnings
                )
            )
        }
        return imported
    }

    /// How old a bundle is, in seconds, as it says itself.
    package func age(of bundle: OfflineBundle) -> TimeInterval {
        self.now().timeIntervalSince(bundle.contents.exported.date)
    }

    private func requireRecent(_ bundle: OfflineBundle, _ maximumAge: Int64?) throws {
        let age = self.age(of: bundle)
        guard age >= -Self.clockSlack else {
            throw TrustClientError(
                .expired,
                "\(bundle.path) says that it was exported on \(bundle.contents.exported), which is in the future: is the clock here "
                    + "right (\(Expiry(self.now())))?"
            )
        }
        if let maximumAge, age > TimeInterval(maximumAge) {
            throw TrustClientError(
                .expired,
                "\(bundle.path) was exported on \(bundle.contents.exported), \(Age.text(Int64(age))) ago; \(Age.text(maximumAge)) "
                    + "are allowed. Bring a newer one"
            )
        }
    }

    /// Refuses, before anything is pushed, images that would take each other's place.
    private static func requireDistinctPlaces(
        _ images: [VerifiedBundleImage],
        in registry: String,
        _ bundle: OfflineBundle
    ) throws {
        var taken: [String: ImageReference] = [:]
        for image in images.map(\.image) {
            guard let place = ContentPlace(mirror: registry, of: image.reference.repository) else { continue }
            let name = "\(place):\(image.reference.tag ?? .latest)"
            if let other = taken.updateValue(image.reference, forKey: name), other != image.reference {
                throw ContentTrustError(
                    .bundle,
                    "\(bundle.path): \(other) and \(image.reference) would both be \(name): export and import the images of each "
                        + "registry by themselves, with prefixes of their own"
                )
            }
        }
    }

    private func handOver(
        _ bundle: OfflineBundle,
        _ images: [VerifiedBundleImage],
        to destination: BundleDestination,
        progress: @escaping TransferProgress
    ) async throws -> [ImageReference: String] {
        switch destination {
        case .trustOnly: return [:]
        case .layout(let path):
            let existed = FileManager.default.fileExists(atPath: path)
            do {
                try await BlockingWork.wait { try BundleContent(bundle).copy(images, to: path) }
            } catch {
                if !existed { try? FileManager.default.removeItem(atPath: path) }
                throw error
            }
            return Dictionary(images.map { ($0.image.reference, path) }, uniquingKeysWith: { first, _ in first })
        case .registry(let name):
            try Self.requireDistinctPlaces(images, in: name, bundle)
            let source = try await BlockingWork.wait { try bundle.images() }
            var places: [ImageReference: String] = [:]
            for image in images {
                guard let place = ContentPlace(mirror: name, of: image.image.reference.repository) else {
                    throw ContentTrustError(
                        .reference,
                        "\(name) is no registry: write HOST[:PORT] or HOST[:PORT]/PREFIX"
                    )
                }
                try await self.withRegistry(named: place.registry) { registry in
                    _ = try await ImagePusher(client: registry, progress: progress).push(
                        source,
                        image.descriptor,
                        to: place.repository,
                        tag: image.image.reference.tag
                    )
                }
                places[image.image.reference] = "\(place):\(image.image.reference.tag ?? .latest)"
            }
            return places
        }
    }
}

/// An image of a bundle whose content was compared with what is signed.
struct VerifiedBundleImage: Sendable {
    let image: BundleContents.Image
    /// Its manifest or index.
    let descriptor: Descriptor
}

/// Verifies a bundle, with copies of what is known here of its collections.
private struct BundleCheck: Sendable {
    let bundle: OfflineBundle
    let settings: ClientSettings
    let now: @Sendable () -> Date

    /// Everything, before anything of it is used.
    func verify() async throws -> [VerifiedBundleImage] {
        let directory = FileManager.default.temporaryDirectory.appending(path: "hallmark-bundle-\(UUID())").path
        try FileManager.default.createDirectory(
            atPath: directory,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let known = MetadataCache(directory: self.settings.trustDirectory)
        let trial = MetadataCache(directory: directory)
        for (index, collection) in self.bundle.contents.collections.enumerated() {
            let (from, to) = (known.directory(of: collection.gun), trial.directory(of: collection.gun))
            try await BlockingWork.run {
                guard DurableFile.isDirectory("\(from)/metadata") else { return }
                try DurableFile.makeDirectory(to)
                try FileManager.default.copyItem(atPath: "\(from)/metadata", toPath: "\(to)/metadata")
            }
            var loaded = try await self.load(index, in: directory)
            try await self.check(collection, &loaded)
        }
        guard self.bundle.contents.hasImages else { return [] }
        let images = self.bundle.contents.collections.flatMap(\.images)
        let bundle = self.bundle
        return try await BlockingWork.wait { try BundleContent(bundle).verify(images) }
    }

    /// Verifies the metadata of a collection, and keeps it.
    /// - Parameter directory: the trust directory; nil for the settings'.
    func load(_ index: Int, in directory: String?) async throws -> LoadedCollection {
        let collection = self.bundle.contents.collections[index]
        let bundle = self.bundle
        let transport = try await BlockingWork.wait { try bundle.transport(index) }
        let connection = CollectionConnection(settings: self.settings, now: self.now)
        let client = try await connection.client(of: collection.gun, over: transport, in: directory)
        var loaded = try await client.update()
        _ = try await loaded.delegations()
        let confirmed = min(self.now(), bundle.contents.exported.date)
        if directory == nil, self.settings.maximumAge != nil {
            // The server may have been reached since.
            let before = try await client.cache.confirmedAt(collection.gun) ?? .distantPast
            if confirmed > before { try await client.cache.confirm(collection.gun, at: confirmed) }
        }
        return loaded
    }

    private func check(_ collection: BundleContents.Collection, _ loaded: inout LoadedCollection) async throws {
        if let offline = loaded.offline { throw offline }
        for image in collection.images {
            guard try self.settings.gun(for: image.reference) == collection.gun else {
                throw ContentTrustError(
                    .bundle,
                    "\(self.bundle.path): \(image.reference) is listed under \(collection.gun), which does not sign it"
                )
            }
            let found = try await loaded.lookupReleased((image.reference.tag ?? .latest).description)
            guard found.file.manifestDigest == image.digest, found.file.length == image.size else {
                throw TrustClientError(
                    .contentMismatch,
                    "\(self.bundle.path) has \(image.digest) for \(image.reference), and \(found.role) has signed "
                        + "\(found.file.manifestDigest?.description ?? "no image")"
                )
            }
        }
    }
}

/// The content of a bundle's images.
private struct BundleContent {
    private static let depthLimit = 8
    private let bundle: OfflineBundle
    private let source: ImageSource

    init(_ bundle: OfflineBundle) throws {
        self.bundle = bundle
        self.source = try bundle.images()
    }

    /// Hashes everything, and sees that it is all that the images need and no more.
    func verify(_ images: [BundleContents.Image]) throws -> [VerifiedBundleImage] {
        var verified: [VerifiedBundleImage] = []
        var seen: Set<Digest> = []
        for image in images {
            guard let entry = self.source.images.first(where: { $0.descriptor.digest == image.digest }),
                entry.descriptor.size == image.size
            else {
                throw ContentTrustError(.bundle, "\(self.bundle.path): the content of \(image.reference) is missing")
            }
            let descriptor = Descriptor(mediaType: entry.descriptor.mediaType, digest: image.digest, size: image.size)
            for blob in try self.closure(descriptor) where seen.insert(blob.digest).inserted {
                guard let range = try self.source.content(blob) else {
                    throw ContentTrustError(
                        .bundle,
                        "\(self.bundle.path): \(blob.digest) of \(image.reference) is missing"
                    )
                }
                let found = try range.open().digest(blob.digest.algorithm)
                guard found == blob.digest else {
                    throw OCIError(
                        .digestMismatch,
                        "\(self.bundle.path): content of \(blob.digest) has the digest \(found)"
                    )
                }
            }
            verified.append(VerifiedBundleImage(image: image, descriptor: descriptor))
        }
        if let other = self.bundle.blobs.subtracting(seen).first {
            throw ContentTrustError(.bundle, "\(self.bundle.path): \(other) belongs to no image that is listed")
        }
        return verified
    }

    /// Copies images into a layout.
    func copy(_ images: [VerifiedBundleImage], to path: String) throws {
        let destination = try ImageDestination(path: path, format: .ociLayout)
        for image in images {
            for blob in try self.closure(image.descriptor) where try !destination.contains(blob) {
                guard let range = try self.source.content(blob) else {
                    throw ContentTrustError(.bundle, "\(self.bundle.path): \(blob.digest) is missing")
                }
                let writer = try destination.makeBlobWriter(blob)
                try range.open().forEachPiece { try writer.write($0) }
                try writer.commit()
            }
        }
        try destination.commit(images.map { .init(descriptor: $0.descriptor, names: [$0.image.reference]) })
    }

    /// A manifest and all that it refers to, each once, what is referred to first.
    private func closure(_ top: Descriptor) throws -> [Descriptor] {
        var found: [Descriptor] = []
        var seen: Set<Digest> = []
        try self.walk(top, depth: 0, &found, &seen)
        return found
    }

    private func walk(
        _ descriptor: Descriptor,
        depth: Int,
        _ found: inout [Descriptor],
        _ seen: inout Set<Digest>
    ) throws {
        guard depth <= Self.depthLimit, found.count < 100_000 else {
            throw OCIError(
                .manifestInvalid,
                "\(self.bundle.path): \(descriptor.digest) is nested too deep or lists too much"
            )
        }
        guard seen.insert(descriptor.digest).inserted else { return }
        let manifest = try self.source.manifest(descriptor)
        for child in manifest.manifests { try self.walk(child, depth: depth + 1, &found, &seen) }
        for blob in manifest.blobs where seen.insert(blob.digest).inserted { found.append(blob) }
        found.append(descriptor)
    }
}
