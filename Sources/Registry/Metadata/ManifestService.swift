// SPDX-License-Identifier: Apache-2.0

import Database
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI

/// Takes manifests in: checks the document, then stores it together with what it references, in one transaction.
struct ManifestService: Sendable {
    /// A push as the request says it.
    struct Request: Sendable {
        let repository: RepositoryName
        let reference: Reference
        /// More tags for the same manifest.
        let tags: [Tag]
        /// `Content-Type`.
        let contentType: String?
        let content: ByteBuffer
        let condition: ManifestPush.Condition?
    }

    /// What came of a push.
    struct Receipt: Sendable {
        let digest: Digest
        let subject: Digest?
        /// What whoever pushed should know.
        let warnings: [String]
    }

    let store: RegistryStore
    let threads: NIOThreadPool
    let sparse: SparseManifests
    let clock: @Sendable () -> Date

    /// - Throws: ``RegistryError``.
    func put(_ request: Request) async throws -> Receipt {
        // Hashing and parsing 4 MiB would hold the event loop up for everybody.
        let (push, warnings) = try await self.threads.blocking { try self.push(request) }
        switch try await self.store.put(push) {
        case .stored:
            return Receipt(digest: push.digest, subject: push.subject, warnings: warnings)
        case .missing(let digests, let more):
            throw RegistryError(.manifestBlobUnknown, unknownDigests: digests, more: more)
        case .wrongSize(let digest, let claimed, let actual):
            throw RegistryError(
                .manifestInvalid,
                "the manifest says that \(digest) has \(claimed) bytes, it has \(actual)",
                detail: ["digest": digest]
            )
        case .conditionFailed:
            throw RegistryError(
                .manifestInvalid,
                "\(request.reference) in \(request.repository) is not what the request's condition says",
                status: .preconditionFailed
            )
        }
    }

    private func push(_ request: Request) throws -> (ManifestPush, warnings: [String]) {
        let bytes = request.content.readableBytesView
        let digest = Digest(hashing: bytes, algorithm: request.reference.digest?.algorithm ?? .sha256)
        if let expected = request.reference.digest, expected != digest {
            throw RegistryError(.digestInvalid, "the manifest hashes to \(digest), not to \(expected)")
        }
        let manifest = try self.parse(request)
        let (manifests, blobs) = Self.targets(of: manifest)
        var tags = request.tags
        if case .tag(let tag) = request.reference, !tags.contains(tag) { tags.append(tag) }
        let push = ManifestPush(
            repository: request.repository,
            digest: digest,
            mediaType: manifest.mediaType.rawValue,
            content: Data(bytes),
            tags: tags,
            blobs: self.sparse.allows(manifest) ? [] : blobs,
            manifests: self.sparse.allows(manifest) ? [] : manifests,
            blobReferences: blobs.map(\.digest),
            manifestReferences: manifests.map(\.digest),
            subject: manifest.subject?.digest,
            artifactType: manifest.referrerArtifactType,
            annotations: manifest.annotations.isEmpty
                ? nil : String(buffer: RegistryJSON.encode(manifest.annotations)),
            condition: request.condition,
            references: manifest.references,
            time: Int64(self.clock().timeIntervalSince1970)
        )
        return (push, manifest.warnings)
    }

    private func parse(_ request: Request) throws -> Manifest {
        guard let contentType = request.contentType else {
            throw RegistryError(.manifestInvalid, "the request has no Content-Type; it must name the manifest's kind")
        }
        do {
            let mediaType = MediaType(contentType: contentType)
            let manifest = try Manifest(parsing: request.content.readableBytesView, mediaType: mediaType)
            guard manifest.referrerArtifactType?.utf8.contains(0) != true else {
                throw RegistryError(.manifestInvalid, "the artifact type holds a NUL character")
            }
            return manifest
        } catch let error as OCIError {
            throw RegistryError(.manifestInvalid, error.message)
        }
    }

    /// What the manifest needs, each once. Indexes may list other things than manifests, as build caches do: these are
    /// blobs.
    private static func targets(of manifest: Manifest) -> (manifests: [Descriptor], blobs: [Descriptor]) {
        var seen: Set<Target> = []
        func isFirst(_ descriptor: Descriptor) -> Bool {
            seen.insert(Target(digest: descriptor.digest, size: descriptor.size)).inserted
        }
        let manifests = manifest.manifests.filter { $0.mediaType.isManifest && isFirst($0) }
        seen.removeAll()
        let others = manifest.manifests.filter { !$0.mediaType.isManifest && !$0.isForeign }
        return (manifests, (manifest.blobs + others).filter(isFirst))
    }

    private struct Target: Hashable {
        let digest: Digest
        let size: Int64
    }
}

/// Which manifests a registry takes although something that they name is not in the repository.
package enum SparseManifests: String, Sendable, CaseIterable {
    /// None: whatever can be pulled is whole.
    case none
    /// Indexes, for mirrors of some platforms only.
    case indexes
    /// Any.
    case all

    func allows(_ manifest: Manifest) -> Bool {
        switch self {
        case .none: false
        case .indexes: manifest.isIndex
        case .all: true
        }
    }
}

extension Manifest {
    /// What it lists, in its order.
    var references: [Descriptor] { self.manifests + self.blobs }

    /// What is deprecated about it.
    fileprivate var warnings: [String] {
        var warnings: [String] = []
        if self.kind == .artifact {
            warnings.append(
                "\(self.mediaType) was withdrawn before OCI 1.1; use an image manifest with artifactType"
            )
        }
        if self.layers.contains(where: { $0.mediaType.kind == .nondistributableLayer }) {
            warnings.append(
                "non-distributable layers are deprecated since OCI 1.1; their bytes are not here"
            )
        }
        return warnings
    }
}
