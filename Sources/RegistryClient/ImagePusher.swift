// SPDX-License-Identifier: Apache-2.0

import NIOPosix
package import OCI

/// Puts images into a registry: blobs first, several at once, then what refers to them, so that nothing is ever named
/// there before all of it is there.
package struct ImagePusher: Sendable {
    /// The deepest nesting of indexes.
    static let maximumDepth = 8
    /// The most manifests of one image.
    static let maximumManifests = 10_000

    private let client: RegistryClient
    private let concurrency: Int
    private let progress: TransferProgress

    /// - Parameters:
    ///   - client: the registry.
    ///   - concurrency: how many blobs are sent at once.
    ///   - progress: told what happens.
    package init(client: RegistryClient, concurrency: Int = 5, progress: @escaping TransferProgress = { _ in }) {
        self.client = client
        self.concurrency = concurrency
        self.progress = progress
    }

    /// Pushes one image, or an index with everything it lists.
    /// - Parameters:
    ///   - source: where the bytes are.
    ///   - image: the manifest or index in it.
    ///   - repository: where to.
    ///   - tag: what to call it; nil to push by digest only.
    ///   - mountSource: a repository of the same registry that may have some of the blobs.
    /// - Returns: media type, digest and size of the manifest that was pushed.
    /// - Throws: ``RegistryError``, or `OCIError` when something lacks in the source or is broken.
    package func push(
        _ source: ImageSource,
        _ image: Descriptor,
        to repository: RepositoryName,
        tag: Tag? = nil,
        mountFrom mountSource: RepositoryName? = nil
    ) async throws -> Descriptor {
        let plan = try await NIOThreadPool.singleton.runIfActive { try Plan(source, image) }
        for blobs in [plan.layers, plan.configs] {
            try await forEachConcurrently(blobs, limit: self.concurrency) { blob in
                try await self.push(blob, to: repository, mountFrom: mountSource)
            }
        }
        for manifest in plan.manifests.dropLast() {
            try await self.push(manifest, to: repository, .digest(manifest.descriptor.digest))
        }
        if let top = plan.manifests.last {
            try await self.push(top, to: repository, tag.map { .tag($0) } ?? .digest(top.descriptor.digest))
        }
        return Descriptor(mediaType: image.mediaType, digest: image.digest, size: image.size)
    }

    private func push(_ blob: Blob, to repository: RepositoryName, mountFrom source: RepositoryName?) async throws {
        self.progress(.started(blob.descriptor))
        let (progress, digest) = (self.progress, blob.descriptor.digest)
        let outcome = try await self.client.uploadBlob(
            repository,
            blob.descriptor,
            from: .file(blob.content),
            mountFrom: source,
            progress: { progress(.bytes(digest, $0)) }
        )
        switch outcome {
        case .existed: self.progress(.existed(blob.descriptor))
        case .mounted: self.progress(.mounted(blob.descriptor))
        case .uploaded: self.progress(.finished(blob.descriptor))
        }
    }

    private func push(_ manifest: FetchedManifest, to repository: RepositoryName, _ reference: Reference) async throws {
        self.progress(.started(manifest.descriptor))
        try await self.client.putManifest(
            repository,
            reference,
            bytes: manifest.bytes,
            mediaType: manifest.descriptor.mediaType
        )
        self.progress(.finished(manifest.descriptor))
    }

    private struct Blob: Sendable {
        let descriptor: Descriptor
        let content: FileRange
    }

    /// Everything of an image, each thing once, children before what lists them.
    private struct Plan: Sendable {
        var layers: [Blob] = []
        var configs: [Blob] = []
        var manifests: [FetchedManifest] = []
        private var seen: Set<Digest> = []

        init(_ source: ImageSource, _ image: Descriptor) throws {
            try self.add(source, image, depth: 0)
        }

        private mutating func add(_ source: ImageSource, _ descriptor: Descriptor, depth: Int) throws {
            guard depth <= ImagePusher.maximumDepth, self.manifests.count < ImagePusher.maximumManifests else {
                throw OCIError(
                    .manifestInvalid,
                    "\(source.path): the image's indexes are nested too deep or list too much"
                )
            }
            guard self.seen.insert(descriptor.digest).inserted else { return }
            let fetched = try FetchedManifest(descriptor: descriptor, bytes: source.manifestBytes(descriptor))
            let manifest = try fetched.parse()
            for child in manifest.manifests { try self.add(source, child, depth: depth + 1) }
            for layer in manifest.layers where !layer.isForeign {
                if let blob = try self.blob(source, layer) { self.layers.append(blob) }
            }
            if let config = manifest.config, let blob = try self.blob(source, config) { self.configs.append(blob) }
            self.manifests.append(fetched)
        }

        private mutating func blob(_ source: ImageSource, _ descriptor: Descriptor) throws -> Blob? {
            guard self.seen.insert(descriptor.digest).inserted else { return nil }
            guard let content = try source.content(descriptor) else {
                throw OCIError(
                    .archiveInvalid,
                    "\(source.path) does not have \(descriptor.digest), which its image needs"
                )
            }
            return Blob(descriptor: descriptor, content: content)
        }
    }
}
