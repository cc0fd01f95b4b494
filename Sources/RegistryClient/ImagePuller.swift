// SPDX-License-Identifier: Apache-2.0

import NIOPosix
package import OCI

/// Fetches images by digest: every byte is verified, and nothing is named in the destination before all of it is.
package struct ImagePuller: Sendable {
    /// The most blobs of one image with all its platforms.
    private static let maximumBlobs = 100_000

    private let client: RegistryClient
    private let concurrency: Int
    private let progress: TransferProgress

    /// - Parameters:
    ///   - client: the registry.
    ///   - concurrency: how many blobs are fetched at once.
    ///   - progress: told what happens.
    package init(client: RegistryClient, concurrency: Int = 5, progress: @escaping TransferProgress = { _ in }) {
        self.client = client
        self.concurrency = concurrency
        self.progress = progress
    }

    /// Pulls one image, or an index with everything it lists.
    /// - Parameters:
    ///   - digest: the manifest or index, as a trusted source names it.
    ///   - size: its size in bytes, if the trusted source says that too.
    ///   - repository: where from.
    ///   - platform: of an index, only the image that suits this; nil for all. Then the image itself becomes the top.
    ///   - destination: where to. It is committed here.
    ///   - names: what to call the image there.
    /// - Returns: media type, digest and size of what the destination names.
    /// - Throws: ``RegistryError``; `OCIError`, of these `imageUnknown` when no entry suits the platform. The destination
    ///   cannot be used then.
    package func pull(
        _ digest: Digest,
        size: Int64? = nil,
        from repository: RepositoryName,
        platform: Platform? = nil,
        into destination: ImageDestination,
        names: [ImageReference]
    ) async throws -> Descriptor {
        do {
            return try await self.fetch(digest, size, from: repository, platform, into: destination, names: names)
        } catch {
            destination.discard()
            throw error
        }
    }

    private func fetch(
        _ digest: Digest,
        _ size: Int64?,
        from repository: RepositoryName,
        _ platform: Platform?,
        into destination: ImageDestination,
        names: [ImageReference]
    ) async throws -> Descriptor {
        let plan = try await self.plan(digest, size, repository, platform)
        try await forEachConcurrently(plan.blobs, limit: self.concurrency) { blob in
            try await self.pull(blob, from: repository, into: destination)
        }
        guard let top = plan.manifests.last?.descriptor else {
            throw RegistryError(.invalidResponse, "\(self.client.registry) has no manifest \(digest)")
        }
        let manifests = plan.manifests
        try await NIOThreadPool.singleton.runIfActive {
            for manifest in manifests { try destination.put(manifest.bytes, manifest.descriptor) }
            try destination.commit([.init(descriptor: top, names: names)])
        }
        return top
    }

    private func plan(
        _ digest: Digest,
        _ size: Int64?,
        _ repository: RepositoryName,
        _ platform: Platform?
    ) async throws -> Plan {
        var top = try await self.client.getManifest(repository, .digest(digest), size: size)
        if let platform {
            for _ in 0..<ImagePusher.maximumDepth {
                let manifest = try top.parse()
                guard manifest.isIndex else { break }
                guard let entry = manifest.entry(for: platform) else {
                    throw OCIError(.imageUnknown, platform: platform, of: top.descriptor.digest, manifest)
                }
                top = try await self.fetch(entry, repository)
            }
        }
        var plan = Plan()
        try await self.add(top, repository, to: &plan, depth: 0)
        return plan
    }

    private func fetch(_ descriptor: Descriptor, _ repository: RepositoryName) async throws -> FetchedManifest {
        let fetched = try await self.client.getManifest(repository, .digest(descriptor.digest), size: descriptor.size)
        guard fetched.descriptor.mediaType == descriptor.mediaType else {
            throw RegistryError(
                .digestMismatch,
                """
                \(self.client.registry) sends \(descriptor.digest) as \(fetched.descriptor.mediaType), \
                what lists it says \(descriptor.mediaType)
                """
            )
        }
        return fetched
    }

    private func add(
        _ fetched: FetchedManifest,
        _ repository: RepositoryName,
        to plan: inout Plan,
        depth: Int
    ) async throws {
        guard depth <= ImagePusher.maximumDepth, plan.manifests.count < ImagePusher.maximumManifests else {
            throw OCIError(.manifestInvalid, "\(fetched.descriptor.digest) is nested too deep or lists too much")
        }
        guard plan.seen.insert(fetched.descriptor.digest).inserted else { return }
        let manifest = try fetched.parse()
        for child in manifest.manifests where !plan.seen.contains(child.digest) {
            try await self.add(self.fetch(child, repository), repository, to: &plan, depth: depth + 1)
        }
        for blob in manifest.blobs {
            if let size = plan.sizes[blob.digest] {
                guard size == blob.size else {
                    throw OCIError(.manifestInvalid, "\(fetched.descriptor.digest) gives \(blob.digest) a second size")
                }
                continue
            }
            guard plan.blobs.count < Self.maximumBlobs else {
                throw OCIError(.manifestInvalid, "the image has more than \(Self.maximumBlobs) blobs")
            }
            plan.sizes[blob.digest] = blob.size
            plan.blobs.append(blob)
        }
        plan.manifests.append(fetched)
    }

    private func pull(
        _ blob: Descriptor,
        from repository: RepositoryName,
        into destination: ImageDestination
    ) async throws {
        if try await NIOThreadPool.singleton.runIfActive({ try destination.contains(blob) }) {
            self.progress(.existed(blob))
            return
        }
        self.progress(.started(blob))
        let writer = try await NIOThreadPool.singleton.runIfActive { try destination.makeBlobWriter(blob) }
        let (progress, digest) = (self.progress, blob.digest)
        try await self.client.getBlob(repository, into: writer, progress: { progress(.bytes(digest, $0)) })
        self.progress(.finished(blob))
    }

    /// Everything of an image, each thing once, children before what lists them.
    private struct Plan: Sendable {
        var blobs: [Descriptor] = []
        var manifests: [FetchedManifest] = []
        var seen: Set<Digest> = []
        var sizes: [Digest: Int64] = [:]
    }
}
